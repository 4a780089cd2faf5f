"""The layout of a LaTeX table: font size, columns that break, and parts that fit a line and a page. Writes no LaTeX.

Widths are in em. They are those of Computer Modern, rounded up, which is wider than the fonts of most journals. A
layout is made for the line of a page of one column, which is narrower than both columns of a page of two.
"""

import math
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

LINE = 32.8  # em at 10 pt; `article` has 34.5 in one column at 10 pt, 32.9 at 11 pt, and 47 in both columns
COLUMN = 22.0  # em at 10 pt; one of two columns has 22.9 in `article`
PAGE = 460.0  # pt for the rows of one part; a page of 548 pt has heads, a caption and notes, too
LAST_LATIN = 0x17F  # end of Latin Extended-A, the last block for which a stock TeX has letters
NO_LETTERS = frozenset("ĦħĸĿŀŉŦŧſ")  # but for these
CELL_LINES = 6  # the most lines of a cell, while a smaller font or another part avoids more
WORDS = (9.0, 6.0, 3.5, 1.5)  # em; a wider word breaks. Only where nothing else helps, a later entry counts
BREAKS = re.compile(r"(?<=[_/.,:;=+|@-])(?=\w)")
"""Places where a long word breaks without a hyphen."""

LETTERS = {
    0.28: "!',.:;[]`il|·",
    0.31: "fj",
    0.37: "I- ",
    0.40: "()trs",
    0.45: "cez",
    0.50: '"$*/0123456789\\ago{}θ–?“”‘’',
    0.56: "Sbdhnpukqvxyρη",
    0.66: "FφZ^~LJ",
    0.75: "EPBCTwRAHNUVXY",
    0.79: "DG&+<=>@KOQ_±−×≤≥≈≠",
    0.84: "#%m",
    1.03: "MW—",
    1.17: "…",
}
EM = {letter: width for width, letters in LETTERS.items() for letter in letters}
WIDE = 1.03  # of any other letter
CODE = 4.7  # of a character that is printed as its U+ number


class Size(NamedTuple):
    """A font size: its command, its em per em at 10 pt, its baseline in a text of 12 pt, and em between two columns."""

    command: str
    em: float
    baseline: float
    gap: float


SIZES = (Size("", 1.0, 14.6, 1.2), Size(r"\footnotesize", 0.85, 12.2, 0.71), Size(r"\scriptsize", 0.80, 9.8, 0.76))
"""Computer Modern is relatively wider in small sizes. In these, columns are 6 pt apart and not 12."""


class Measured(NamedTuple):
    """A column's texts. `body` is the width of its cells in em, and `stacked` with what follows a number on two lines.

    Only a column that is not `fixed` may break.
    """

    head: str
    cells: Sequence[str]
    body: float
    stacked: float
    fixed: bool


class Means(NamedTuple):
    """The means by which a table may become narrower.

    A word that is wider than `word` breaks. The fixed columns are in `blocks` parts. Unless `long`, no cell has more
    than CELL_LINES lines. If `stacked`, what follows a number may have two lines. If `spanning`, the longest texts
    have lines of their own below each row. If `heads_break`, a head above a narrower column breaks.
    """

    word: float
    blocks: int = 1
    long: bool = False
    stacked: bool = False
    spanning: bool = False
    heads_break: bool = False


class Layout(NamedTuple):
    """How a table is set: `breaking` maps a column to its share of the width of all columns that break.

    `spanning` is the column with lines of its own below each row. `parts` are the columns and rows of each part. If
    `narrow`, the table fits one of two columns.
    """

    size: Size
    means: Means
    breaking: Mapping[int, float]
    spanning: int | None
    parts: tuple[tuple[tuple[int, ...], range], ...]
    narrow: bool


def printable(character: str) -> bool:
    """Return whether a stock TeX with T1 fonts has the character."""
    there = ord(character) <= LAST_LATIN and character not in NO_LETTERS
    return there and unicodedata.category(character) not in ("Cc", "Cf")


def width(text: str) -> float:
    """Return an upper bound of the width of `text` on one line, in em."""
    return sum(map(_letter, text))


