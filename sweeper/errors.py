"""What sweeper tells a user who gave it something that can't be, and the exit code each kind of trouble has."""

import difflib
from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar, NamedTuple


class SweepError(Exception):
    """A sentence for the user, shown without a traceback. `exit_code` is what the command ends with."""

    exit_code: ClassVar[int] = 2


class TrackingError(SweepError):
    """The tracking store can't be reached or won't take what it is given; nothing but the view is behind."""

    exit_code: ClassVar[int] = 4


class Position(NamedTuple):
    """A place in a text file; both counts start at 1."""

    line: int
    column: int


class Problem(NamedTuple):
    """One thing wrong with a file and where."""

    position: Position
    message: str


class SweepFileError(SweepError):
    """Everything wrong with one file, in file order, each problem once; reads `path:line:column: message` a line."""

    def __init__(self, path: Path, problems: Iterable[Problem]) -> None:
        self.path = path
        self.problems = tuple(sorted(set(problems)))
        super().__init__("\n".join(f"{path}:{at.line}:{at.column}: {message}" for at, message in self.problems))


def suggest(name: str, allowed: Iterable[str]) -> str:
    """Return the end of a message about an unknown `name`: the nearest of `allowed`, or all of them when none is."""
    options = list(allowed)
    nearest = difflib.get_close_matches(name, options, n=1, cutoff=0.6)
    if nearest:
        return f"did you mean {nearest[0]!r}?"
    return f"known are {', '.join(options)}" if options else "none is known"


def shown(value: object) -> str:
    """Return `value` as a message quotes it: as YAML spells it, on one line, long ones cut."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, dict):
        return f"a mapping of {len(value)}"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
