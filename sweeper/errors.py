"""Errors for the user, each kind with its exit code. Prints nothing: the commands do."""

import difflib
from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar, NamedTuple


class SweepError(Exception):
    """An error for the user, shown without a traceback. The command ends with `exit_code`."""

    exit_code: ClassVar[int] = 2


class TrackingError(SweepError):
    """The tracking store can't be reached or refuses data. The journals are complete; only the store lags behind."""

    exit_code: ClassVar[int] = 4


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
