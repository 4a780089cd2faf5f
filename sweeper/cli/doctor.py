"""`sweeper doctor`: check that this machine has what a run needs, and say what to do if not."""

import json
from pathlib import Path

import click

from sweeper.cli.options import data_root_option, json_option, results_option, tracking_option, with_errors_shown
from sweeper.cli.terminal.printing import hand_out
from sweeper.results.paths import Results


@click.command()
@results_option
@data_root_option
@tracking_option
@json_option
@click.pass_context
@with_errors_shown
def doctor(
    context: click.Context, results: Path, data_root: Path | None, tracking_uri: str | None, as_json: bool
) -> None:
    """Check the system, Python, packages, devices, disk, locks, clock, tracking store and data, and say what to do.

    Each of them is really used, and nothing is left behind. The exit code is 1 if a line says bad. A warn line stops
    no run.

    \b
    Example:
      sweeper doctor --results results
    """
    from sweeper.health.checks import examine
    from trainers.data.datasets import data_root as resolve_root

    checks = []
    for check in examine(Results.at(results).root, resolve_root(data_root), tracking_uri):
        checks.append(check)
        if not as_json:
            hand_out(f"{check.verdict:<5} {check.name:<19} {check.found}")
            if check.advice:
                hand_out(f"{'':<25} -> {check.advice}")
    if as_json:
        hand_out(json.dumps([check._asdict() for check in checks], indent=1))
    if any(check.verdict == "bad" for check in checks):
        context.exit(1)
