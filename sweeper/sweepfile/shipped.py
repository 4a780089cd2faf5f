"""The sweeps that ship with `sweeper`, each known by its name without a folder and without `.yaml`."""

import os
from functools import cache
from pathlib import Path

from sweeper.errors import Position, Problem, SweepFileError, suggest

FOLDER = Path(__file__).parents[1] / "sweeps"  # in a checkout a link to the folder at the top


@cache
def names() -> tuple[str, ...]:
    """Return the names of the shipped sweeps in alphabetical order."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.yaml")))


def located(path: Path) -> Path:
    """Return the file that `path` stands for: the shipped sweep of that name, if there is no such file, else `path`.

    Raises SweepFileError, which names a shipped sweep, if `path` looks like one and is none.
    """
    named = path.suffix == "" and path.name == str(path)
    if not (named or path.stem in names()) or os.path.lexists(path):
        return path
    if not named:
        hint = f"; the shipped sweep has the name {path.stem}, without folder and .yaml"
    elif path.name in names():
        return FOLDER / f"{path.name}.yaml"
    elif os.path.lexists(f"{path}.yaml"):
        hint = f"; did you mean {path}.yaml?"
    else:
        hint = f", and no shipped sweep has this name; {suggest(path.name, names())}"
    raise SweepFileError(path, [Problem(Position(1, 1), f"no such file{hint}")])
