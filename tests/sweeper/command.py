"""Runs the real `sweeper` command in a process of its own, with caches and data of the test's."""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from sweeper.results.locks import holder_of
from sweeper.results.paths import RunPaths

PROGRAM = "from sweeper.cli import main; main()"
NOT_HANDED_DOWN = ("MLFLOW_TRACKING_URI", "RAY_ADDRESS", "RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "SWEEPER_ADDRESS")
PATIENT = f"import sweeper.running.session as s, sweeper.tracking.views as v; s.GRACE_S = v.GRACE_S = 60; {PROGRAM}"
"""The same with time to learn at the end of a run what is wrong with its store, however busy the machine."""


class Ended(NamedTuple):
    """Exit code, stdout (data) and stderr (progress) of a command."""

    code: int
    out: str
    err: str


def environment(**extra: str) -> dict[str, str]:
    """Return an environment without the caller's store or Ray, with one thread for each worker."""
    kept = {key: value for key, value in os.environ.items() if key not in NOT_HANDED_DOWN}
    return kept | {"OMP_NUM_THREADS": "1", "CI": "1", "COLUMNS": "200"} | extra


def start(arguments: Sequence[str | Path], cwd: Path, *, program: str = PROGRAM, **extra: str) -> subprocess.Popen[str]:
    """Start `sweeper ARGUMENTS` in `cwd`."""
    command = [sys.executable, "-c", program, *map(str, arguments)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=cwd, env=environment(**extra), stdout=pipe, stderr=pipe, text=True)


def sweeper(*arguments: str | Path, cwd: Path, program: str = PROGRAM, **extra: str) -> Ended:
    """Run `sweeper ARGUMENTS` in `cwd` to its end, and to that of the process it may leave behind for the store."""
    process = start(arguments, cwd, program=program, **extra)
    out, err = process.communicate(timeout=240)
    wait_for_pushes(cwd)
    return Ended(process.returncode, out, err)


def wait_for_pushes(folder: Path, within_s: float = 120) -> None:
    """Return once no process brings a store up to date with a results folder in `folder`."""
    deadline = time.monotonic() + within_s
    while pushing(folder):
        assert time.monotonic() < deadline, "it never ended"
        time.sleep(0.1)


def pushing(folder: Path) -> list[int]:
    """Return the processes that bring a store up to date with a results folder in `folder`, or are about to."""
    locks = sorted(folder.glob("*/pushes/*.lock"), key=lambda path: path.stem.endswith(".now"))  # none slips by between
    holders = [holder_of(RunPaths(path.parent, path.stem)) for path in locks]
    return [holder.get("pid", 0) for holder in holders if holder is not None]
