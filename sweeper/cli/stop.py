"""`sweeper stop`: end a run, or one of its trials, from another shell or from another host with the same folder."""

import time
from pathlib import Path

import click

from analysis.contract.record import TrialRecord
from sweeper.cli.options import completing, results_option, with_errors_shown
from sweeper.cli.terminal.printing import say
from sweeper.errors import SweepError
from sweeper.executors.slurm.cancel import cancel, leave_alone, stoppable
from sweeper.executors.slurm.holders import open_attempt, owner_of
from sweeper.executors.slurm.standing import Live
from sweeper.results.fold import fold
from sweeper.results.paths import Results, TrialPaths
from sweeper.results.stop_requests import Holder, Request, known_holder, living_runs

LOOK_EVERY_S = 0.2


class StillThereError(SweepError):
    """A run or a trial did not stop in time."""

    exit_code = 4


@click.command()
@click.argument("trial", metavar="[ID]", required=False, shell_complete=completing("trials"))
@results_option
@click.option("--wait", type=click.FloatRange(0), default=30.0, show_default=True, help="Seconds to wait for the end.")
@with_errors_shown
def stop(trial: str | None, results: Path, wait: float) -> None:
    """Stop every run on the results folder as a first Ctrl-C would, or only the trial whose id starts with ID.

    Everything is saved at the next step, and `sweeper run` goes on from there. Without ID, the runs end with exit
    code 130, and jobs of Slurm save and are cancelled. With ID, the run goes on with its other trials. The exit code
    is 4 if they do not stop in time.

    \b
    Example:
      sweeper stop
      sweeper stop 3fa4 --results shared/results
    """
    folder = Results.at(results)
    if trial is None:
        _stop_runs(folder, wait)
    else:
        _stop_trial(folder, folder.trial_named(trial), wait)


def _stop_runs(folder: Results, wait_s: float) -> None:
    runs, submitted = living_runs(folder), stoppable(folder)
    if not runs and not submitted:
        raise SweepError(f"nothing runs on {folder.root}")
    if submitted:
        _cancel(folder, submitted, wait_s)
    if not runs:
        return
    requests = {}
    try:
        for name, holder in runs.items():
            requests[name] = Request(folder, folder.run(name), holder)
        late = _waited(requests, wait_s)
    finally:
        withdrawn = [name for name, request in requests.items() if request.withdraw()]
    for name in requests.keys() - late:
        say(f"{name} has stopped; `sweeper run` goes on with it")
    if late:
        lines = [_still_there(name, runs[name], name in withdrawn, wait_s) for name in sorted(late)]
        raise StillThereError("\n".join(lines))


def _cancel(folder: Results, submitted: list[Live], wait_s: float) -> None:
    number = sum(len(live.living) for live in submitted)
    late, refused = cancel(folder, submitted, wait_s)
    if refused:
        raise StillThereError(f"scancel has refused to cancel the jobs: {refused}")
    if late:
        raise StillThereError(
            f"{len(late)} of {number} jobs have not saved and ended in {wait_s:g} s, so Slurm ends them now "
            f"({late[0]}{' and others' if len(late) > 1 else ''}); a larger --wait waits longer"
        )
    say(f"{number} job{'s have' if number != 1 else ' has'} left Slurm, everything is saved; `sweeper run` goes on")


def _stop_trial(folder: Results, trial_id: str, wait_s: float) -> None:
    paths = folder.trial(trial_id)
    in_slurm = leave_alone(folder, trial_id)
    holder = known_holder(paths)
    if holder is None and in_slurm:
        _wait_for_slot(trial_id, paths, wait_s)
        return
    if holder is None:
        record = fold(paths.journal)
        raise SweepError(f"{trial_id} is not being trained; {_stands(record)}")
    request = Request(folder, paths, holder)
    try:
        late = _waited({trial_id: request}, wait_s)
    finally:
        withdrawn = request.withdraw()
    if late:
        raise StillThereError(_still_there(trial_id, holder, withdrawn, wait_s))
    say(f"{trial_id} is no longer trained; {_stands(fold(paths.journal))}")


def _wait_for_slot(trial_id: str, paths: TrialPaths, wait_s: float) -> None:
    """Wait until no slot trains the trial. Its lock may not reach this machine, so its journal is asked."""
    deadline_s = time.monotonic() + wait_s
    while number := open_attempt(paths):
        if time.monotonic() > deadline_s:
            owner = owner_of(paths, number)
            job = f"job {owner.job} on {owner.node}" if owner is not None else "a slot"
            raise StillThereError(f"{trial_id}: {job} has not saved and left it in {wait_s:g} s, but will")
        time.sleep(LOOK_EVERY_S)
    say(f"no slot trains {trial_id}; {_stands(fold(paths.journal))}")


def _stands(record: TrialRecord | None) -> str:
    return f"its journal says {record['status']} at step {record['step']}" if record else "its journal is empty"


def _waited(requests: dict[str, Request], wait_s: float) -> set[str]:
    """Return the names whose holder still has its lock after `wait_s` seconds."""
    deadline = time.monotonic() + wait_s
    late = set(requests)
    while late := {name for name in late if not requests[name].obeyed}:
        if time.monotonic() > deadline:
            break
        time.sleep(LOOK_EVERY_S)
    return late


def _still_there(name: str, holder: Holder, withdrawn: bool, wait_s: float) -> str:
    who = f"{name}: process {holder['pid']} on {holder['host']}"
    if withdrawn:
        return f"{who} has not read the request in {wait_s:g} s, so it is withdrawn; send SIGINT to the process"
    return f"{who} is stopping, but has not ended after {wait_s:g} s; a larger --wait waits longer"
