"""What squeue and scontrol print, read: pure functions. Runs nothing."""

import re
from typing import NamedTuple

from sweeper.executors.slurm.script import seconds

FORMAT = "%i|%T|%N|%V|%j|%r"
"""The columns of squeue that are read: element, state, nodes, when it was submitted, name, reason."""
OVER = frozenset({
    "BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED", "REVOKED",
    "TIMEOUT",
})  # fmt: skip
"""The states in which Slurm does nothing more with a job. A job that is queued again is PENDING instead."""
AT_WORK = frozenset({"RUNNING", "COMPLETING", "SUSPENDED", "STOPPED", "SIGNALING", "STAGE_OUT"})
"""The states in which a process of the job may live."""


class Job(NamedTuple):
    """One element of an array, as squeue shows it: its id such as 123_4, and the name of its array."""

    id: str
    state: str
    node: str
    since: str
    name: str
    reason: str

    @property
    def over(self) -> bool:
        return self.state in OVER

    @property
    def at_work(self) -> bool:
        return self.state in AT_WORK


class Life(NamedTuple):
    """One element of an array, as scontrol shows it: how often it was queued again, and its time in seconds."""

    id: str
    state: str
    restarts: int
    limit_s: float | None
    ran_s: float
    node: str

    @property
    def left_s(self) -> float | None:
        return None if self.limit_s is None else self.limit_s - self.ran_s


def jobs_in(output: str) -> list[Job]:
    """Return the jobs in the output of squeue with FORMAT; lines of anything else are passed over."""
    rows = (line.strip().split("|", 5) for line in output.splitlines())
    return [Job(*row) for row in rows if len(row) == 6]


def life_in(output: str) -> Life | None:
    """Return the job in the output of `scontrol --oneliner show job`, None if there is none."""
    found = dict(re.findall(r"(\w+)=(\S*)", output))
    if "JobId" not in found:
        return None
    element = f"{found['ArrayJobId']}_{found['ArrayTaskId']}" if "ArrayTaskId" in found else found["JobId"]
    return Life(
        id=element,
        state=found.get("JobState", ""),
        restarts=int(found.get("Restarts", 0)),
        limit_s=seconds(found.get("TimeLimit", "")),
        ran_s=seconds(found.get("RunTime", "")) or 0.0,
        node=found.get("NodeList", ""),
    )


def job_id_in(output: str) -> str | None:
    """Return the id in the output of `sbatch --parsable`, which may name its cluster too."""
    found = re.findall(r"^(\d+)(?:;\S+)?\s*$", output, re.M)
    return found[-1] if found else None


def most_elements_in(output: str) -> int | None:
    """Return how many elements an array may have, from the output of `scontrol show config`.

    MaxArraySize is one more than the largest index.
    """
    found = re.search(r"^MaxArraySize\s*=\s*(\d+)", output, re.M)
    return int(found[1]) if found else None
