"""Tables -> Markdown, LaTeX (booktabs) and CSV text. No statistics, no files.

Markdown and LaTeX print what `text` of a cell says; CSV is the tidy long form, in fractions and full precision.
"""

import csv
import io
import math
import re
from collections.abc import Sequence

from analysis.tables import Cell, Difference, Table
from analysis.tidy import axis_column

LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "±": r"$\pm$",
}
SIGNED = re.compile(r"^([+-])(?=\d)")


def markdown_text(text: str) -> str:
    """Return `text` on one line, with what Markdown would read as markup escaped."""
    return re.sub(r"([\\|*`<\[])", r"\\\1", " ".join(text.split()))


def latex_text(text: str) -> str:
    """Return `text` on one line, with what LaTeX would read as a command escaped."""
    return "".join(LATEX.get(character, character) for character in " ".join(text.split()))


def markdown(table: Table) -> str:
    """Return a GitHub-flavoured table: caption, grid, notes."""
    heads = [*map(axis_title, table.row_axes), *(f"{axis_title(table.column_axis)} {label}" for label in table.columns)]
    lines = [_pipes(heads), _pipes(["---"] * len(table.row_axes) + ["---:"] * len(table.columns), escape=False)]
    lines += [_pipes([*row, *_texts(table, row)]) for row in table.rows]
    notes = [f"- {markdown_text(note)}" for note in (*table.notes, *table.missing)]
    return "\n".join([markdown_text(table.caption), "", *lines, "", *notes]) + "\n"


def latex(table: Table) -> str:
    """Return a `tabular` for \\input (needs booktabs); caption and notes come first, as comments."""
    comments = [f"% {' '.join(text.split())}" for text in (table.caption, *table.notes, *table.missing)]
    rows, columns = len(table.row_axes), len(table.columns)
    blank = [""] * rows
    lines = [
        rf"\begin{{tabular}}{{{'l' * rows}{'r' * columns}}}",
        r"\toprule",
        _ampersands([*blank, rf"\multicolumn{{{columns}}}{{c}}{{{latex_text(axis_title(table.column_axis))}}}"]),
        rf"\cmidrule(lr){{{rows + 1}-{rows + columns}}}",
        _ampersands([latex_text(text) for text in (*map(axis_title, table.row_axes), *table.columns)]),
        r"\midrule",
    ]
    for row in table.rows:
        numbers = [SIGNED.sub(r"$\1$", latex_text(text)) for text in _texts(table, row)]
        lines.append(_ampersands([*map(latex_text, row), *numbers]))
    return "\n".join([*comments, *lines, r"\bottomrule", r"\end{tabular}"]) + "\n"


def csv_text(table: Table) -> str:
    """Return one line per cell: axes, at, statistics in fractions, per-seed values, why seeds are missing."""
    cells = list(table.cells.values())
    axes = list(cells[0].labels)
    whole = isinstance(cells[0], Cell)
    names = (
        ["n", "planned", "mean", "sd", "low", "high", "evaluations", "seeds", "values", "missing"]
        if whole
        else ["contrast", "n", "difference", "low", "high", "p", "seeds"]
    )
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*(_plain(axis_column(axis)) for axis in axes), "at", *names])
    for cell in cells:
        numbers = _cell_fields(cell) if isinstance(cell, Cell) else _difference_fields(cell)
        writer.writerow([*(_plain(cell.labels[axis]) for axis in axes), _plain(cell.at), *numbers])
    return text.getvalue()


def axis_title(axis: str) -> str:
    """Return an axis's name as printed."""
    return axis.replace("_", " ")


def _cell_fields(cell: Cell) -> list[str]:
    stats = cell.summary
    missing = "; ".join(f"seed {miss.seed} ({miss.trial_id}): {miss.reason}" for miss in cell.missing)
    return [
        str(stats.n),
        str(cell.planned),
        *map(_number, (stats.mean, stats.sd, stats.low, stats.high)),
        str(cell.evaluations),
        ";".join(map(str, cell.values)),
        ";".join(map(_number, cell.values.values())),
        missing,
    ]


def _difference_fields(difference: Difference) -> list[str]:
    paired = difference.paired
    return [
        _plain(difference.contrast),
        str(len(paired.seeds)),
        *map(_number, (paired.mean, paired.low, paired.high, paired.p)),
        ";".join(map(str, paired.seeds)),
    ]


def _texts(table: Table, row: tuple[str, ...]) -> list[str]:
    return [table.cells[row, column].text() if (row, column) in table.cells else "" for column in table.columns]


def _pipes(texts: Sequence[str], *, escape: bool = True) -> str:
    return f"| {' | '.join(map(markdown_text, texts) if escape else texts)} |"


def _ampersands(texts: Sequence[str]) -> str:
    return f"{' & '.join(texts)} \\\\"


def _number(value: float) -> str:
    return "" if math.isnan(value) else repr(float(value))


def _plain(text: str) -> str:
    """Return `text` as a cell that no spreadsheet takes for a formula; numbers stay numbers."""
    if not text.startswith(("=", "+", "-", "@", "\t", "\r")) or re.fullmatch(r"[+-]?[\d.]+(e[+-]?\d+)?", text):
        return text
    return f"'{text}"
