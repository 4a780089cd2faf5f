"""Ends the slots of a results folder: what waits is cancelled, what runs saves first. Prints nothing."""

import time
from collections.abc import Sequence

from sweeper.executors.slurm import commands
from sweeper.executors.slurm.holders import open_attempt, owner_of
from sweeper.executors.slurm.standing import Live, look, names
from sweeper.results.paths import Results

LOOK_EVERY_S = 1.0


def stoppable(results: Results) -> list[Live]:
    """Return the submissions that Slurm still has jobs of. Raises SlurmError, ResultsError."""
    return [live for live in look(results) if not live.over]


def cancel(results: Results, found: Sequence[Live], wait_s: float) -> tuple[list[str], str]:
    """Cancel the jobs of `found`, which save first; after `wait_s` seconds Slurm ends them.

    Return the elements that are still there then, and the line with which Slurm refused, or "". Raises SlurmError,
    OSError.
    """
    for live in found:
        live.submission.stop_mark.touch()  # a slot that begins now ends at once, and none is queued again
    arrays = list(dict.fromkeys(job.id.partition("_")[0] for live in found for job in live.living))
    refused = commands.cancel(arrays, only_pending=True)
    folders = {live.submission.folder for live in found}
    deadline_s, told = time.monotonic() + wait_s, set[str]()
    while True:
        living = [job for live in look(results) if live.submission.folder in folders for job in live.living]
        working = [job.id for job in living if job.at_work and job.id not in told]
        refused = commands.cancel(working, signal="TERM") or refused
        told.update(working)
        if not living or time.monotonic() > deadline_s:
            break
        time.sleep(LOOK_EVERY_S)
    late = [job.id for job in living]
    return late, commands.cancel(late) or refused


def leave_alone(results: Results, trial_id: str) -> bool:
    """Let no slot train a trial any more; the one that does saves it. Return whether Slurm has it.

    Raises SlurmError, OSError.
    """
    found = [live.submission for live in stoppable(results) if names(live.submission, trial_id)]
    for submission in found:
        submission.stopped(trial_id).touch()
    paths = results.trial(trial_id)
    number = open_attempt(paths)
    if found and number and owner_of(paths, number) is not None:
        paths.stop_mark(number).touch()
    return bool(found)
