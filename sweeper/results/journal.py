"""Writes a trial's journal, the truth about it: append-only JSON lines, on disk before anything is reported.

Kinds of line: `attempt` (opens attempt n, with everything fixed for it), `record` (one measurement), and the four ends
`done`, `diverged`, `failed`, `interrupted`. Every line has its attempt and a time in milliseconds. A worker that
resumes sends its records again; the first of each (step, key) counts, and a trainer other than MAML must send the same
value again. A training that can't resume begins again, and what was before counts no more. Does not interpret the
lines; see `fold`.
"""

import errno
import json
import logging
import os
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from analysis.contract.lifecycle import End
from sweeper.results.journal_lines import FORM, FORM_OF_OTHERS, Line, form_of, read_lines, voids
from sweeper.results.paths import TrialPaths
from trainers.sealed_file import naming

logger = logging.getLogger(__name__)

LONGEST_TAIL = 4096
"""Bytes of the last append that are compared before the next."""


class TakenOverError(Exception):
    """Another run has begun a later attempt of the trial, so this attempt must write no more."""

    def __init__(self, attempt: int) -> None:
        super().__init__(
            f"another run has begun attempt {attempt}; a lock file was deleted, or locks don't work on this file system"
        )


class NotReproducibleError(Exception):
    """A trainer that claims to resume to the bit has sent a record again with another value."""

    def __init__(self, step: int, was: Mapping[str, Any], now: Mapping[str, Any]) -> None:
        first = next(name for name in {**was, **now} if was.get(name) != now.get(name))
        super().__init__(
            f"not reproducible at step {step}: {first} was {was.get(first, 'absent')} and is "
            f"{now.get(first, 'absent')} now; mend its trainer, or let it say that it does not resume, and train the "
            "trial from step 0 with --rerun"
        )


