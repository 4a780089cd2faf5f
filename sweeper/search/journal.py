"""The journal of one search: append-only JSON lines, on disk before anyone acts on them. Replay reads lines alone.

The fold of the lines is in `state`. Another part may read a journal while its run writes it.
"""

import errno
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sweeper.planning.searched import search_id
from sweeper.results.journal_lines import split_lines
from sweeper.results.paths import ResultsError, SearchPaths
from sweeper.search.state import FORM, FoldError, Line, State
from trainers.sealed_file import naming

LONGEST_LINE = 2**24


class SearchJournalError(ResultsError):
    """A journal of a search that is damaged, or that this version does not know."""

    def __init__(self, path: Path, number: int, fault: str) -> None:
        super().__init__(
            f"{path}:{number} {fault}; the journal of this search is damaged: restore the file, or move its folder "
            "away to search again (trials that are trained are not trained again)"
        )


class SearchTakenOverError(ResultsError):
    """Another process goes on with a search, so this one must write no more of it."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path}: another process has gone on with this search meanwhile; run the same command again")


class SearchJournal:
    """The journal of one search, open for appending. Only the run that holds the search's lock may use it."""

    def __init__(self, paths: SearchPaths) -> None:
        """Fold the journal; cut off a last line that a crash left incomplete. Raises SearchJournalError, OSError."""
        self._path = paths.journal
        self._torn = False
        self._read_whole()

    def catch_up(self) -> bool:
        """Fold what others have appended; return whether `state` is another object, as after a journal was replaced.

        Raises SearchJournalError, OSError.
        """
        if self._torn or self._size() < self._bytes:
            self._read_whole()
            return True
        more = self._whole(self._bytes)
        for text in split_lines(more):
            self._lines += 1
            _add(self.state, text, self._path, self._lines)
        self._bytes += len(more)
        _check_place(self.state, self._path)
        return False

    def _size(self) -> int:
        return self._path.stat().st_size if self._path.exists() else 0

    def _read_whole(self) -> None:
        whole = self._whole(0)
        self._bytes, self._lines = len(whole), whole.count(b"\n")
        self._torn = False
        self.state = fold(whole, self._path)

    def _whole(self, first: int) -> bytes:
        """Return the whole lines from byte `first` on, and cut off what a crash left of another."""
        content = _content(self._path, first)
        whole = content[: content.rfind(b"\n") + 1]
        if len(whole) < len(content):
            with self._path.open("r+b") as file:
                file.truncate(first + len(whole))
        return whole

    def append(self, line: Line) -> None:
        """Write `line` with the time, wait for the disk, and fold it.

        Raises OSError, with nothing written, and SearchTakenOverError if another process has written since.
        """
        stamped = {"kind": line["kind"], "time_ms": time.time_ns() // 1_000_000} | line
        text = _text(stamped)
        self.state.add(stamped)  # before it is written: what can't be folded must never stand on disk
        new = not self._path.exists()
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with naming(self._path), self._path.open("ab", buffering=0) as file:
            if self._torn:
                file.truncate(self._bytes)
            if file.seek(0, os.SEEK_END) != self._bytes:
                raise SearchTakenOverError(self._path)
            try:
                self._torn = True  # until all of the line is on disk
                if file.write(text) < len(text):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                os.fsync(file.fileno())
            except OSError:
                file.truncate(self._bytes)
                raise
            self._torn = False
        if new:
            _sync_folders(self._path.parent)
        self._bytes += len(text)
        self._lines += 1

    def begin(self, facts: Any) -> None:
        """Write the first line, unless it is there."""
        if not self.state.facts:
            self.append({"kind": "search", "form": FORM, "facts": facts})


def read_state(paths: SearchPaths) -> State:
    """Return the state of a search as its whole lines tell it; an empty one if it has no journal.

    Raises SearchJournalError.
    """
    content = _content(paths.journal)
    return fold(content[: content.rfind(b"\n") + 1], paths.journal)


def fold(content: bytes, path: Path) -> State:
    """Return the state after the lines of `content`, the file at `path`. Raises SearchJournalError."""
    state = State()
    for number, text in enumerate(split_lines(content), start=1):
        _add(state, text, path, number)
    _check_place(state, path)
    return state


def _check_place(state: State, path: Path) -> None:
    if state.facts and search_id(state.facts) != path.parent.name:
        raise SearchJournalError(path, 1, f"is of the search {search_id(state.facts)}, and stands in another's folder")


def _add(state: State, text: bytes, path: Path, number: int) -> None:
    try:
        state.add(_line(text))
    except FoldError as error:
        raise SearchJournalError(path, number, str(error)) from None
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        raise SearchJournalError(path, number, "is not a line of a search") from None


def _line(text: bytes) -> Line:
    if len(text) > LONGEST_LINE or not text.endswith(b"\n"):
        raise FoldError("is too long or cut short")
    line = json.loads(text)
    if not isinstance(line, dict):
        raise FoldError("is not a line of a search")
    return line


def lines_of(paths: SearchPaths) -> Iterator[Line]:
    """Yield the whole lines of a journal. Raises ValueError for one that is no JSON."""
    content = _content(paths.journal)
    for text in split_lines(content[: content.rfind(b"\n") + 1]):
        yield _line(text)


def _text(line: Line) -> bytes:
    return json.dumps(line, allow_nan=False, separators=(",", ":")).encode() + b"\n"


def _content(path: Path, first: int = 0) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(first)
            return file.read()
    except (FileNotFoundError, NotADirectoryError):
        return b""


def _sync_folders(folder: Path) -> None:
    """Let the new file's name outlive a crash of the machine, too."""
    for place in (folder, folder.parent):
        descriptor = os.open(place, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
