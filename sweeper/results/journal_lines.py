"""The lines of a journal: their kinds and limits, and how to read them. Does not interpret them; see `fold`."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from analysis.contract.lifecycle import ENDS
from sweeper.errors import shown
from sweeper.results.paths import ResultsError

FORM = 1
"""The form of MAML's journals, stored in each attempt."""
FORM_OF_OTHERS = 2
"""The form of the journals of every other trainer, whose attempts name it.

The next form gets the next number when older code would misread newer journals.
"""


KINDS = frozenset({"attempt", "record", *ENDS})


LONGEST_LINE = 2**26
"""Bytes. The scores of ten thousand test episodes take one hundredth of this."""


Line = dict[str, Any]


DAMAGED = "its journal is damaged"
"""How the message about a damaged journal begins."""


class JournalError(ResultsError):
    """A journal that is damaged or that this version doesn't know. The message says where and what to do."""


class DamagedJournalError(JournalError):
    """A line that no run writes. An incomplete last line is not damage: a crash leaves one."""

    def __init__(self, path: Path, fault: str, lost: str = "") -> None:
        """`fault` follows the path: `:7 is not ...` or `, line 7: ...`. `lost` says what is lost and what is left."""
        self.fault = fault
        super().__init__(
            f"{DAMAGED}: {path}{fault}{lost and f'; {lost}'}; go on from there with `sweeper run FILE --mend "
            f"{path.parent.name}`, which keeps the damaged file beside it"
        )


class NewerJournalError(JournalError):
    """A journal that a newer version of sweeper wrote."""

    def __init__(self, path: Path, what: str) -> None:
        super().__init__(
            f"its journal is from a newer sweeper: {path} has {what}; update sweeper, or set it aside and train again "
            f"with --rerun {path.parent.name}, or move its folder away and import an archive that has the trial"
        )


def form_of(line: Line) -> Any:
    """Return the form that an attempt says it has; the oldest journals have none."""
    return line.get("form", FORM)


def voids(line: Line) -> bool:
    """Return whether `line` begins the training again, so that no line before it counts."""
    return line["kind"] == "attempt" and form_of(line) == FORM_OF_OTHERS and not line["resumes"]


def counting(lines: Sequence[Line]) -> Sequence[Line]:
    """Return those of a journal's `lines` that count: all from the last attempt that began the training again."""
    begun = [number for number, line in enumerate(lines) if voids(line)]
    return lines[begun[-1] :] if begun else lines


def split_lines(content: bytes) -> list[bytes]:
    """Return the lines of `content` with their newlines. Only the last one may lack it: a crash leaves such a line."""
    *whole, rest = content.split(b"\n")
    return [*(line + b"\n" for line in whole), *([rest] if rest else [])]


def read_lines(path: Path) -> Iterator[Line]:
    """Yield the whole lines of `path`. Ignores an incomplete last line; a missing file has no lines.

    Raises DamagedJournalError for a line that isn't a JSON object of a known kind, NewerJournalError for a later form.
    """
    if not path.exists():
        return
    for number, line in enumerate(split_lines(path.read_bytes()), start=1):
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
        raise DamagedJournalError(path, f":{number} is not a line of a journal")
    form = form_of(line)
    if form not in (FORM, FORM_OF_OTHERS):
        raise NewerJournalError(path, f"form {shown(form)} at line {number}")
    return line
