"""`sweeper report`: the plan joined with the tracking store, written as a paper's tables and figures."""

import shlex
import sys
from pathlib import Path

import click

from sweeper.batch import experiment_name
from sweeper.cli.options import (
    only_option,
    profile_option,
    results_option,
    sweep_file,
    tracking_option,
    with_errors_shown,
)
from sweeper.errors import SweepError
from sweeper.plan import expand
from sweeper.provenance import commit
from sweeper.results import Results, ResultsError
from sweeper.selectors import select
from sweeper.sweepfile import load
from sweeper.tracking_uri import resolve_uri


@click.command()
@sweep_file
@profile_option
@results_option
@tracking_option
@only_option
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Folder [default: RESULTS/reports/NAME].")
@with_errors_shown
def report(
    file: Path, profile: str | None, results: Path, tracking_uri: str | None, only: tuple[str, ...], out: Path | None
) -> None:
    """Write tables (CSV, Markdown, LaTeX) and figures (PNG, PDF) of sweep FILE; missing seeds are named.

    \b
    Example:
      sweeper report sweeps/zeroing_vs_steps.yaml --profile cpu --out report
    """
    from analysis.errors import AnalysisError
    from analysis.report import build

    sweep, folder = load(file), Results.at(results)
    uri = resolve_uri(tracking_uri, folder.root)
    if uri is None:
        raise SweepError(
            "--tracking-uri none: a report reads a tracking store; run `sweeper sync FILE`, then report it"
        )
    sha, dirty = commit()
    name = experiment_name(sweep, profile)
    specs = select(expand(sweep, profile, folder.digests()), only, "--only")
    picked = "".join(f" --only {shlex.quote(selector)}" for selector in only)
    try:
        made = build(
            plan=[spec.planned() for spec in specs],
            axes=[axis.name for axis in sweep.axes],
            sweep=name,
            question=sweep.question,
            endpoint=sweep.endpoint,
            tables=sweep.tables,
            figures=sweep.figures,
            tracking_uri=uri,
            out=out or folder.report(name),
            command=f"sweeper report {file}{f' --profile {profile}' if profile else ''}{picked}",
            commit=f"{sha}{' with changes' if dirty else ''}",
        )
    except AnalysisError as error:
        raise SweepError(str(error)) from None
    except OSError as error:
        place = out or folder.report(name)
        raise ResultsError(
            f"{place}: the report can't be written ({error.strerror}); name another folder with --out"
        ) from None
    print(made.sentence, file=sys.stderr)
    print(f"{made.complete} cells complete, {made.incomplete} with missing seeds", file=sys.stderr)
    for path in made.paths:
        click.echo(path)
