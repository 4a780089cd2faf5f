"""`sweeper status`: count the trials of a sweep by state, also while a run lives and after one died."""

import json
from pathlib import Path
from typing import Any

import click

from sweeper.cli.options import (
    json_option,
    only_option,
    profile_option,
    results_option,
    set_option,
    sweep_file,
    with_errors_shown,
)
from sweeper.cli.terminal.mending import command_to_mend
from sweeper.cli.terminal.printing import print_out
from sweeper.cli.terminal.queue import in_slurm, queue_lines
from sweeper.cli.terminal.search_lines import progress_line, search_facts
from sweeper.results.known_trainers import sweep_in
from sweeper.results.paths import Results
from sweeper.results.survey import counts, orphans, survey
from sweeper.search.trials import picked, planned_every
from sweeper.sweepfile.tries import words


@click.command()
@sweep_file
@profile_option
@results_option
@json_option
@only_option
@set_option
@with_errors_shown
def status(
    file: Path, profile: str | None, results: Path, as_json: bool, only: tuple[str, ...], settings: tuple[str, ...]
) -> None:
    """Count the trials of sweep FILE: planned = done + diverged + running + interrupted + failed + new.

    Orphans are counted apart: trials that an earlier version of the file named. A trial that waits in Slurm is counted
    by its own state, and says so.

    \b
    Example:
      sweeper status sweeps/quickstart.yaml
    """
    folder = Results.at(results)
    sweep = sweep_in(file, folder, settings)
    digests = folder.digests()
    searches, specs = picked(sweep, profile, folder, digests, only)
    surveyed = survey(folder, specs)
    standings, of_slurm = in_slurm(surveyed.standings, folder, searches)
    counted = counts(standings)
    orphaned = orphans(surveyed.summaries, planned_every(sweep, folder, digests), sweep.name)
    if as_json:
        facts: dict[str, Any] = {"sweep": sweep.name, "profile": profile, "planned": len(standings), **counted}
        facts |= {"searches": [search_facts(one) for one in searches]} if searches else {}
        if of_slurm is not None:
            facts["slurm"] = {"queued": of_slurm.queued, "running": of_slurm.running}
            facts["slurm"] |= {"searches": of_slurm.searches} if searches else {}
        print_out(json.dumps(facts | {"orphaned": len(orphaned), "orphans": [orphan.trial_id for orphan in orphaned]}))
        return
    print_out(f"{'planned':<12}{len(standings):>6}")
    for state, count in counted.items():
        print_out(f"{state:<12}{count:>6}")
    print_out(f"{'orphaned':<12}{len(orphaned):>6}")
    for one in searches:
        print_out(progress_line(one))
    for line in queue_lines(searches, of_slurm):
        print_out(line)
    if of_slurm is not None:
        print_out(f"{'in Slurm':<12}{of_slurm.queued:>6} queued, {of_slurm.running} running")
    named = set() if of_slurm is None else {trial_id for trial_id, _ in of_slurm.states}
    for standing in standings:
        if standing.state in ("running", "interrupted", "failed", "diverged") or standing.spec.trial_id in named:
            print_out(f"{standing.spec.trial_id}  {standing.spec.name()}: {standing.why}")
    if command := command_to_mend([each.summary for each in standings], [file], results, profile, words(settings)):
        print_out(command)
    for orphan in orphaned:
        print_out(f"{orphan.trial_id}  orphan, kept: {orphan.status} at step {orphan.step}")
