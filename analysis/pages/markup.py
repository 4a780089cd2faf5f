"""Writes tables and sections as Markdown, LaTeX (booktabs, siunitx) and CSV text. No statistics, no files.

Markdown and LaTeX print the `text` of each cell. The CSV of a grid is in long form, in fractions with full precision.
"""

import csv
import io
import math
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from analysis.numbers.tables import Cell, Difference, Table
from analysis.numbers.tidy import axis_column
from analysis.pages.contents import Section, Split, TextTable, grid, split_number

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
    "[": "{[}",  # at the start of a row, LaTeX would read it as an option of the previous row's end
    "]": "{]}",
    "−": "$-$",
    "–": "--",
    "—": "---",
    "“": "``",
    "”": "''",
    "‘": "`",
    "’": "'",
}
MATHS = {
    "±": "pm", "×": "times", "·": "cdot", "…": "ldots", "≤": "leq", "≥": "geq", "≈": "approx", "≠": "neq",
    "η": "eta", "ρ": "rho", "φ": "varphi", "θ": "theta",
}  # fmt: skip
LATEX |= {character: rf"$\{name}$" for character, name in MATHS.items()}
LAST_LATIN = 0x17F  # end of Latin Extended-A, the last block for which a stock TeX has letters
LONG = 30  # letters; a column with a longer cell breaks into lines
SHORT = 12  # letters; a column without a longer cell never breaks
LINES = {"": 62, r"\footnotesize": 80, r"\scriptsize": 96}  # letters on a line of a portrait page, by font size
KEPT = 0.6  # largest share of a line for columns that don't break, next to columns that do


def markdown_text(text: str) -> str:
    """Return `text` on one line, with characters of Markdown markup escaped."""
    return re.sub(r"([\\|*`<\[])", r"\\\1", " ".join(text.split()))


def markdown(table: Table) -> str:
    """Return a GitHub-flavoured table: caption, grid, notes."""
    return markdown_table(grid(table))


def markdown_table(table: TextTable) -> str:
    """Return a GitHub-flavoured table: caption, rows, notes; each head repeats the title over its column."""
    numeric = frozenset(table.numeric)
    heads = [
        f"{table.over} {head}" if table.over and index in numeric else head for index, head in enumerate(table.heads)
    ]
    rule = ["---:" if index in numeric else "---" for index in range(len(heads))]
    lines = [_pipes(heads), _pipes(rule, escape=False), *map(_pipes, table.rows)]
    notes = [f"- {markdown_text(note)}" for note in table.notes]
    return "\n".join([markdown_text(table.caption), "", *lines, "", *notes]) + "\n"


def markdown_section(section: Section, level: int = 2) -> str:
    """Return the section with a heading of `level`."""
    parts = [f"{'#' * level} {markdown_text(section.title)}", *map(markdown_text, section.paragraphs)]
    if section.items:
        parts.append(markdown_list(section.items))
    return "\n\n".join([*parts, *(markdown_table(table).rstrip() for table in section.tables)]) + "\n"


def markdown_list(items: Iterable[str]) -> str:
    """Return one bullet per item."""
    return "\n".join(f"- {markdown_text(item)}" for item in items)


def latex_text(text: str) -> str:
    """Return `text` on one line, with LaTeX's special characters escaped and unprintable ones as U+ numbers."""
    return "".join(map(_latex_character, " ".join(text.split())))


def latex(table: Table) -> str:
    """Return `latex_table` of a sweep's grid."""
    return latex_table(grid(table))


def latex_table(table: TextTable) -> str:
    """Return a `tabular` for \\input (needs booktabs and siunitx 2 or 3); caption and notes come first, as comments.

    A numeric column becomes an S column for the numbers and, if text follows them, an l column for that text.
    """
    comments = [f"% {' '.join(text.split())}" for text in (table.caption, *table.notes)]
    size, columns = _columns(table)
    lines = [rf"\begin{{tabular}}{{{''.join(column.spec for column in columns)}}}", r"\toprule"]
    if table.over:
        first = table.numeric[0]
        before, over = (sum(column.width for column in part) for part in (columns[:first], columns[first:]))
        lines += [
            _ampersands([*[""] * before, rf"\multicolumn{{{over}}}{{c}}{{{latex_text(table.over)}}}"]),
            rf"\cmidrule(lr){{{before + 1}-{before + over}}}",
        ]
    lines += [_ampersands([column.head for column in columns]), r"\midrule"]
    lines += [_ampersands(row) for row in zip(*(column.cells for column in columns), strict=True)]
    lines += [r"\bottomrule", r"\end{tabular}"]
    if size:  # in a group, so that the size ends with the table
        lines = [rf"{{{size}\setlength{{\tabcolsep}}{{3pt}}%", *lines[:-1], rf"{lines[-1]}}}"]
    return "\n".join([*comments, *lines]) + "\n"


def csv_text(table: Table) -> str:
    """Return one line per cell: axes, at, statistics in fractions, values per seed, reasons of missing seeds."""
    cells = list(table.cells.values())
    axes = list(cells[0].labels)
    whole = isinstance(cells[0], Cell)
    names = (
        ["n", "planned", "mean", "sd", "low", "high", "evaluations", "seeds", "values", "missing"]
        if whole
        else ["contrast", "n", "difference", "low", "high", "p", "seeds"]
    )
    rows = [[*map(axis_column, axes), "at", *names]]
    for cell in cells:
        numbers = _cell_fields(cell) if isinstance(cell, Cell) else _difference_fields(cell)
        rows.append([*(cell.labels[axis] for axis in axes), cell.at, *numbers])
    return _csv(rows)