class Journal:
    """One trial's journal, open for appending. Only the driver that holds the trial's lock may use it.

    Where locks don't work, two drivers may hold it. Then the later attempt goes on, and the earlier one writes no more.
    """

    def __init__(self, path: Path) -> None:
        """Open `path` and cut off a last line that a crash left incomplete. Raises JournalError, OSError."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._paths = TrialPaths(path.parent)
        self._claimed = 0
        self._opening = self._tail = b""
        self._opened = self._torn = False
        _cut_torn_line(path)
        self._bytes = path.stat().st_size if path.exists() else 0
        lines = list(read_lines(path))
        self.first = next((line for line in lines if line["kind"] == "attempt"), None)
        """The trial's first attempt, or None. Every later attempt reuses what it fixed."""
        self.attempts = max((line["attempt"] for line in lines), default=0)
        """The number of the last attempt."""
        self._seen: dict[tuple[int, str], Any] = {}
        """The records that count, and their values where a value that is sent again must be the same."""
        self._repeats_values = False
        self._note(lines)

    def claim(self) -> int:
        """Take the next attempt by making its folder: one process alone can. Return its number.

        Raises TakenOverError, OSError.
        """
        number = 1 + max(self.attempts, self._paths.last_attempt())
        try:
            self._paths.attempt(number).mkdir()
        except FileExistsError:
            raise TakenOverError(number) from None
        self._claimed = number
        return number

    def open_attempt(self, facts: Line) -> int:
        """Append the next attempt with its `facts` and return its number. Raises TakenOverError, OSError.

        Numbers count from 1. One is left out where an attempt has a folder and no line.
        """
        if not self._claimed:
            self.claim()
        self.attempts, self._claimed, self._opening = self._claimed, 0, b""
        self._opened = True
        self._append([{"kind": "attempt", "form": FORM, **facts}])
        return self.attempts

    def add(self, attempt: int, records: Iterable[tuple[int, str, dict[str, Any]]]) -> int:
        """Append the records (step, key, value) that are new and return their number; ignore a past attempt.

        Raises NotReproducibleError, with nothing written, TakenOverError, OSError.
        """
        if attempt != self.attempts:
            return 0
        lines = [{"kind": "record", "step": step, "key": key, "value": value} for step, key, value in records]
        if self._repeats_values:
            self._compare(lines)
        return self._append(self._new(lines))

    def end(self, attempt: int, status: End, *, step: int, message: str = "") -> bool:
        """Append the end of `attempt`. Return False, and write nothing, if a later attempt has begun here.

        Raises TakenOverError if it has begun in another process, OSError.
        """
        if attempt != self.attempts:
            return False
        text = message.encode(errors="backslashreplace").decode()  # half a character is not JSON for everyone
        self._append([{"kind": status, "step": step, "message": text}])
        return True

    def _compare(self, lines: Iterable[Line]) -> None:
        for line in lines:
            was = self._seen.get((line["step"], line["key"]))
            if was is not None and was != line["value"]:
                raise NotReproducibleError(line["step"], was, line["value"])

    def _note(self, lines: Iterable[Line]) -> None:
        """Remember the records among `lines`, the last of the journal; the first of each (step, key) counts."""
        for line in lines:
            if line["kind"] == "attempt":
                self._repeats_values = form_of(line) == FORM_OF_OTHERS
                if voids(line):
                    self._seen.clear()
            elif line["kind"] == "record":
                value = line["value"] if self._repeats_values else None
                self._seen.setdefault((line["step"], line["key"]), value)

    def _new(self, lines: list[Line]) -> list[Line]:
        return [line for line in lines if line["kind"] != "record" or (line["step"], line["key"]) not in self._seen]

    def _append(self, lines: list[Line]) -> int:
        """Append those of `lines` that are new and return their number."""
        if not lines:
            return 0
        now = time.time_ns() // 1_000_000
        with naming(self.path), self.path.open("a+b", buffering=0) as file:
            if self._torn:
                file.truncate(self._bytes)
                self._torn = False
            self._look(file.fileno(), file.seek(0, os.SEEK_END))
            lines = self._new(lines)
            stamped = [{"kind": line["kind"], "attempt": self.attempts, "time_ms": now} | line for line in lines]
            text = "".join(json.dumps(line, allow_nan=False, separators=(",", ":")) + "\n" for line in stamped).encode()
            try:
                if file.write(text) < len(text):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                os.fsync(file.fileno())
            except OSError:
                self._torn = True  # the next line must not be appended to half of this one
                file.truncate(self._bytes)
                self._torn = False
                raise
        self._bytes += len(text)
        self._note(stamped)
        self._opening, self._tail = self._opening or text, text[-LONGEST_TAIL:]
        return len(lines)

    def _look(self, descriptor: int, size: int) -> None:
        """Read what another process has appended, if the file has not the `size` and the end that this one left.

        Raises TakenOverError if another attempt has begun. Only the size is sure to be new on a network file system:
        opening a file asks the server for it.
        """
        if self._opened and self._paths.passed(self.attempts):
            raise TakenOverError(self.attempts + 1)
        tail = os.pread(descriptor, len(self._tail), size - len(self._tail)) if size >= len(self._tail) else b""
        if size == self._bytes and tail == self._tail:
            return
        lines = list(read_lines(self.path))
        latest = max((line["attempt"] for line in lines), default=0)
        ours = self._opening and self._opening in self.path.read_bytes()
        opened = any(line["kind"] == "attempt" and line["attempt"] == self.attempts for line in lines)
        if latest > self.attempts or (opened and not ours):  # the second after a --rerun elsewhere
            raise TakenOverError(latest)
        self._bytes = size
        self._note(lines)


def _cut_torn_line(path: Path) -> None:
    if not path.exists():
        return
    with path.open("r+b") as file:
        content = file.read()
        whole = content.rfind(b"\n") + 1
        if torn := len(content) - whole:
            logger.warning("%s: cut off a last line of %d bytes that a crash left incomplete", path, torn)
            file.truncate(whole)
