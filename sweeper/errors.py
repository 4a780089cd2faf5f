"""Errors for the user, each kind with its exit code. Prints nothing: the commands do."""

import difflib
import errno
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import ClassVar, NamedTuple


class SweepError(Exception):
    """An error for the user, shown without a traceback. The command ends with `exit_code`."""

    exit_code: ClassVar[int] = 2

    def _render_traceback_(self) -> list[str]:
        """Return what a notebook prints: IPython asks an exception for it."""
        return [f"{type(self).__name__}: {self}"]


class TrackingError(SweepError):
    """The tracking store can't be reached or refuses data. The journals are complete; only the store lags behind."""

    exit_code: ClassVar[int] = 4


class PathError(SweepError):
    """A path that the user gave can't be what it was given for."""


class StorageError(SweepError):
    """The operating system refuses a file: no space, no permission, a broken disk."""

    exit_code: ClassVar[int] = 4


_BAD_PATH: Mapping[int | None, str] = {
    errno.EINVAL: "give the path of a file",
    errno.EISDIR: "give the path of a file",
    errno.ELOOP: "its links lead back to themselves; correct them",
    errno.ENAMETOOLONG: "give a shorter path",
    errno.ENOTDIR: "a part of this path is not a folder; give another path",
}
_BAD_PLACE: Mapping[int | None, str] = {
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), "give this user the right to read and write there"),
    **dict.fromkeys((errno.EDQUOT, errno.EFBIG, errno.ENOSPC), "free space there"),
}


def of_os(error: OSError, place: Path | None = None) -> SweepError:
    """Return the error for the user that says what the operating system refused, where, and what to do.

    `place` replaces the path in `error`, for example where that is a temporary one.
    """
    path = place or error.filename
    where = f"{os.fsdecode(path)}: " if isinstance(path, str | bytes | Path) else ""
    what = f"{where}{error.strerror or error}"
    if error.errno in _BAD_PATH:
        return PathError(f"{what}; {_BAD_PATH[error.errno]}")
    advice = _BAD_PLACE.get(error.errno, "repair that, then run the same command again")
    return StorageError(f"{what}; {advice}")


class Position(NamedTuple):
    """A position in a text file. Lines and columns count from 1."""

    line: int
    column: int


class Problem(NamedTuple):
    """One fault of a file and its position."""

    position: Position
    message: str


class SweepFileError(SweepError):
    """All faults of one file, in file order, each once. The text has a line `path:line:column: message` for each."""

    def __init__(self, path: Path, problems: Iterable[Problem]) -> None:
        self.path = path
        self.problems = tuple(sorted(set(problems)))
        super().__init__("\n".join(f"{path}:{at.line}:{at.column}: {message}" for at, message in self.problems))


def suggest(name: str, allowed: Iterable[str]) -> str:
    """Return the end of a message about an unknown `name`: the most similar of `allowed`, or all if none is similar."""
    options = list(allowed)
    nearest = difflib.get_close_matches(name, options, n=1, cutoff=0.6)
    if nearest:
        return f"did you mean {nearest[0]!r}?"
    return f"choose from {', '.join(options)}" if options else "there are none"


def shown(value: object) -> str:
    """Return `value` as messages quote it: in YAML spelling, on one line, cut to 60 characters."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, dict):
        return f"a mapping of {len(value)}"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