def csv_table(table: TextTable) -> str:
    """Return the heads and rows as they are printed."""
    return _csv([table.heads, *table.rows])


class _Column(NamedTuple):
    """A column of a table as `width` columns of a tabular."""

    spec: str
    width: int
    head: str
    cells: list[str]


def _columns(table: TextTable) -> tuple[str, list[_Column]]:
    """Return the font size and the columns of `table`."""
    texts = [[row[index] for row in table.rows] for index in range(len(table.heads))]
    size, shares = _layout([[head, *column] for head, column in zip(table.heads, texts, strict=True)], table.numeric)
    columns = []
    for index, (head, column) in enumerate(zip(table.heads, texts, strict=True)):
        splits = [split_number(text) for text in column]
        if index in table.numeric and any(split.number.strip("-") for split in splits):
            columns.append(_number_column(head, splits))
            continue
        spec = "r" if index in table.numeric else "l"
        if index in shares:
            spec = rf">{{\raggedright\arraybackslash}}p{{{shares[index]:.2f}\linewidth}}"
        columns.append(_Column(spec, 1, latex_text(head), [latex_text(text) for text in column]))
    return size, columns


def _layout(texts: Sequence[Sequence[str]], numeric: Sequence[int]) -> tuple[str, dict[int, float]]:
    """Return the largest font size at which the columns fit a page, and each breaking column's share of a line.

    If they fit, no column is narrower than its longest word. If they don't fit, the size is the smallest.
    """
    longest = [max(map(len, column)) for column in texts]
    words = [max(len(word) for text in column for word in text.split() or [""]) for column in texts]
    text_columns = sorted(set(range(len(texts))) - set(numeric), key=lambda index: -longest[index])
    size, shares = "", dict[int, float]()
    for size, line in LINES.items():  # noqa: B007
        long = {index for index in text_columns if longest[index] > LONG}
        kept = sum(length + 2 for index, length in enumerate(longest) if index not in long)
        for index in text_columns:
            if index not in long and longest[index] > SHORT and kept > line * (KEPT if long else 1.0):
                long.add(index)
                kept -= longest[index] + 2
        left, shared = max(1 - KEPT, 1 - kept / line), sum(min(longest[index], line) for index in long)
        shares = {index: left * min(longest[index], line) / shared for index in long}
        if kept <= line * (KEPT if long else 1.0) and all(shares[index] * line > words[index] for index in long):
            break
    return size, shares


def _number_column(head: str, splits: Sequence[Split]) -> _Column:
    numbers = [split.number for split in splits if split.number.strip("-")]
    sign = "+" if any(number[0] in "+-−" for number in numbers) else ""
    parts = [number.lstrip("+-−").replace(",", "").partition(".") for number in numbers]
    whole, fraction = (max(len(part[place]) for part in parts) for place in (0, 2))
    options = [f"table-format={sign}{whole}{f'.{fraction}' if fraction else ''}"]
    if sign:
        options.append("retain-explicit-plus")
    if any("," in number for number in numbers):
        options.append("group-separator={,}, group-minimum-digits=4")
    spec = f"S[{', '.join(options)}]"
    title = f"{{{latex_text(head)}}}"
    if not any(split.rest for split in splits if split.number):
        return _Column(spec, 1, title, [_s_cell(split.number or split.rest) for split in splits])
    return _Column(f"{spec}@{{}}l", 2, rf"\multicolumn{{2}}{{c}}{title}", list(map(_two_cells, splits)))


def _two_cells(split: Split) -> str:
    if not split.number:
        return rf"\multicolumn{{2}}{{c}}{{{latex_text(split.rest)}}}"
    space = "~" if split.rest.startswith(" ") else ""
    return f"{_s_cell(split.number)} & {space}{latex_text(split.rest)}".rstrip()


def _s_cell(text: str) -> str:
    """Return a cell of an S column: a plain number, other text in braces, a lone dash as an en dash."""
    if text == "-":
        return "{--}"
    return text.replace(",", "").replace("−", "-") if split_number(text).number else f"{{{latex_text(text)}}}"


def _latex_character(character: str) -> str:
    if character in LATEX:
        return LATEX[character]
    return character if ord(character) <= LAST_LATIN else rf"{{[}}U+{ord(character):04X}{{]}}"


def _ampersands(texts: Sequence[str]) -> str:
    return f"{' & '.join(texts)} \\\\"


def _csv(rows: Sequence[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([_plain(cell) for cell in row] for row in rows)
    return text.getvalue()


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
        difference.contrast,
        str(len(paired.seeds)),
        *map(_number, (paired.mean, paired.low, paired.high, paired.p)),
        ";".join(map(str, paired.seeds)),
    ]


def _pipes(texts: Sequence[str], *, escape: bool = True) -> str:
    return f"| {' | '.join(map(markdown_text, texts) if escape else texts)} |"


def _number(value: float) -> str:
    return "" if math.isnan(value) else repr(float(value))


def _plain(text: str) -> str:
    """Return `text` as a cell that no spreadsheet reads as a formula; numbers stay numbers."""
    number = re.fullmatch(r"[+-]?[\d.]+(e[+-]?\d+)?", text)
    safe = f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) and not number else text
    return safe.replace("\r", " ")  # csv doesn't quote it, and some readers end a row there
