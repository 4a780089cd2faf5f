"""Writes a trial's journal, the truth about it: append-only JSON lines, on disk before anything is reported.

Kinds of line: `attempt` (opens attempt n, with everything fixed for it), `record` (one measurement), and the four ends
`done`, `diverged`, `failed`, `interrupted`. Every line has its attempt and a time in milliseconds. A worker that
resumes sends its records again; the first of each (step, key) counts. Does not interpret the lines; see `fold`.
"""

import errno
import json
import logging
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from analysis.contract.lifecycle import End
from sweeper.results.journal_lines import FORM, Line, read_lines

logger = logging.getLogger(__name__)


class Journal:
    """One trial's journal, open for appending. Only the driver that holds the trial's lock may use it."""

    def __init__(self, path: Path) -> None:
        """Open `path` and cut off a last line that a crash left incomplete. Raises JournalError, OSError."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        _cut_torn_line(path)
        lines = list(read_lines(path))
        self.first = next((line for line in lines if line["kind"] == "attempt"), None)
        """The trial's first attempt, or None. Every later attempt reuses what it fixed."""
        self.attempts = max((line["attempt"] for line in lines), default=0)
        self._seen = {(line["step"], line["key"]) for line in lines if line["kind"] == "record"}

    def open_attempt(self, facts: Line) -> int:
        """Append the next attempt with its `facts` and return its number, counted from 1. Raises OSError."""
        self.attempts += 1
        self._append([{"kind": "attempt", "form": FORM, **facts}])
        return self.attempts

    def add(self, attempt: int, records: Iterable[tuple[int, str, dict[str, Any]]]) -> int:
        """Append the records (step, key, value) that are new and return their number; ignore a past attempt."""
        if attempt != self.attempts:
            return 0
        new = [(step, key, value) for step, key, value in records if (step, key) not in self._seen]
        self._append([{"kind": "record", "step": step, "key": key, "value": value} for step, key, value in new])
        self._seen.update((step, key) for step, key, _ in new)
        return len(new)

    def end(self, attempt: int, status: End, *, step: int, message: str = "") -> bool:
        """Append the end of `attempt`. Return False, and write nothing, if a later attempt has begun."""
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
                file.truncate(before)  # the next line must not be appended to half of this one
                raise


def _cut_torn_line(path: Path) -> None:
    if not path.exists():
        return
    with path.open("r+b") as file:
        content = file.read()
        whole = content.rfind(b"\n") + 1
        if torn := len(content) - whole:
            logger.warning("%s: cut off a last line of %d bytes that a crash left incomplete", path, torn)
            file.truncate(whole)
