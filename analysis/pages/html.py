"""Writes pages as HTML. Each page is one file with its figures, style and script inside; it loads nothing.

All text is escaped. The same page gives the same bytes.
"""

import base64
import hashlib
import json
import math
import re
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from analysis.pages.contents import PaperPage, Picture, SweepPage, TextTable, by_plan, split_number


class Mark(NamedTuple):
    """The marks of a verdict besides its colour: a sign before its word, and a kind of border."""

    sign: str
    kind: str


GOOD, BAD, OPEN = "good", "bad", "open"
MARKS: dict[str, Mark] = {
    "reproduced": Mark("✓", GOOD),
    "agrees": Mark("✓", GOOD),
    "reversed": Mark("✗", BAD),
    "contradicted": Mark("✗", BAD),
    "differs": Mark("≠", BAD),
    "negligible": Mark("≈", BAD),
}
"""Start of a verdict's text -> its mark; every other verdict leaves the question open."""
UNSETTLED = Mark("?", OPEN)
LONGEST_UNBROKEN = 24  # letters; a longer cell is broken into lines
LARGEST = 10  # rem for an inch of a figure: its letters become at most 1.1 rem high
MOST_MISSING = 12  # missing values that a page lists; more are folded away
LETTER_CH = 0.75  # mean width of a letter in the CSS unit ch, which is the width of a digit


AUTHORS = "Compared with the authors"
UNPLANNED = "Claims not planned here"
DIFFERENCES = "Differences from the paper"


class Script(NamedTuple):
    """The script of every page, and the digest by which the page's policy allows it and no other."""

    text: Markup
    digest: str


class Widths(NamedTuple):
    """Widths of the two parts of a numeric column's cells, in widths of a digit."""

    number: int
    rest: float


def sweep_html(page: SweepPage) -> str:
    """Return the page of one sweep."""
    return _rendered("sweep.html.j2", page=page)


def paper_html(page: PaperPage) -> str:
    """Return the page of the whole paper: contents, all claims, each sweep, reproducibility."""
    anchors = _anchors([sweep.sweep for sweep in page.sweeps])
    return _rendered("paper.html.j2", page=page, anchors=anchors, claims=all_claims(page.sweeps))


def all_claims(sweeps: Sequence[SweepPage]) -> TextTable | None:
    """Return the claims of all sweeps in one table, the sweep first; None if there are none."""
    tables = [(sweep.sweep, sweep.claims) for sweep in sweeps if sweep.claims is not None]
    if not tables:
        return None
    first = tables[0][1]
    return TextTable(
        caption=f"Every claim {'of the paper ' if any(sweep.paper for sweep in sweeps) else ''}that a sweep judges.",
        heads=("sweep", *first.heads),
        rows=tuple((name, *row) for name, table in tables for row in table.rows),
        numeric=tuple(column + 1 for column in first.numeric),
        notes=tuple(dict.fromkeys(note for _, table in tables for note in table.notes)),
    )


def titles(page: SweepPage) -> tuple[str, ...]:
    """Return the titles of the parts that the page has, in order."""
    claims = by_plan(page.claims)
    every = {
        "Figures": page.figures,
        "Tables": page.tables,
        "Claims": claims.planned,
        "Missing": page.holes,
        "Remarks": page.remarks,
        AUTHORS: page.values or page.drawn,
        UNPLANNED: claims.unplanned,
        "Protocol": page.protocol.paragraphs or page.protocol.items or page.protocol.tables,
        DIFFERENCES: page.differences is not None,
        "Provenance": True,
    }
    return tuple(title for title, content in every.items() if content)


def _rendered(template: str, **names: object) -> str:
    text = _environment().get_template(template).render(**names)
    return "\n".join(line for line in text.splitlines() if line.strip()) + "\n"


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("analysis.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {"data_uri": _data_uri, "split_number": split_number, "verdict": _mark, "widths": _widths}
    environment.globals |= {"by_plan": by_plan, "titles": titles, "anchor": _anchor, "marks": _marks}
    environment.globals |= {"AUTHORS": AUTHORS, "UNPLANNED": UNPLANNED, "DIFFERENCES": DIFFERENCES}
    environment.globals |= {"LONGEST_UNBROKEN": LONGEST_UNBROKEN, "LARGEST": LARGEST}
    environment.globals |= {"MOST_MISSING": MOST_MISSING}
    environment.globals["script"] = _script(environment)
    return environment


def _script(environment: Environment) -> Script:
    """Return the script without blank lines, which `_rendered` drops, and with no end of a line that it would move."""
    lines = environment.get_template("script.js").render().splitlines()
    text = "\n".join(line for line in lines if line.strip())
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return Script(Markup(text), f"sha256-{digest}")


def _anchor(prefix: str, title: str) -> str:
    """Return the HTML id of a part; `prefix` is that of the sweep on a page of several."""
    return "--".join(filter(None, (prefix, re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-"))))


def _marks(figure: Picture) -> str:
    return json.dumps([list(mark) for mark in figure.marks], ensure_ascii=False, separators=(",", ":"))


def _data_uri(figure: Picture) -> str:
    return f"data:image/{figure.kind};base64,{base64.b64encode(figure.data).decode()}"


def _mark(text: str) -> Mark:
    return next((mark for word, mark in MARKS.items() if text.startswith(word)), UNSETTLED)


def _widths(table: TextTable) -> list[Widths]:
    columns = [[split_number(row[column]) for row in table.rows] for column in range(len(table.heads))]
    longest = [
        [max((len(split[part]) for split in splits if split.number), default=0) for part in (0, 1)]
        for splits in columns
    ]
    return [Widths(number, math.ceil(10 * LETTER_CH * rest) / 10) for number, rest in longest]


def _anchors(names: Sequence[str]) -> dict[str, str]:
    """Return an HTML id for each sweep, of letters that need no escaping; equal ids get a number."""
    anchors: dict[str, str] = {}
    for name in names:
        anchor = f"sweep-{re.sub(r'[^A-Za-z0-9]+', '-', name).strip('-')}"
        anchors[name] = f"{anchor}-{len(anchors) + 1}" if anchor in anchors.values() else anchor
    return anchors
