"""What a shell completes after `sweeper`: profiles, axes and their values, trial ids. Files are left to the shell.

A completion never fails and prints no error: what can't be read completes to nothing. It loads nothing that trains.
"""

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import click
from click.shell_completion import BashComplete, CompletionItem, add_completion_class

from sweeper.errors import SweepError
from sweeper.results.paths import Results

MOST = 200
"""Trial ids that are offered at once."""
_BREAK = re.compile(r"[=:]")
_SPECIAL = re.compile(r"[^\w./,=:+-]")


def profiles(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the profiles of the sweep files of the command line."""
    names = [name for sweep in _sweeps(context) for name in sweep.profiles]
    return _starting(dict.fromkeys(names), incomplete)


def selectors(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the axes, then the values of the axis, that may follow in a selector such as `zeroing=none,seed=0`.

    Ids of trials are offered as long as no axis is begun.
    """
    sweeps = _sweeps(context)
    before, comma, term = incomplete.rpartition(",")
    name, equals, _ = term.partition("=")
    found: dict[str, None] = {}
    for sweep in sweeps:
        values = {axis.name: [value.label for value in axis.values] for axis in sweep.axes}
        values["seed"] = [str(seed) for seed in sweep.seeds]
        if equals:
            found |= dict.fromkeys(f"{before}{comma}{name}={label}" for label in values.get(name, ()))
        else:
            used = {part.partition("=")[0] for part in before.split(",")}
            found |= dict.fromkeys(f"{before}{comma}{axis}=" for axis in values if axis not in used)
    ids = [] if equals or comma else trials(context, parameter, incomplete)
    return [*_starting(found, incomplete), *ids]


def trials(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the ids of the trials in the results folder of the command line."""
    with suppress(SweepError, OSError):
        folder = Results.at(Path(context.params.get("results") or "results")).root / "trials"
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in entries if entry.name.startswith(incomplete) and entry.is_dir())
        return [CompletionItem(name) for name in names[:MOST]]
    return []


def _starting(names: dict[str, None], incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def _sweeps(context: click.Context) -> list[Any]:
    return list(_readable(context))


def _readable(context: click.Context) -> Iterator[Any]:
    from sweeper.sweepfile.sweep import load

    # click gives up at an option whose value is still missing, and leaves the arguments before it unread
    given = context.params.get("files") or context.params.get("file") or context.args
    for file in (given,) if isinstance(given, str | Path) else given:
        with suppress(SweepError, OSError):
            yield load(Path(file))


class Bash(BashComplete):
    """Bash takes `=` and `:` for the ends of words. Here they are parts of words, as in `--only zeroing=none`."""

    def get_completion_args(self) -> tuple[list[str], str]:
        """See ShellComplete. Returns the words before the cursor and the begun one, joined again."""
        words, begun = super().get_completion_args()
        joined: list[str] = []
        glue = False
        for word in [*words, begun]:
            ends = bool(_BREAK.fullmatch(word))
            if joined and (glue or ends) and not joined[-1].startswith("--"):
                joined[-1] += word
            else:
                joined.append(word)
            glue = ends
        self._offset = max((found.end() for found in _BREAK.finditer(joined[-1])), default=0)
        return joined[:-1], joined[-1]

    def format_completion(self, item: CompletionItem) -> str:
        """See ShellComplete. Bash replaces only what follows the last `=` or `:`; blanks and quotes are escaped."""
        if item.type != "plain":
            return super().format_completion(item)
        rest = _SPECIAL.sub(lambda found: rf"\\{found[0]}", item.value[self._offset :])  # bash reads \\ as \
        return f"{item.type},{rest}"


def register() -> None:
    """Have click use `Bash` for bash."""
    add_completion_class(Bash)
