"""Runs the real `sweeper` command in a process of its own."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from sweeper.results.locks import holder_of
from sweeper.results.paths import RunPaths
from tests.forks import Forked, fork
from tests.waiting import HANG_S, wait_until

PROGRAM = "from sweeper.cli import main; main()"
NOT_HANDED_DOWN = ("MLFLOW_TRACKING_URI", "RAY_ADDRESS", "RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "SWEEPER_ADDRESS")
STEADY = f"import sweeper.worker.work as work; work.CHECKPOINT_EVERY_S = float('inf'); {PROGRAM}"
"""The same with checkpoints at the end alone, also where a machine is so busy that one is due in between."""
PATIENT = (
    f"import sweeper.running.session as s, sweeper.tracking.views as v; s.GRACE_S = v.GRACE_S = {HANG_S}; {PROGRAM}"
)
"""The same with time at the end of a run for its store, however busy the machine: no process is left behind for it."""


class Ended(NamedTuple):
    """Exit code, stdout (data) and stderr (progress) of a command."""

    code: int
    out: str
    err: str


def environment(**extra: str) -> dict[str, str]:
    """Return an environment without the caller's store or Ray, with one thread for each worker."""
    kept = {key: value for key, value in os.environ.items() if key not in NOT_HANDED_DOWN}
    return kept | {"OMP_NUM_THREADS": "1", "CI": "1", "COLUMNS": "200"} | extra


def start(
    arguments: Sequence[str | Path],
    cwd: Path,
    *,
    program: str = PROGRAM,
    fresh: bool = False,
    without: str = "",
    **extra: str,
) -> Forked | subprocess.Popen[str]:
    """Start `sweeper ARGUMENTS` in `cwd`: in a fork of the warm process, or in a `fresh` interpreter.

    The fork finds nothing of the package `without`.
    """
    words, pipe = [*map(str, arguments)], subprocess.PIPE
    if not fresh:
        return fork(program, words, cwd=cwd, env=environment(**extra), without=without)
    command = [sys.executable, "-c", program, *words]
    return subprocess.Popen(command, cwd=cwd, env=environment(**extra), stdout=pipe, stderr=pipe, text=True)


def sweeper(
    *arguments: str | Path, cwd: Path, program: str = "", fresh: bool = False, without: str = "", **extra: str
) -> Ended:
    """Run `sweeper ARGUMENTS` in `cwd` to its end, and to that of the process it may leave behind for the store.

    By itself it is PATIENT, since a process that is left behind imports everything again; a `fresh` one is as it is.
    """
    program = program or (PROGRAM if fresh else PATIENT)
    process = start(arguments, cwd, program=program, fresh=fresh, without=without, **extra)
    out, err = process.communicate(timeout=HANG_S)
    wait_for_pushes(cwd)
    return Ended(process.returncode, out, err)


def wait_for_pushes(folder: Path) -> None:
    """Return once no process brings a store up to date with a results folder in `folder`."""
    wait_until(lambda: not pushing(folder), lambda: f"the end of {pushing(folder)}")


def pushing(folder: Path) -> list[int]:
    """Return the processes that bring a store up to date with a results folder in `folder`, or are about to."""
    locks = sorted(folder.glob("*/pushes/*.lock"), key=lambda path: path.stem.endswith(".now"))  # none slips by between
    holders = [holder_of(RunPaths(path.parent, path.stem)) for path in locks]
    return [holder.get("pid", 0) for holder in holders if holder is not None]
