"""Writes tables and sections as Markdown and CSV text. No statistics, no files.

Markdown prints the `text` of each cell. The CSV of a grid is in long form, in fractions with full precision.
"""

import csv
import io
import math
import re
from collections.abc import Iterable, Sequence

from analysis.numbers.tables import Cell, Difference, Table
from analysis.numbers.tidy import axis_column
from analysis.pages.contents import Section, TextTable, grid


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
