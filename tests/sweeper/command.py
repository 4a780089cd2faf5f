"""Runs the real `sweeper` command in a process of its own, with caches and data of the test's."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

PROGRAM = "from sweeper.cli import main; main()"


class Ended(NamedTuple):
    """Exit code, stdout (data) and stderr (progress) of a command."""

    code: int
    out: str
    err: str


def environment(**extra: str) -> dict[str, str]:
    """Return an environment without the caller's store or Ray, with one thread for each worker."""
    kept = {key: value for key, value in os.environ.items() if key not in ("MLFLOW_TRACKING_URI", "RAY_ADDRESS")}
    return kept | {"OMP_NUM_THREADS": "1", "CI": "1", "COLUMNS": "200"} | extra


def start(arguments: Sequence[str | Path], cwd: Path, **extra: str) -> subprocess.Popen[str]:
    """Start `sweeper ARGUMENTS` in `cwd`."""
    command = [sys.executable, "-c", PROGRAM, *map(str, arguments)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=cwd, env=environment(**extra), stdout=pipe, stderr=pipe, text=True)


def sweeper(*arguments: str | Path, cwd: Path, **extra: str) -> Ended:
    """Run `sweeper ARGUMENTS` in `cwd` to its end."""
    process = start(arguments, cwd, **extra)
    out, err = process.communicate(timeout=240)
    return Ended(process.returncode, out, err)
