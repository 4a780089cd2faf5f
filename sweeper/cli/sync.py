"""`sweeper sync`: push the journals of sweeps to a tracking store. Pushing again changes nothing."""

import os
from contextlib import nullcontext
from pathlib import Path

import click

from sweeper.cli.options import (
    only_option,
    profile_option,
    results_option,
    set_option,
    sweep_files,
    tracking_option,
    with_errors_shown,
)
from sweeper.cli.terminal.printing import say
from sweeper.errors import SweepError, TrackingError
from sweeper.planning.selectors import select
from sweeper.reporting.endpoint_metric import endpoint_reader
from sweeper.reporting.store_pages import push_pages
from sweeper.reporting.sweep_answer import push_answer, push_cells_as_answer
from sweeper.results.fold import read_record
from sweeper.results.known_trainers import sweep_in
from sweeper.results.paths import FURTHEST, Results, whole_checkpoint
from sweeper.results.survey import SurveyedSweep, experiment_name, survey
from sweeper.search.trials import planned
from sweeper.sweepfile.sweep import Sweep
from sweeper.tracking.address import masked, resolve_uri
from sweeper.tracking.shown_mark import note_shown, state_of
from sweeper.tracking.syncer import sync_all
from sweeper.tracking.turns import only_pusher, turns_of
from sweeper.tracking.views import connect, tracked


@click.command()
@sweep_files
@profile_option
@results_option
@tracking_option
@only_option
@set_option
@click.option("--checkpoints", is_flag=True, help="Send the last checkpoint of each trial too, as an artefact.")
@click.option("--inherited", type=int, multiple=True, hidden=True)  # locks that a run passes on; see tracking.turns
@with_errors_shown
def sync(
    files: tuple[Path, ...],
    profile: str | None,
    results: Path,
    tracking_uri: str | None,
    only: tuple[str, ...],
    settings: tuple[str, ...],
    checkpoints: bool,
    inherited: tuple[int, ...],
) -> None:
    """Bring the tracking store up to date with the journals of every sweep FILE. Sending again changes nothing.

    Waits for any other process that sends the same results, such as the one that `run` leaves in the background.

    \b
    Example:
      sweeper sync sweeps/quickstart.yaml --tracking-uri http://127.0.0.1:5000
    """
    folder = Results.at(results)
    uri = resolve_uri(tracking_uri, folder.root)
    if uri is None:
        raise SweepError("--tracking-uri none: there is nothing to sync to; leave it out, or name a store")
    sweeps = {file: sweep_in(file, folder, settings) for file in files}
    specs = [spec for sweep in sweeps.values() for spec in planned(sweep, profile, folder, folder.digests())]
    picked = {spec.trial_id for spec in select(specs, only, "--only")} if only else None
    troubles = []
    for file, sweep in sweeps.items():
        turns = turns_of(folder, experiment_name(sweep, profile), uri)
        turn = only_pusher(turns, say, inherited=inherited, in_line=picked is None)
        with turn if _ours(folder) else nullcontext():
            try:
                _push(
                    sweep_in(file, folder, settings),  # loaded again: it may have changed meanwhile
                    profile,
                    folder,
                    uri,
                    picked,
                    checkpoints=checkpoints,
                    left_behind=bool(inherited),
                )
            except TrackingError as error:
                troubles.append(str(error))
    if troubles:
        raise TrackingError("\n".join(troubles))


def _push(
    sweep: Sweep,
    profile: str | None,
    results: Results,
    uri: str,
    picked: set[str] | None,
    *,
    checkpoints: bool,
    left_behind: bool,
) -> None:
    """Push the `picked` trials (None: all), and the summaries of the cells whose trials are all picked.

    A process that a run has `left_behind` draws no report: the user's own `report` waits for it.
    """
    specs = planned(sweep, profile, results, results.digests())
    part = SurveyedSweep(
        sweep=sweep, experiment=experiment_name(sweep, profile), specs=specs, survey=survey(results, specs)
    )
    shown = state_of(part, results, uri)
    left_out = {spec.trial_id for spec in specs} - picked if picked is not None else set()
    begun = {each.spec.trial_id for each in part.standings if each.summary is not None} - left_out
    tracker = connect(uri, part.experiment, results)
    sent = tracked(part, endpoint_reader(sweep), begun).values()
    report = sync_all(tracker, lambda name: read_record(results, name), sent)
    cells = push_pages(tracker, part, results, left_out)
    if left_behind:
        push_cells_as_answer(tracker, part, cells)
    elif not left_out:
        push_answer(tracker, part, results)
    for trial_id in report.pushed if checkpoints else ():
        if (saved := whole_checkpoint(results.trial(trial_id), FURTHEST)) is not None:
            tracker.add_checkpoint(trial_id, saved.path.name, saved.content)
    say(f"{len(report.pushed)} trials in {part.experiment} of {masked(uri)}")
    for remark in tracker.remarks:
        say(remark)
    for trial_id in report.deleted:
        say(f"{trial_id}: its run was deleted in the store and is not made again")
    if report.failed:
        trial_id, why = next(iter(report.failed.items()))
        raise TrackingError(f"{len(report.failed)} trials not sent; {trial_id}: {why}")
    if not left_out and _ours(results):
        note_shown(part, results, shown)


def _ours(results: Results) -> bool:
    """Return whether the folder is writable. A read-only one is pushed too, without locks and marks."""
    return os.access(results.root, os.W_OK)
