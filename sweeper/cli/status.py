"""`sweeper status`: how far a sweep is, also while another process runs it and after one died."""

import json
from contextlib import suppress
from pathlib import Path

import click

from sweeper.cli.options import json_option, profile_option, results_option, sweep_file, with_errors_shown
from sweeper.errors import SweepError
from sweeper.plan import TrialSpec, expand
from sweeper.results import Results
from sweeper.survey import counts, orphans, survey
from sweeper.sweepfile import load


@click.command()
@sweep_file
@profile_option
@results_option
@json_option
@with_errors_shown
def status(file: Path, profile: str | None, results: Path, as_json: bool) -> None:
    """Count the trials of sweep FILE: planned = done + diverged + running + interrupted + failed + new.

    Orphans, trials that an earlier version of the file named, are counted apart.

    \b
    Example:
      sweeper status sweeps/quickstart.yaml
    """
    sweep = load(file)
    folder = Results.at(results)
    digests = folder.digests()
    # Another profile's trials are planned too, only not by this command; an orphan is named by no profile.
    every: list[TrialSpec] = []
    for name in (None, *sweep.profiles):
        with suppress(SweepError):  # another profile may have faults of its own
            every += expand(sweep, name, digests)
    standings = survey(folder, expand(sweep, profile, digests))
    found = counts(standings)
    orphaned = orphans(folder, every, sweep.name)
    if as_json:
        facts = {"sweep": sweep.name, "profile": profile, "planned": len(standings), **found}
        click.echo(json.dumps(facts | {"orphaned": len(orphaned), "orphans": orphaned}))
        return
    click.echo(f"{'planned':<12}{len(standings):>6}")
    for state, count in found.items():
        click.echo(f"{state:<12}{count:>6}")
    click.echo(f"{'orphaned':<12}{len(orphaned):>6}")
    for standing in standings:
        if standing.state in ("running", "interrupted", "failed", "diverged"):
            click.echo(f"{standing.spec.trial_id}  {standing.spec.name()}: {standing.why}")