def pieces(word: str, longest: float) -> list[str]:
    """Return the parts between which `word` may break: one if it is no wider than `longest`."""
    if width(word) <= longest:
        return [word]
    found = list[str]()
    for part in filter(None, BREAKS.split(word)):
        piece = ""
        for letter in part:
            if piece and width(piece + letter) > longest:
                found.append(piece)
                piece = ""
            piece += letter
        found.append(piece)
    return found


def narrowest(text: str, longest: float) -> float:
    """Return the width of the longest part of `text` that doesn't break."""
    return max((width(piece) for word in text.split() for piece in pieces(word, longest)), default=0.0)


def broken(text: str, room: float, longest: float) -> list[str]:
    """Return `text` in lines of up to `room` em, where its words and their pieces allow that."""
    lines, last = list[str](), ""
    for word in text.split():
        for index, piece in enumerate(pieces(word, longest)):
            joined = f"{last}{'' if index else ' '}{piece}" if last else piece
            if last and width(joined) > room:
                lines.append(last)
                joined = piece
            last = joined
    return [*lines, last]


def lay_out(columns: Sequence[Measured], over: str) -> Layout:
    """Return the layout by the mildest means with which every part fits a line: in few parts, then in a large font.

    A part has all columns of text and some of the `fixed` ones, with the title `over` above them.
    """
    found: list[Layout] = []
    for means in _means(columns, bool(over)):
        every = (_layout(columns, over, size, means) for size in (SIZES[-1:] if means.long else SIZES))
        found = [layout for layout in every if layout is not None]
        if found:
            break
    return min(found or [_unfit(columns)], key=lambda layout: len(layout.parts))


def head_lines(column: Measured, means: Means) -> list[str]:
    """Return the head of a column that doesn't break, in lines no wider than its cells or its widest word."""
    if not means.heads_break:
        return [column.head]
    return broken(column.head, max(_body(column, means), narrowest(column.head, means.word)), means.word)


def _means(columns: Sequence[Measured], homogeneous: bool) -> Iterator[Means]:
    """Yield the means, the mildest first. Columns that are not `homogeneous` are parted only if nothing else helps."""
    fixed = sum(column.fixed for column in columns)
    stacks = sorted({False, any(column.stacked < column.body for column in columns)})
    spans = sorted({False, not homogeneous and len(columns) - fixed > 1})
    several = range(2, fixed + 1)
    yield from (Means(WORDS[0], stacked=stacked, spanning=span) for span in spans for stacked in stacks)
    if homogeneous:
        yield from (Means(WORDS[0], blocks, stacked=stacks[-1]) for blocks in several)
    for word in WORDS:
        for blocks in (1, *several):
            yield Means(word, blocks, long=True, stacked=stacks[-1], spanning=spans[-1])


def _longest(columns: Sequence[Measured]) -> int:
    """Return the column of the longest texts: the last one with a cell wider than a line, or the widest."""
    texts = [index for index, column in enumerate(columns) if not column.fixed]
    return max(texts, key=lambda index: (min(columns[index].body, LINE), index))


def _blocks(columns: Sequence[Measured], count: int, spanning: int | None) -> list[tuple[int, ...]]:
    """Return the columns of `count` parts side by side, of about equally many fixed columns."""
    fixed = [index for index, column in enumerate(columns) if column.fixed]
    ends = [round(number * len(fixed) / count) for number in range(count + 1)]
    places = [index for index in range(len(columns)) if index != spanning]
    return [
        tuple(index for index in places if not columns[index].fixed or index in fixed[start:end])
        for start, end in pairwise(ends)
    ]


def _widths(
    columns: Sequence[Measured], block: Sequence[int], over: str, size: Size, means: Means
) -> dict[int, float] | None:
    """Return the widths of the columns that break so that `block` fits a line; None if it can't."""
    whole = {index: _whole(columns[index], means) for index in block}
    above = width(over) - sum(whole[index] for index in block if columns[index].fixed)
    room = LINE / size.em - size.gap * len(block) - (max(above, 0.0) if over else 0.0)
    texts = sorted((index for index in block if not columns[index].fixed), key=lambda index: -whole[index])
    if sum(whole.values()) <= room:
        return {texts[0]: whole[texts[0]]} if means.spanning else {}
    least = {i: max(narrowest(text, means.word) for text in (columns[i].head, *columns[i].cells)) for i in texts}
    for count in range(1, len(texts) + 1):
        chosen = texts[:count]
        left = room - sum(whole[index] for index in block if index not in chosen)
        wanted = [max(least[index], 0.0 if means.long else whole[index] / CELL_LINES) for index in chosen]
        if sum(wanted) <= left:
            return _spread({index: whole[index] for index in chosen}, least, left)
    return None


