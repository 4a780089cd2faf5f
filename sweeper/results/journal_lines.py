"""The lines of a journal: their kinds and limits, and reading them; a torn last line gives nothing."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from analysis.contract.lifecycle import ENDS
from sweeper.errors import shown
from sweeper.results.paths import ResultsError

FORM = 1
"""Version of a journal's form, in each attempt; raised when older code would misread what newer code writes."""


KINDS = frozenset({"attempt", "record", *ENDS})


LONGEST_LINE = 2**26
"""Bytes; the scores of ten thousand test episodes take a hundredth of it."""


Line = dict[str, Any]


class JournalError(ResultsError):
    """A journal that can't be believed, or that this version doesn't know; says where, and what to do."""

    def __init__(self, path: Path, trouble: str, remedy: str = "") -> None:
        trial_id = path.parent.name
        super().__init__(
            f"{trouble}; {remedy}--rerun {trial_id} puts it aside and trains anew, or move its folder away and import "
            "an export that has the trial"
        )


class DamagedJournalError(JournalError):
    """A line that no run writes, and not because a crash tore the last one."""

    def __init__(self, path: Path, fault: str) -> None:
        super().__init__(path, f"its journal is damaged: {path}{fault}")


class NewerJournalError(JournalError):
    """A journal that a newer version has written."""

    def __init__(self, path: Path, what: str) -> None:
        super().__init__(path, f"its journal is a newer sweeper's: {path} has {what}", "update this one; or ")


def read_lines(path: Path) -> Iterator[Line]:
    """Yield the whole lines of `path`; a torn last line, and a file that isn't there, give nothing.

    Raises DamagedJournalError naming a line that isn't JSON, NewerJournalError for an attempt of a later form.
    """
    if not path.exists():
        return
    for number, line in enumerate(path.read_bytes().splitlines(keepends=True), start=1):
        if line.endswith(b"\n"):
            yield _parsed(path, number, line)


def _parsed(path: Path, number: int, text: bytes) -> Line:
    if len(text) > LONGEST_LINE:
        raise DamagedJournalError(path, f":{number} is longer than {LONGEST_LINE} bytes")
    try:
        line = json.loads(text)
    except (ValueError, RecursionError):
        line = None
    if not isinstance(line, dict) or line.get("kind") not in KINDS:
        raise DamagedJournalError(path, f":{number} is no line of a journal")
    form = line.get("form", FORM)  # the first journals have none
    if form != FORM:
        raise NewerJournalError(path, f"form {shown(form)} at line {number}")
    return line
