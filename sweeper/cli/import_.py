"""`sweeper import`: bring a results folder up to an archive that `sweeper export` wrote."""

from collections import Counter
from pathlib import Path

import click

from sweeper.cli.options import results_option, with_errors_shown
from sweeper.cli.printing import say
from sweeper.results.paths import Results

REFUSED = 3


@click.command("import")
@click.argument("archive", type=click.Path(path_type=Path))
@results_option
@with_errors_shown
def import_(archive: Path, results: Path) -> None:
    """Put the trials of ARCHIVE into a results folder; all of it is checked before anything is written.

    A trial whose journal here is the beginning of the archive's goes on from there; one that is further here is kept.
    Exit code 3, after the others were imported, when a trial is held by a living run or its two journals disagree.

    \b
    Example:
      sweeper import quickstart.zip --results results
    """
    from sweeper.archive import merge
    from sweeper.archive.format import Archive

    with Archive(archive) as opened:
        outcomes = merge.merge(opened, Results.at(results))
        manifest = opened.manifest
    found = Counter(outcome.taken for outcome in outcomes.values())
    experiment = f"{manifest.sweep}@{manifest.profile}" if manifest.profile else manifest.sweep
    say(f"{experiment}: {', '.join(f'{count} {taken}' for taken, count in found.items())}")
    refused = {trial_id: outcome for trial_id, outcome in outcomes.items() if outcome.taken in merge.REFUSED}
    for trial_id, outcome in refused.items():
        say(f"{trial_id}: not imported, {outcome.why}")
    if refused:
        raise click.exceptions.Exit(REFUSED)
