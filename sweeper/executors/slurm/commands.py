"""Runs sbatch, squeue, scontrol and scancel. A refusal is an error with the line that the command printed."""

import os
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

from sweeper.errors import SweepError
from sweeper.executors.slurm.queue import FORMAT, Job, Life, job_id_in, jobs_in, life_in, most_elements_in

ANSWER_S = 60.0
"""How long a command of Slurm may take; slurmctld may be busy or restarting."""
USUAL_MOST = 1001
"""Slurm's default of MaxArraySize."""
_OTHER_NAMES = {"time": "TIMELIMIT", "array": "ARRAY_INX"}


class SlurmError(SweepError):
    """Slurm is not here, or does not answer."""

    exit_code = 4


class RefusedError(SweepError):
    """Slurm has refused what was asked; the message has its own line."""


def submit(script: Path, words: Sequence[str]) -> str:
    """Give a script to sbatch with these words, and return the id of its job. Raises RefusedError, SlurmError.

    Variables of the environment that say what one of the words says would be stronger than the user's profile.
    """
    named = {word.removeprefix("--").partition("=")[0] for word in words}
    dropped = {f"SBATCH_{_OTHER_NAMES.get(key, key.upper().replace('-', '_'))}" for key in named}
    kept = {
        key: value
        for key, value in os.environ.items()
        if key not in dropped and not (key.startswith("SLURM_") and key != "SLURM_CONF")
    }
    done = _run(["sbatch", *words, str(script)], kept)
    if done.returncode:
        raise RefusedError(f"sbatch has refused the job: {_said(done, 3)}; correct --slurm, or `slurm:` of the profile")
    job = job_id_in(done.stdout)
    if job is None:
        raise SlurmError(f"sbatch printed no job id, but {_last_line(done)!r}; look with squeue for what it did")
    return job


def jobs_named(names: Iterable[str]) -> list[Job]:
    """Return the elements of all arrays of these names, those included that ended a short time ago.

    Raises SlurmError.
    """
    listed = list(names)
    if not listed:
        return []
    words = ["squeue", "--noheader", "--array", "--states=all", f"--name={','.join(listed)}", f"--format={FORMAT}"]
    done = _run(words)
    if done.returncode:
        raise SlurmError(f"squeue does not answer: {_last_line(done)}; try the same command again")
    return jobs_in(done.stdout)


def life_of(job: str) -> Life | None:
    """Return what Slurm knows of one element such as 123_4, None if it no longer knows it. Raises SlurmError."""
    done = _run(["scontrol", "--oneliner", "show", "job", job])
    if done.returncode and "Invalid job id" not in done.stderr + done.stdout:
        raise SlurmError(f"scontrol does not answer: {_last_line(done)}")
    return life_in(done.stdout)


def requeue(job: str) -> str:
    """Queue a running job again, which ends it here. Return the line with which Slurm refused, or "" if it did not."""
    done = _run(["scontrol", "requeue", job])
    return _last_line(done) if done.returncode else ""


def cancel(jobs: Sequence[str], *, only_pending: bool = False, signal: str = "") -> str:
    """Cancel jobs, or send `signal` to their scripts. Return the line with which Slurm refused, or ""."""
    if not jobs:
        return ""
    how = [*(["--state=PENDING"] if only_pending else []), *([f"--signal={signal}", "--batch"] if signal else [])]
    done = _run(["scancel", *how, *jobs])
    return _last_line(done) if done.returncode else ""


def most_elements() -> int:
    """Return how many elements an array may have on this cluster. Raises SlurmError."""
    done = _run(["scontrol", "show", "config"])
    if done.returncode:
        raise SlurmError(f"Slurm does not answer: {_last_line(done)}; try the same command again")
    return most_elements_in(done.stdout) or USUAL_MOST


def _run(words: Sequence[str], environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            words, capture_output=True, text=True, errors="replace", timeout=ANSWER_S, env=environment, check=False
        )
    except FileNotFoundError:
        raise SlurmError(
            f"there is no {words[0]} here; run the command on a login node of a cluster with Slurm, or leave out "
            "--executor slurm"
        ) from None
    except subprocess.TimeoutExpired:
        raise SlurmError(f"{words[0]} has not answered for {ANSWER_S:g} s; try the same command again") from None


def _last_line(done: subprocess.CompletedProcess[str]) -> str:
    return _said(done, 1)


def _said(done: subprocess.CompletedProcess[str], most: int) -> str:
    """Return the last lines that a command has printed, at most so many, without its hint at --help."""
    lines = [line.strip() for line in (done.stderr or done.stdout).splitlines()]
    told = [line for line in lines if line and not line.startswith("Try ")]
    return " | ".join(told[-most:]) or f"exit code {done.returncode}"
