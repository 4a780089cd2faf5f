"""`sweeper logs`: print what a trial's workers logged, even while one trains."""

import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import click

from analysis.contract.lifecycle import FINISHED
from sweeper.cli.options import completing, results_option, with_errors_shown
from sweeper.cli.terminal.printing import print_out
from sweeper.errors import SweepError
from sweeper.executors.slurm.commands import SlurmError
from sweeper.executors.slurm.standing import goes_on
from sweeper.results.fold import fold
from sweeper.results.locks import holder_of
from sweeper.results.paths import Results, TrialPaths
from sweeper.results.stop_requests import STOPPED, last_holder, living_runs

LOOK_EVERY_S = 0.3
ASK_EVERY_S = 10.0


@click.command()
@click.argument("trial", metavar="ID", shell_complete=completing("trials"))
@click.option("-f", "--follow", is_flag=True, help="Keep printing until the trial's run has finished with it.")
@click.option("--all", "every", is_flag=True, help="Print the logs of all attempts, not only the newest.")
@results_option
@with_errors_shown
def logs(trial: str, follow: bool, every: bool, results: Path) -> None:
    """Print the log of the newest attempt of the trial whose id starts with ID, with full tracebacks.

    \b
    Example:
      sweeper logs 3fa4 -f
    """
    folder = Results.at(results)
    trial_id = folder.trial_named(trial)
    paths = folder.trial(trial_id)
    files = _logs(paths)
    if not files and not (follow and _goes_on(folder, trial_id)):
        raise SweepError(f"{trial_id} has no log: no worker has begun it; its journal is {paths.journal}")
    first = 0 if every else max(0, len(files) - 1)
    for content in _followed(folder, trial_id, first) if follow else _read(files[first:]):
        print_out(content, nl=False)


def _logs(paths: TrialPaths) -> list[Path]:
    """Return the logs of the trial's attempts, oldest first."""
    numbers = sorted(int(folder.name[1:]) for folder in paths.folder.glob("a[0-9]*"))
    return [paths.log(number) for number in numbers if paths.log(number).exists()]


def _read(files: list[Path]) -> Iterator[bytes]:
    for file in files:
        yield file.read_bytes()


def _followed(folder: Results, trial_id: str, first: int) -> Iterator[bytes]:
    """Yield the content of the logs from number `first` on, and what is added, until the trial's run ends."""
    index, offset = first, 0
    while True:
        over = not _goes_on(folder, trial_id)  # asked before reading, so that the last lines are printed too
        files = _logs(folder.trial(trial_id))
        while index < len(files):
            with files[index].open("rb") as file:
                file.seek(offset)
                content = file.read()
            offset += len(content)
            if content:
                yield content
            if index == len(files) - 1:
                break
            index, offset = index + 1, 0
        if over:
            return
        time.sleep(LOOK_EVERY_S)


_asked_slurm: dict[str, tuple[float, bool]] = {}
"""When Slurm was last asked about a trial, and what it said."""


def _slot_goes_on(folder: Results, trial_id: str, finished: bool) -> bool:
    """Return whether a job of Slurm trains the trial, or will. Slurm is asked every ASK_EVERY_S seconds."""
    if finished or not folder.slurm.is_dir():
        return False
    asked_s, said = _asked_slurm.get(trial_id, (-ASK_EVERY_S, False))
    if time.monotonic() - asked_s >= ASK_EVERY_S:
        with suppress(SlurmError):  # as it said before
            said = goes_on(trial_id, folder, finished)
        _asked_slurm[trial_id] = time.monotonic(), said
    return said


def _goes_on(folder: Results, trial_id: str) -> bool:
    """Return whether a run trains the trial, or will do so again after losing a worker."""
    paths = folder.trial(trial_id)
    if holder_of(paths) is not None:
        return True
    record, last = fold(paths.journal), last_holder(paths)
    if _slot_goes_on(folder, trial_id, record is not None and record["status"] in (*FINISHED, "failed")):
        return True
    if record is None or last is None or record["status"] not in ("running", "interrupted"):
        return False
    if record["message"] == STOPPED:
        return False
    return any((run["host"], run["pid"]) == (last["host"], last["pid"]) for run in living_runs(folder).values())
