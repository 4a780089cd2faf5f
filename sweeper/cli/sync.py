"""`sweeper sync`: push the journals of a sweep to a tracking store, any time, any store, as often as one likes."""

from pathlib import Path

import click

from sweeper.batch import experiment_name
from sweeper.cli.cells import push_cells
from sweeper.cli.options import profile_option, results_option, sweep_file, tracking_option, with_errors_shown
from sweeper.errors import SweepError, TrackingError
from sweeper.plan import expand
from sweeper.results import Results
from sweeper.session import read_record, tracked
from sweeper.survey import survey
from sweeper.sweepfile import load
from sweeper.sync import sync_all
from sweeper.tracking_uri import masked, resolve_uri


@click.command()
@sweep_file
@profile_option
@results_option
@tracking_option
@with_errors_shown
def sync(file: Path, profile: str | None, results: Path, tracking_uri: str | None) -> None:
    """Bring the tracking store up to the journals of sweep FILE; sending again changes nothing.

    \b
    Example:
      sweeper sync sweeps/quickstart.yaml --tracking-uri http://127.0.0.1:5000
    """
    from sweeper.tracking import MlflowTracker

    sweep, folder = load(file), Results.at(results)
    uri = resolve_uri(tracking_uri, folder.root)
    if uri is None:
        raise SweepError("--tracking-uri none: there is nothing to sync to; leave it out, or name a store")
    experiment = experiment_name(sweep, profile)
    specs = expand(sweep, profile, folder.digests())
    begun = [standing.spec for standing in survey(folder, specs).standings if standing.brief is not None]
    tracker = MlflowTracker(uri, experiment, folder.artifacts)
    report = sync_all(tracker, lambda trial_id: read_record(folder, trial_id), tracked(begun, experiment).values())
    push_cells(tracker, sweep, specs, folder)
    click.echo(f"{len(report.pushed)} trials in {experiment} of {masked(uri)}", err=True)
    for trial_id in report.deleted:
        click.echo(f"{trial_id}: its run was deleted in the store and stays so", err=True)
    if report.failed:
        trial_id, why = next(iter(report.failed.items()))
        raise TrackingError(f"{len(report.failed)} trials not sent; {trial_id}: {why}")