def _whole(column: Measured, means: Means) -> float:
    return max(_body(column, means), narrowest(column.head, means.word) if means.heads_break else width(column.head))


def _body(column: Measured, means: Means) -> float:
    return column.stacked if means.stacked else column.body


def _spread(whole: Mapping[int, float], least: Mapping[int, float], room: float) -> dict[int, float]:
    """Return widths that fill `room`, in proportion to `whole` where that is no less than `least`."""
    widths: dict[int, float] = {}
    while True:
        free = [index for index in whole if index not in widths]
        left, total = room - sum(widths.values()), sum(whole[index] for index in free)
        short = [index for index in free if left * whole[index] / total < least[index]]
        if not short:
            return widths | {index: left * whole[index] / total for index in free}
        widths |= {index: least[index] for index in short}


def _layout(columns: Sequence[Measured], over: str, size: Size, means: Means) -> Layout | None:
    """Return the layout in this size, with heads that break if need be; None if a part doesn't fit."""
    spanning = _longest(columns) if means.spanning else None
    blocks = _blocks(columns, means.blocks, spanning)
    for heads_break in (False, True):
        means = means._replace(heads_break=heads_break)
        found = [_widths(columns, block, over, size, means) for block in blocks]
        widths = [each for each in found if each is not None]
        if len(widths) < len(blocks):
            continue
        breaking = {index: min(each[index] for each in widths if index in each) for index in set().union(*widths)}
        rows = _rows(columns, breaking, spanning, size, means)
        lines = [sum(_whole(columns[index], means) + size.gap for index in block) for block in blocks]
        return Layout(
            size=size,
            means=means,
            breaking={index: room / sum(breaking.values()) for index, room in breaking.items()},
            spanning=spanning,
            parts=tuple((block, part) for block in blocks for part in rows),
            narrow=not breaking and max(lines) <= COLUMN / size.em,
        )
    return None


def _unfit(columns: Sequence[Measured]) -> Layout:
    """Return a layout for a table that fits by no means: equally wide columns in one part."""
    texts = {index: 1.0 for index, column in enumerate(columns) if not column.fixed}
    breaking = {index: share / len(texts) for index, share in texts.items()}
    parts = ((tuple(range(len(columns))), range(len(columns[0].cells))),)
    return Layout(SIZES[-1], Means(WORDS[-1], long=True, heads_break=True), breaking, None, parts, narrow=False)


def _rows(
    columns: Sequence[Measured], breaking: Mapping[int, float], spanning: int | None, size: Size, means: Means
) -> list[range]:
    """Return the rows of each part: as few parts as fit pages, of about the same height."""
    heights = []
    for row in range(len(columns[0].cells)):
        cells = [len(broken(columns[index].cells[row], room, means.word)) for index, room in breaking.items()]
        lines: float = max([2 if means.stacked else 1, *cells])
        if spanning is not None:
            lines += len(broken(columns[spanning].cells[row], LINE / size.em - 2, means.word)) + 0.5
        heights.append(size.baseline * lines)
    room = sum(heights) / max(math.ceil(sum(heights) / PAGE), 1)
    ranges, start, used = list[range](), 0, 0.0
    for row, height in enumerate(heights):
        if row > start and used + height / 2 > room:
            ranges.append(range(start, row))
            start, used = row, 0.0
        used += height
    return [*ranges, range(start, len(heights))]


def _letter(character: str) -> float:
    if character not in EM and not printable(character) and not character.isspace():
        return CODE
    base = unicodedata.normalize("NFD", character)[0]
    return EM.get(base, WIDE)
