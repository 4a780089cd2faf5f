"""The script of a slot and the words of its sbatch, from the options: pure functions."""

import re
import shlex
from collections.abc import Sequence
from pathlib import Path

from sweeper.executors.slurm.options import PYTHON, SETUP, Options, words_of

WARNING_S = 120
"""Before the time limit, Slurm warns a slot this many seconds ahead, or up to a minute earlier."""
LOG = "slot-%A_%a.log"
"""The name of a slot's log, in the words of sbatch."""
MOST_OF_LIMIT = 0.25
"""A slot stops this part of its time limit before the end, if that is less than WARNING_S."""


def script(options: Options, submission: Path, python: str) -> str:
    """Return the script that each element of the array runs: `submission` is the folder of what it trains.

    Until the slot listens to signals, they are ignored: a slot that ends while it starts would not be queued again.
    """
    setup = str(options.get(SETUP, "")).strip()
    runs = f"{options.get(PYTHON) or shlex.quote(python)} -m sweeper.executors.slurm.slot"
    lines = [
        "#!/bin/bash",
        "# A worker slot of `sweeper run --executor slurm`. sweeper wrote this file, with these words for sbatch:",
        *(f"#   {word}" for word in words_of(options)),
        *(["", setup] if setup else []),
        "",
        "trap '' TERM USR1",
        f"exec {runs} {shlex.quote(str(submission))}",
    ]
    return "\n".join(lines) + "\n"


def words(options: Options, name: str, indices: str, output: Path, waits_for: Sequence[str] = ()) -> list[str]:
    """Return the words of sbatch for one array: `indices` as sbatch reads them, `output` the folder of its logs.

    It begins when the jobs in `waits_for` have ended. What the user gives comes last, and so it decides.
    """
    folder = str(output).replace("%", "%%")
    given = dict(options)
    after = [str(given.pop("dependency"))] if "dependency" in given else []
    after += [f"afterany:{':'.join(waits_for)}"] if waits_for else []
    return [
        "--parsable",
        f"--job-name={name}",
        f"--array={indices}",
        *([] if "no-requeue" in options else ["--requeue"]),
        "--open-mode=append",
        f"--signal=B:USR1@{WARNING_S}",
        f"--output={folder}/{LOG}",
        "--ntasks=1",
        *([f"--dependency={','.join(after)}"] if after else []),
        *words_of(given),
    ]


def split(size: int, most: int) -> list[int]:
    """Return the sizes of the arrays that have `size` elements together, each at most `most`."""
    whole, rest = divmod(size, most)
    return [most] * whole + ([rest] if rest else [])


def seconds(duration: str) -> float | None:
    """Return a duration of Slurm (`2-03:04:05`, `04:00:00`, `3:20`) in seconds, None for UNLIMITED and the like."""
    found = re.fullmatch(r"(?:(\d+)-)?(?:(\d+):)?(\d+):(\d+)", duration.strip())
    if found is None:
        return None
    days, hours, minutes, rest = (int(part or 0) for part in found.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60.0 + rest


def lead_s(limit_s: float) -> float:
    """Return how long before its end a job with this time limit stops training, to save and to be queued again."""
    return min(WARNING_S, limit_s * MOST_OF_LIMIT)
