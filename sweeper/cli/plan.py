"""`sweeper plan`: the whole grid before anything runs."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sweeper.cli.options import json_option, profile_option, results_option, sweep_file, with_errors_shown
from sweeper.plan import TrialSpec, expand
from sweeper.results import Results
from sweeper.survey import Standing, counts, survey
from sweeper.sweepfile import load

PIPE_WIDTH = 10_000


@click.command()
@sweep_file
@profile_option
@results_option
@json_option
@click.option("--show", "show", metavar="ID", help="Print one trial whole, with the line each value came from.")
@with_errors_shown
def plan(file: Path, profile: str | None, results: Path, as_json: bool, show: str | None) -> None:
    """Show every trial of sweep FILE, its id, and what a run would do with it.

    \b
    Example:
      sweeper plan sweeps/zeroing_vs_steps.yaml --profile smoke
    """
    sweep = load(file)
    folder = Results.at(results)
    specs = expand(sweep, profile, folder.digests())
    if show is not None:
        _print_trial(_by_prefix(specs, show), as_json)
        return
    standings = survey(folder, specs)
    if as_json:
        facts = {"sweep": sweep.name, "profile": profile, "counts": counts(standings)}
        click.echo(json.dumps(facts | {"trials": [_facts(standing) for standing in standings]}, indent=1))
        return
    # A pipe has no width, and what a file says is no markup.
    console = Console(markup=False, highlight=False, width=None if sys.stdout.isatty() else PIPE_WIDTH)
    with console.capture() as rendered:
        console.print(Text.assemble((sweep.name, "bold"), f" @ {profile}" if profile else "", f": {sweep.question}"))
        console.print(_table(specs, standings))
    click.echo(rendered.get() + _sentence(standings))


def _by_prefix(specs: Sequence[TrialSpec], prefix: str) -> TrialSpec:
    found = [spec for spec in specs if spec.trial_id.startswith(prefix)]
    if len(found) != 1:
        raise click.UsageError(f"--show {prefix}: {len(found)} trials of this plan have an id that begins so")
    return found[0]


def _print_trial(spec: TrialSpec, as_json: bool) -> None:
    values = {name: {"value": value, "from": spec.origins[name]} for name, value in spec.config}
    if as_json:
        facts = {"trial_id": spec.trial_id, "point": spec.point, "cell": spec.cell, "name": spec.name()}
        click.echo(json.dumps(facts | {"recipe": dict(spec.recipe), "digest": spec.digest, "config": values}, indent=1))
        return
    click.echo(f"{spec.trial_id}  {spec.name()}")
    for name, facts in values.items():
        click.echo(f"  {name:<16} {facts['value']!s:<14} {facts['from']}")


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


def _table(specs: Sequence[TrialSpec], standings: Sequence[Standing]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("trial", *specs[0].labels, "seed", "steps"):
        table.add_column(heading, no_wrap=True)
    table.add_column("state", overflow="fold")
    for standing in standings:
        spec = standing.spec
        table.add_row(spec.trial_id, *spec.labels.values(), str(spec.seed), str(spec.target), standing.why)
    return table


def _sentence(standings: Sequence[Standing]) -> str:
    found = ", ".join(f"{count} {state}" for state, count in counts(standings).items() if count)
    return f"{len(standings)} trials: {found}"
