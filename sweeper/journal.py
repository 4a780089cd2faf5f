"""The truth about a trial: append-only JSON lines, on disk before anything is reported, and the fold that reads them.

Kinds of line: `attempt` (opens attempt n, with all that is fixed for it), `record` (something measured), and the
four ends `done`, `diverged`, `failed`, `interrupted`. Every line carries its attempt and a time in milliseconds. A
worker that resumes sends its records again; the first of each (step, key) counts.
"""

import errno
import json
import logging
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sweeper.errors import shown
from sweeper.results import ResultsError
from sweeper.schema import SCHEMA_VERSION, Status, Training, TrialRecord

logger = logging.getLogger(__name__)

FORM = 1
"""Version of a journal's form, in each attempt; raised when older code would misread what newer code writes."""

ENDS: tuple[Status, ...] = ("done", "diverged", "failed", "interrupted")

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


class Journal:
    """One trial's journal, open for appending by the one driver that holds the trial's lock."""

    def __init__(self, path: Path) -> None:
        """Open `path`, cutting off a last line that a crash tore."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        _cut_torn_line(path)
        lines = list(read_lines(path))
        self.first = next((line for line in lines if line["kind"] == "attempt"), None)
        """The trial's first attempt: what it fixed is used again by every later one."""
        self.attempts = max((line["attempt"] for line in lines), default=0)
        self._seen = {(line["step"], line["key"]) for line in lines if line["kind"] == "record"}

    def open_attempt(self, facts: Line) -> int:
        """Journal the next attempt with its `facts` and return its number."""
        self.attempts += 1
        self._append([{"kind": "attempt", "form": FORM, **facts}])
        return self.attempts

    def add(self, attempt: int, records: Iterable[tuple[int, str, dict[str, Any]]]) -> int:
        """Journal the (step, key, value) not known yet and return how many; those of a past attempt are dropped."""
        if attempt != self.attempts:
            return 0
        new = [(step, key, value) for step, key, value in records if (step, key) not in self._seen]
        self._append([{"kind": "record", "step": step, "key": key, "value": value} for step, key, value in new])
        self._seen.update((step, key) for step, key, _ in new)
        return len(new)

    def end(self, attempt: int, status: Status, *, step: int, message: str = "") -> bool:
        """Journal the end of `attempt`; False, and nothing written, if a later attempt has begun."""
        if attempt != self.attempts:
            return False
        self._append([{"kind": status, "step": step, "message": message}])
        return True

    def _append(self, lines: list[Line]) -> None:
        if not lines:
            return
        now = time.time_ns() // 1_000_000
        stamped = [{"kind": line["kind"], "attempt": self.attempts, "time_ms": now} | line for line in lines]
        text = "".join(json.dumps(line, allow_nan=False, separators=(",", ":")) + "\n" for line in stamped)
        with self.path.open("ab", buffering=0) as file:
            before = file.tell()
            try:
                if file.write(text.encode()) < len(text.encode()):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                os.fsync(file.fileno())
            except OSError:
                file.truncate(before)  # the next line must not be glued to half of this one
                raise


def _cut_torn_line(path: Path) -> None:
    if not path.exists():
        return
    with path.open("r+b") as file:
        content = file.read()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            logger.warning("%s: cut off a last line of %d bytes that a crash tore", path, len(content) - whole)
            file.truncate(whole)


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


@contextmanager
def understood(path: Path) -> Iterator[None]:
    """Turn what lines of another form make their reader raise into a DamagedJournalError that names the first.

    Lines are read as what a run writes, and not all checked beforehand: a folder has thousands of journals.
    """
    try:
        yield
    except (LookupError, TypeError, AttributeError, ArithmeticError, RecursionError):
        raise DamagedJournalError(path, _fault(path)) from None


def _fault(path: Path) -> str:
    from sweeper.journal_form import JournalFormError, check

    content = path.read_bytes()
    try:
        check(content[: content.rfind(b"\n") + 1], path.parent.name)
    except JournalFormError as error:
        return f", {error}"
    return " can't be read"


def fold(path: Path) -> TrialRecord | None:
    """Return all that the journal at `path` says of its trial, or None if it holds no attempt.

    An attempt without an end is "running"; whether somebody still holds its lock is not the journal's to know.
    Raises JournalError for one that is damaged.
    """
    with understood(path):
        return fold_lines(list(read_lines(path)))


def fold_lines(lines: Sequence[Line]) -> TrialRecord | None:
    """Return what a journal's `lines` say; see `fold`. Lines that no run writes raise what they may."""
    if not lines:
        return None
    attempts = [line for line in lines if line["kind"] == "attempt"]
    if lines[0]["kind"] != "attempt":
        raise LookupError("the first line doesn't open an attempt")
    newest = attempts[-1]
    records: dict[tuple[int, str], Line] = {}
    for line in lines:
        if line["kind"] == "record":
            records.setdefault((line["step"], line["key"]), line)
    ordered = [records[key] for key in sorted(records)]
    last = lines[-1]
    status: Status = last["kind"] if last["kind"] in ENDS else "running"
    scores = [line for line in ordered if line["key"] == "scores"]
    reached = [line["step"] for line in lines if line["kind"] == "record" or line["kind"] in ENDS]
    finals = _stamped(ordered, "final")
    record = TrialRecord(
        schema=SCHEMA_VERSION,
        trial_id=newest["trial_id"],
        point=newest["point"],
        cell=newest["cell"],
        seed=newest["seed"],
        status=status,
        message=last["message"] if status == last["kind"] else "",
        step=max(reached, default=0),
        target=newest["target"],
        done_step=max((line["step"] for line in lines if line["kind"] == "done"), default=0),
        config=newest["config"],
        training=_training([line for line in ordered if line["key"] == "training"]),
        evaluations=_stamped(ordered, "evaluation"),
        probes=_stamped(ordered, "probe"),
        scores={"step": scores[-1]["step"], **scores[-1]["value"]} if scores else None,
        attempts=[{key: value for key, value in line.items() if key not in ("kind", "config")} for line in attempts],
    )
    return record | {"finals": finals} if finals else record  # without one a trial shows what it always did


def _stamped(lines: list[Line], key: str) -> list[dict[str, Any]]:
    return [{"step": line["step"], "time_ms": line["time_ms"], **line["value"]} for line in lines if line["key"] == key]


def _training(lines: list[Line]) -> Training:
    return Training(
        step=[line["step"] for line in lines],
        time_ms=[line["time_ms"] for line in lines],
        query_loss=[line["value"]["query_loss"] for line in lines],
        query_accuracy=[line["value"]["query_accuracy"] for line in lines],
    )
