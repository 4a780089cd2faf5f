"""Where a slot stands: its element of the array, its life, and the lock that it holds. Trains nothing."""

import os
import socket
import time
from typing import NamedTuple

from sweeper.executors.slurm import commands
from sweeper.executors.slurm.commands import SlurmError
from sweeper.executors.slurm.queue import Life
from sweeper.executors.slurm.submission import Submission
from sweeper.results.locks import holder_of
from sweeper.results.paths import RunPaths

ENDING_S = 2.0
"""How long Slurm may take to notice that a slot has been killed."""


class Place(NamedTuple):
    """Where this slot stands in its array, as Slurm tells it in the environment."""

    job: str
    number: int
    restarts: int
    node: str

    @classmethod
    def here(cls) -> "Place":
        found = os.environ
        array, index = found.get("SLURM_ARRAY_JOB_ID"), found.get("SLURM_ARRAY_TASK_ID")
        return cls(
            job=f"{array}_{index}" if array and index else found.get("SLURM_JOB_ID", "none"),
            number=int(index or 0),
            restarts=int(found.get("SLURM_RESTART_COUNT", 0)),
            node=found.get("SLURMD_NODENAME", socket.gethostname()),
        )


def life_of(place: Place) -> Life | None:
    try:
        return commands.life_of(place.job)
    except SlurmError as error:
        say(f"{error}; the slot goes on, and listens for Slurm's own warning")
        return None


def lock_of(submission: Submission, place: Place) -> RunPaths:
    return RunPaths(submission.slots, f"{place.job}@{place.node}")


def try_locks(submission: Submission, place: Place) -> None:
    """Try the locks of slots on other nodes. Where a living slot's lock is free, only the fences keep slots apart."""
    for path in sorted(submission.slots.glob("*.lock")):
        job, _, node = path.stem.partition("@")
        if node == place.node or holder_of(RunPaths(submission.slots, path.stem)) is not None:
            continue
        time.sleep(ENDING_S)
        life = life_of(Place(job, 0, 0, node))
        if life is not None and life.state == "RUNNING" and life.node == node and path.exists():
            say(f"locks of node {node} don't reach this node; the folders of attempts keep slots apart")
            return


def say(text: str) -> None:
    """Print a line of the slot's log, with the time in UTC."""
    print(time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), text, flush=True)
