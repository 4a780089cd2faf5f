"""`sweeper plan`: print the whole grid before anything runs. Writes nothing."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from analysis.contract.lifecycle import FINISHED
from sweeper.cli.options import (
    completing,
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
from sweeper.cli.terminal.search_lines import plan_lines, search_facts
from sweeper.host.devices import likely_device
from sweeper.host.system import usable_cpus
from sweeper.planning.named_code_checks import check_named_code
from sweeper.planning.trial_spec import TrialSpec
from sweeper.results.estimate import estimate
from sweeper.results.known_trainers import sweep_in
from sweeper.results.paths import Results
from sweeper.results.survey import Standing, counts, orphans, survey
from sweeper.search.trials import picked, planned, planned_every
from sweeper.sweepfile.tries import words


@click.command()
@sweep_file
@profile_option
@results_option
@json_option
@only_option
@set_option
@click.option("--workers", type=click.IntRange(1), help="Workers for the estimate [default: one for each CPU core].")
@click.option(
    "--show",
    "show",
    metavar="ID",
    shell_complete=completing("trials"),
    help="Print all values of one trial, and the line that each came from.",
)
@with_errors_shown
def plan(
    file: Path,
    profile: str | None,
    results: Path,
    as_json: bool,
    only: tuple[str, ...],
    settings: tuple[str, ...],
    workers: int | None,
    show: str | None,
) -> None:
    """Show every trial of sweep FILE, its id, and what a run would do with it; of a search, its budget and its trials.

    \b
    Example:
      sweeper plan sweeps/zeroing_vs_steps.yaml --profile smoke
    """
    folder = Results.at(results)
    sweep = sweep_in(file, folder, settings)
    specs = planned(sweep, profile, folder, folder.digests())
    check_named_code(sweep, specs)
    if show is not None:
        _print_trial(_by_prefix(specs, show), as_json)
        return
    surveyed = survey(folder, specs)
    searches, of = picked(sweep, profile, folder, folder.digests(), only)
    chosen = {spec.trial_id for spec in of}
    standings, of_slurm = in_slurm(
        [each for each in surveyed.standings if each.spec.trial_id in chosen], folder, searches
    )
    todo = [standing for standing in standings if standing.state not in FINISHED | {"running", "failed"}]
    cost = estimate(todo, surveyed.summaries, likely_device())
    if as_json:
        facts: dict[str, Any] = {"sweep": sweep.name, "profile": profile, "counts": counts(standings)}
        facts |= {"estimate": asdict(cost)} | (
            {"searches": [search_facts(one) for one in searches]} if searches else {}
        )
        print_out(json.dumps(facts | {"trials": [_facts(standing) for standing in standings]}, indent=1))
        return
    print_out(click.style(sweep.name, bold=True) + (f" @ {profile}" if profile else "") + f": {sweep.question}")
    if searches:
        print_out("\n".join(plan_lines(searches, surveyed, workers or usable_cpus())))
        for line in queue_lines(searches, of_slurm):
            print_out(line)
    if standings:
        print_out("\n".join([*_table(specs, standings), _sentence(standings)]))
    for line in _left_out(specs):
        print_out(line)
    if not searches:
        print_out(cost.sentence(workers or usable_cpus()))
    if command := command_to_mend([each.summary for each in standings], [file], results, profile, words(settings)):
        print_out(command)
    for orphan in orphans(surveyed.summaries, planned_every(sweep, folder, folder.digests()), sweep.name):
        print_out(
            f"{orphan.trial_id}  orphan, kept: {orphan.status} at step {orphan.step}; no profile names it any more"
        )


def _by_prefix(specs: Sequence[TrialSpec], prefix: str) -> TrialSpec:
    matching = [spec for spec in specs if spec.trial_id.startswith(prefix)]
    if len(matching) != 1:
        raise click.UsageError(f"--show {prefix}: {len(matching)} trials of this plan have an id that starts with it")
    return matching[0]


def _print_trial(spec: TrialSpec, as_json: bool) -> None:
    values = {name: {"value": value, "from": spec.origins[name]} for name, value in spec.config}
    left_out = {name: {"value": one.value, "from": one.origin} for name, one in spec.left_out.items()}
    if as_json:
        facts: dict[str, Any] = {"trial_id": spec.trial_id, "point": spec.point, "cell": spec.cell, "name": spec.name()}
        more = {"trainer": spec.trainer.name, "left_out": left_out} if left_out else {}
        facts |= {"recipe": dict(spec.recipe), "digest": spec.digest, "config": values}
        print_out(json.dumps(facts | more, indent=1))
        return
    print_out(f"{spec.trial_id}  {spec.name()}")
    for name, given in values.items():
        print_out(f"  {name:<16} {given['value']!s:<14} {given['from']}")
    if left_out:
        print_out(f"left out, because trainer {spec.trainer.name} has no such field:")
    for name, one in spec.left_out.items():
        print_out(f"  {name:<16} {one.value!s:<14} {one.origin}")


def _left_out(specs: Sequence[TrialSpec]) -> list[str]:
    """Return a sentence for each trainer that has no field for some value of the file."""
    found: dict[str, dict[str, None]] = {}
    for spec in specs:
        found.setdefault(spec.trainer.name, {}).update(dict.fromkeys(spec.left_out))
    return [
        f"trainer {name} has no {', '.join(fields)}; left out of its trials (--show ID has the lines)"
        for name, fields in found.items()
        if fields
    ]


def _facts(standing: Standing) -> dict[str, Any]:
    spec = standing.spec
    return {
        "trial_id": spec.trial_id,
        "point": spec.point,
        "cell": spec.cell,
        "name": spec.name(),
        "labels": dict(spec.labels),
        "seed": spec.seed,
        "target": spec.target,
        "state": standing.state,
        "why": standing.why,
        "config": spec.config.model_dump(),
    }


def _table(specs: Sequence[TrialSpec], standings: Sequence[Standing]) -> list[str]:
    """Return a line of headings and a line for each trial, without wrapping; fast for 10,000 trials."""
    rows = [("trial", *specs[0].labels, "seed", "steps", "state")]
    for standing in standings:
        spec = standing.spec
        rows.append((spec.trial_id, *spec.labels.values(), str(spec.seed), str(spec.target or "-"), standing.why))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return [click.style(lines[0], bold=True), *lines[1:]]


def _sentence(standings: Sequence[Standing]) -> str:
    text = ", ".join(f"{count} {state}" for state, count in counts(standings).items() if count)
    return f"{len(standings)} trials: {text}"
