"""`sweeper sync`: push the journals of sweeps to a tracking store, any time, any store, as often as one likes."""

import os
from contextlib import nullcontext
from pathlib import Path

import click

from sweeper.cli.options import (
    only_option,
    profile_option,
    results_option,
    sweep_files,
    tracking_option,
    with_errors_shown,
)
from sweeper.cli.printing import say
from sweeper.errors import SweepError, TrackingError
from sweeper.planning.expand import expand
from sweeper.planning.selectors import select
from sweeper.reporting.cell_summaries import push_cells
from sweeper.results.fold import read_record
from sweeper.results.paths import Results
from sweeper.results.survey import SurveyedSweep, experiment_name, survey
from sweeper.sweepfile.sweep import Sweep, load
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
@click.option("--inherited", type=int, multiple=True, hidden=True)  # what a run hands down, see late_sync
@with_errors_shown
def sync(
    files: tuple[Path, ...],
    profile: str | None,
    results: Path,
    tracking_uri: str | None,
    only: tuple[str, ...],
    inherited: tuple[int, ...],
) -> None:
    """Bring the tracking store up to the journals of the sweeps FILE...; sending again changes nothing.

    Waits for another process that is doing so with the same results folder, as one that `run` left behind.

    \b
    Example:
      sweeper sync sweeps/quickstart.yaml --tracking-uri http://127.0.0.1:5000
    """
    folder = Results.at(results)
    uri = resolve_uri(tracking_uri, folder.root)
    if uri is None:
        raise SweepError("--tracking-uri none: there is nothing to sync to; leave it out, or name a store")
    sweeps = {file: load(file) for file in files}
    planned = [spec for sweep in sweeps.values() for spec in expand(sweep, profile, folder.digests())]
    picked = {spec.trial_id for spec in select(planned, only, "--only")} if only else None
    troubles = []
    for file, sweep in sweeps.items():
        found = turns_of(folder, experiment_name(sweep, profile), uri)
        turn = only_pusher(found, say, inherited=inherited, in_line=picked is None)
        with turn if _ours(folder) else nullcontext():
            try:
                _push(load(file), profile, folder, uri, picked)  # loaded again: it may have grown during the wait
            except TrackingError as error:
                troubles.append(str(error))
    if troubles:
        raise TrackingError("\n".join(troubles))


def _push(sweep: Sweep, profile: str | None, results: Results, uri: str, picked: set[str] | None) -> None:
    """Push the trials that are `picked`, and the summaries of the cells that are picked whole; None picks all."""
    specs = expand(sweep, profile, results.digests())
    part = SurveyedSweep(
        sweep=sweep, experiment=experiment_name(sweep, profile), specs=specs, survey=survey(results, specs)
    )
    shown = state_of(part, results, uri)
    left_out = {spec.trial_id for spec in specs} - picked if picked is not None else set()
    begun = [found.spec for found in part.standings if found.brief is not None and found.spec.trial_id not in left_out]
    tracker = connect(uri, part.experiment, results)
    report = sync_all(tracker, lambda name: read_record(results, name), tracked(begun, part.experiment).values())
    torn = {spec.cell for spec in specs if spec.trial_id in left_out}
    push_cells(tracker, sweep, [spec for spec in specs if spec.cell not in torn], results)
    say(f"{len(report.pushed)} trials in {part.experiment} of {masked(uri)}")
    for trial_id in report.deleted:
        say(f"{trial_id}: its run was deleted in the store and stays so")
    if report.failed:
        trial_id, why = next(iter(report.failed.items()))
        raise TrackingError(f"{len(report.failed)} trials not sent; {trial_id}: {why}")
    if not left_out and _ours(results):
        note_shown(part, results, shown)


def _ours(results: Results) -> bool:
    """Return whether locks and marks may be left here; journals of somebody else's folder can be pushed without."""
    return os.access(results.root, os.W_OK)
