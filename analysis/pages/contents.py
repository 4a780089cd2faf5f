"""The contents of a report's pages without markup: tables of text, sections, pictures, and pages of these."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from analysis.numbers.tables import Table

UNPLANNED = "not planned here"
"""The verdict of a claim about a cell that isn't in the plan."""
NUMBER = re.compile(r"([+\-−]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?![\w.,:/-])|-(?= |$))(.*)", re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class TextTable:
    """A table of texts: one per head and per cell.

    `numeric` are the columns whose cells begin with a number; they are aligned at the end of the number. `over` is a
    title above the numeric columns, which are then the last ones. Texts in a column "verdict" begin with the verdict's
    word. `notes` are printed below.
    """

    caption: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: tuple[int, ...] = ()
    over: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Section:
    """A titled part of a page: paragraphs, then a list, then tables."""

    title: str
    paragraphs: tuple[str, ...] = ()
    items: tuple[str, ...] = ()
    tables: tuple[TextTable, ...] = ()


class Mark(NamedTuple):
    """A value in a picture: its place as fractions of the picture from its upper left corner, and its text."""

    x: float
    y: float
    text: str


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A figure. `name` is its file name without extension; `alt` describes it to readers who can't see it.

    `width` is that of the figure in inches. `marks` are the values that a page shows under the pointer. `empty` says
    that it has no value to show yet.
    """

    name: str
    caption: str
    alt: str
    data: bytes
    kind: Literal["png", "svg+xml"]
    width: float = 6.6
    marks: tuple[Mark, ...] = ()
    empty: bool = False


class Verdict(NamedTuple):
    """One line below the answer: the word of a verdict, or "" if there is none, and what it is about, with numbers."""

    word: str
    text: str


class Answer(NamedTuple):
    """The answer to a sweep's question: one short sentence, and the verdicts or differences behind it."""

    sentence: str
    verdicts: tuple[Verdict, ...] = ()


@dataclass(frozen=True, kw_only=True)
class SweepPage:
    """The contents of one sweep's page.

    `sentence` and `verdicts` are the answer; `paper` is what the sweep rebuilds, e.g. "Fig. 4", or "". `claims` and
    `values` have a column "verdict"; None if the sweep has none. `drawn` are the authors' printed curves that differ
    from their measurements. `remarks` are sentences on a whole figure or table of the paper (a stretched axis, two
    measurements mixed). `differences` are those from the paper, None if there is no paper. `holes` are the planned
    seeds without a value. `runs` maps trial id to run id. `commit` is that of the report's code, `trained` names those
    of the trainings.
    """

    sweep: str
    question: str
    paper: str
    sentence: str
    verdicts: tuple[Verdict, ...]
    endpoint: str
    claims: TextTable | None
    values: TextTable | None
    drawn: TextTable | None
    tables: tuple[TextTable, ...]
    figures: tuple[Picture, ...]
    remarks: tuple[str, ...]
    protocol: Section
    differences: tuple[str, ...] | None
    holes: tuple[str, ...]
    runs: Mapping[str, str]
    commit: str
    trained: str
    command: str
    source: str


@dataclass(frozen=True, kw_only=True)
class PaperPage:
    """The contents of the page on the whole paper: an index with every claim, each sweep, and how to reproduce it."""

    title: str
    introduction: tuple[str, ...]
    sweeps: tuple[SweepPage, ...]
    reproducibility: tuple[Section, ...]
    commit: str
    command: str


class ByPlan(NamedTuple):
    """Claims in two tables: those about cells of this plan, and the others; None for no claim."""

    planned: TextTable | None
    unplanned: TextTable | None


class Split(NamedTuple):
    """A cell's text in two parts: the number at its start (a dash if missing, "" if there is none), and the rest."""

    number: str
    rest: str


def split_number(text: str) -> Split:
    """Return e.g. ("83.4", " ± 1.2 (2 of 3)"); a sign belongs to the number."""
    found = NUMBER.fullmatch(text)
    return Split(*found.groups()) if found else Split("", text)


def by_plan(claims: TextTable | None) -> ByPlan:
    """Return the rows of `claims` in two tables: judged here, and UNPLANNED."""
    if claims is None:
        return ByPlan(None, None)
    verdict = claims.heads.index("verdict")
    rows = [[row for row in claims.rows if (row[verdict] == UNPLANNED) is unplanned] for unplanned in (False, True)]
    return ByPlan(*(replace(claims, rows=tuple(own)) if own else None for own in rows))


def grid(table: Table) -> TextTable:
    """Return a sweep's table as text; a cell that isn't planned is blank."""
    first = len(table.row_axes)
    return TextTable(
        caption=table.caption,
        heads=(*map(axis_title, table.row_axes), *table.columns),
        rows=tuple(
            (*row, *(table.cells[row, label].text() if (row, label) in table.cells else "" for label in table.columns))
            for row in table.rows
        ),
        numeric=tuple(range(first, first + len(table.columns))),
        over=axis_title(table.column_axis),
        notes=(*table.notes, *table.missing),
    )


def axis_title(axis: str) -> str:
    """Return an axis's name as printed."""
    return axis.replace("_", " ")
