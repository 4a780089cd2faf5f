"""`sweeper stop`: end a run, or one of its trials, from another shell or another host that shares the folder."""

import time
from pathlib import Path

import click

from analysis.contract.record import TrialRecord
from sweeper.cli.options import results_option, with_errors_shown
from sweeper.cli.printing import say
from sweeper.errors import SweepError
from sweeper.results.fold import fold
from sweeper.results.paths import Results
from sweeper.results.stop_requests import Holder, Request, known_holder, living_runs

LOOK_EVERY_S = 0.2


class StillThereError(SweepError):
    """What was asked to stop has not stopped in time."""

    exit_code = 4


@click.command()
@click.argument("trial", metavar="[ID]", required=False)
@results_option
@click.option("--wait", type=click.FloatRange(0), default=30.0, show_default=True, help="Seconds to wait for the end.")
@with_errors_shown
def stop(trial: str | None, results: Path, wait: float) -> None:
    """Stop every run on the results folder as a first Ctrl-C would, or only the trial whose id starts with ID.

    All is saved at the next step; `sweeper run` goes on from there. Without ID the runs end with exit code 130. With
    ID its run goes on with the other trials. Exit 4 if they are not gone in time.

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
    runs = living_runs(folder)
    if not runs:
        raise SweepError(f"nothing runs on {folder.root}")
    asked = {}
    try:
        for name, holder in runs.items():
            asked[name] = Request(folder, folder.run(name), holder)
        late = _waited(asked, wait_s)
    finally:
        left = [name for name, request in asked.items() if request.withdraw()]
    for name in asked.keys() - late:
        say(f"{name} has stopped; `sweeper run` goes on with it")
    if late:
        raise StillThereError("\n".join(_still_there(name, runs[name], name in left, wait_s) for name in sorted(late)))


def _stop_trial(folder: Results, trial_id: str, wait_s: float) -> None:
    paths = folder.trial(trial_id)
    holder = known_holder(paths)
    if holder is None:
        record = fold(paths.journal)
        raise SweepError(f"{trial_id} is not being trained; {_stands(record)}")
    request = Request(folder, paths, holder)
    try:
        late = _waited({trial_id: request}, wait_s)
    finally:
        left = request.withdraw()
    if late:
        raise StillThereError(_still_there(trial_id, holder, left, wait_s))
    say(f"{trial_id} is no longer trained; {_stands(fold(paths.journal))}")


def _stands(record: TrialRecord | None) -> str:
    return f"its journal says {record['status']} at step {record['step']}" if record else "its journal is empty"


def _waited(asked: dict[str, Request], wait_s: float) -> set[str]:
    """Return which of those asked have not let go within `wait_s`."""
    deadline = time.monotonic() + wait_s
    late = set(asked)
    while late := {name for name in late if not asked[name].obeyed}:
        if time.monotonic() > deadline:
            break
        time.sleep(LOOK_EVERY_S)
    return late


def _still_there(name: str, holder: Holder, left: bool, wait_s: float) -> str:
    who = f"{name}: process {holder['pid']} on {holder['host']}"
    if left:
        return f"{who} has not looked for requests in {wait_s:g} s, and the request is withdrawn; signal it there"
    return f"{who} is stopping, but was not done after {wait_s:g} s; --wait waits longer"
