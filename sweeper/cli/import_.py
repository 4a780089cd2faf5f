"""`sweeper import`: merge an archive of `sweeper export` into a results folder."""

from collections import Counter
from pathlib import Path

import click

from sweeper.cli.options import results_option, with_errors_shown
from sweeper.cli.terminal.printing import say
from sweeper.results.paths import Results

REFUSED = 3


@click.command("import")
@click.argument("archive", type=click.Path(path_type=Path))
@results_option
@with_errors_shown
def import_(archive: Path, results: Path) -> None:
    """Merge the trials of ARCHIVE into a results folder. All of it is checked before anything is written.

    If a trial's journal here is the beginning of the archive's, the archive's is taken. If it is longer here, it is
    kept. A trial is not imported if a living run holds it or if its two journals disagree. The others are imported, and
    the exit code is 3. The journals of searches are treated in the same way.

    \b
    Example:
      sweeper import quickstart.zip --results results
    """
    from sweeper.archive import merge
    from sweeper.archive.format import Archive

    with Archive(archive) as opened:
        outcomes = merge.merge(opened, Results.at(results))
        searches = merge.merge_searches(opened, Results.at(results))
        manifest = opened.manifest
    counted = Counter(outcome.taken for outcome in outcomes.values())
    experiment = f"{manifest.sweep}@{manifest.profile}" if manifest.profile else manifest.sweep
    say(f"{experiment}: {', '.join(f'{count} {taken}' for taken, count in counted.items())}")
    if searches:
        counted = Counter(outcome.taken for outcome in searches.values())
        say(f"searches: {', '.join(f'{count} {taken}' for taken, count in counted.items())}")
    refused = {trial_id: outcome for trial_id, outcome in outcomes.items() if outcome.taken in merge.REFUSED}
    for trial_id, outcome in refused.items():
        say(f"{trial_id}: not imported, {outcome.why}")
    other = {search_id: outcome for search_id, outcome in searches.items() if outcome.taken in merge.REFUSED}
    for search_id, outcome in other.items():
        say(f"search {search_id}: not imported, {outcome.why}")
    if refused or other:
        raise click.exceptions.Exit(REFUSED)
