"""A report's table as plain text for a terminal: aligned columns, in blocks that fit its width.

Computes no numbers and prints nothing.
"""

import textwrap
from collections.abc import Iterator, Sequence

from analysis.pages.contents import TextTable, split_number

GAP = "  "


def plain_table(table: TextTable, width: int = 80) -> str:
    """Return caption, rows and notes in lines of at most `width` characters, if the cells are not wider.

    A wider table is split between columns. Each block repeats the leading text columns, which name the rows.
    """
    columns = [_column(table, index) for index in range(len(table.heads))]
    named = next((index for index in range(len(columns)) if index in table.numeric), 1)
    blocks = [
        _block(columns[:named], chosen, table.over) for chosen in _fitting(columns[:named], columns[named:], width)
    ]
    notes = "\n".join(_filled(note, width) for note in table.notes)
    return "\n\n".join(filter(None, [_filled(table.caption, width), *blocks, notes]))


def _column(table: TextTable, index: int) -> list[str]:
    """Return the head and the cells of a column, padded to one width. Numbers are aligned at their ends."""
    texts = [row[index] for row in table.rows]
    head = table.heads[index]
    if index in table.numeric:
        numbers = [split_number(text) for text in texts]
        digits = max((len(each.number) for each in numbers), default=0)
        texts = [f"{each.number:>{digits}}{each.rest}" for each in numbers]
        head = head.rjust(digits)
    width = max(map(len, [head, *texts]))
    return [text.ljust(width) for text in [head, *texts]]


def _fitting(names: Sequence[list[str]], columns: Sequence[list[str]], width: int) -> Iterator[list[list[str]]]:
    """Yield `columns` in groups that fit into `width` beside `names`. Each has at least one column."""
    room = width - sum(len(column[0]) + len(GAP) for column in names)
    group: list[list[str]] = []
    used = 0
    for column in columns:
        wanted = len(column[0]) + (len(GAP) if group else 0)
        if group and used + wanted > room:
            yield group
            group, used, wanted = [], 0, len(column[0])
        group.append(column)
        used += wanted
    if group or names:
        yield group


def _block(names: Sequence[list[str]], columns: Sequence[list[str]], over: str) -> str:
    """Return some columns as lines: a title, heads, a rule and rows."""
    head, *rows = [GAP.join(cells).rstrip() for cells in zip(*names, *columns, strict=True)]
    rule = GAP.join("-" * len(column[0]) for column in (*names, *columns))
    indent = sum(len(column[0]) + len(GAP) for column in names)
    title = [" " * indent + over] if over and columns else []
    return "\n".join([*title, head, rule, *rows])


def _filled(text: str, width: int) -> str:
    return textwrap.fill(text, width, break_long_words=False, break_on_hyphens=False)
