"""`sweeper run`: the one verb that is needed; what is done stays done, what is missing is run."""

import json
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from sweeper.cli.options import (
    data_root_option,
    json_option,
    profile_option,
    results_option,
    sweep_file,
    tracking_option,
    with_errors_shown,
)
from sweeper.errors import SweepError, TrackingError
from sweeper.results import Results
from sweeper.streams import chatter_to
from sweeper.survey import Standing, counts, survey
from sweeper.sweepfile import load
from sweeper.tracking_uri import masked, resolve_uri

if TYPE_CHECKING:
    from sweeper.plan import TrialSpec
    from sweeper.session import Options, Prepared

TROUBLE = 3


@click.command()
@sweep_file
@profile_option
@results_option
@data_root_option
@tracking_option
@json_option
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True)
@click.option("--workers", type=click.IntRange(1), help="Packs trained at once [default: one a CPU core or GPU].")
@click.option("--pack", type=click.IntRange(1), default=1, show_default=True, help="Trials trained as one pack.")
@click.option("--executor", type=click.Choice(["ray", "inline"]), default="ray", show_default=True)
@click.option("--retry-failed", is_flag=True, help="Run failed trials again too.")
@click.option("--dry-run", is_flag=True, help="Say what would run, and run nothing.")
@with_errors_shown
def run(
    file: Path,
    profile: str | None,
    results: Path,
    data_root: Path | None,
    tracking_uri: str | None,
    as_json: bool,
    device: Literal["auto", "cpu", "cuda"],
    workers: int | None,
    pack: int,
    executor: Literal["ray", "inline"],
    retry_failed: bool,
    dry_run: bool,
) -> None:
    """Run every trial of sweep FILE that isn't finished; the same command is first run, resume and growth.

    Ctrl-C saves and says how to go on; a second one stops at once.

    \b
    Example:
      sweeper run sweeps/zeroing_vs_steps.yaml --profile smoke
    """
    from sweeper import session
    from trainers.datasets import data_root as resolve_root

    sweep, folder = load(file), Results.at(results)
    uri = resolve_uri(tracking_uri, folder.root)
    chosen, reason = session.choose_device(device)
    prepared = session.prepare_run(sweep, profile, folder, resolve_root(data_root))
    session.refuse_other_device(prepared.standings, chosen)
    todo = session.pending(prepared.standings, retry_failed=retry_failed)
    _say(f"{prepared.experiment}: {_spoken(prepared.standings)}; {len(todo)} to run on {chosen} ({reason})")
    if dry_run or not todo:
        for spec in todo:
            click.echo(f"{spec.trial_id}  {spec.name()}")
        _finish(prepared.standings, as_json)
        return
    most = session.default_workers(chosen)
    if chosen == "cuda" and workers is not None and workers > most:
        raise SweepError(f"--workers {workers}: there are {most} CUDA devices here, and a worker has one to itself")
    options = session.Options(
        results=folder,
        device=chosen,
        workers=workers or most,
        pack=pack,
        executor=executor,
        tracking_uri=uri,
        retry_failed=retry_failed,
    )
    try:
        behind = _execute(prepared, todo, options)
    except session.InterruptedRunError as stopped:
        _say("Stopped; everything is saved. The same command goes on from there.")
        raise click.exceptions.Exit(128 + stopped.signal_number) from None
    if behind:
        late = f"sweeper sync {file}{f' --profile {profile}' if profile else ''} --results {results}"
        _say(f"{behind}; once the store answers, this sends the rest: {late}")
    _finish(survey(folder, prepared.specs), as_json)


def _execute(prepared: "Prepared", todo: "list[TrialSpec]", options: "Options") -> str:
    """Run with a view on the real stderr while whatever Ray and MLflow write goes to the results' ray.log.

    Return what the tracking store lacks, as a sentence; empty if nothing.
    """
    from sweeper import session
    from sweeper.cli.progress import Watcher

    options.results.ensure_writable()
    quiet = chatter_to(options.results.ray_log) if options.executor == "ray" else nullcontext(sys.stderr)
    with quiet as stream:
        behind = session.execute(prepared, todo, options, Watcher(stream).watching)
        trouble = _push_cells(prepared, options)
    if not behind:
        return trouble or ""
    return f"{behind} trials are not yet in {masked(options.tracking_uri or '')}"


def _push_cells(prepared: "Prepared", options: "Options") -> str | None:
    """Bring the summary runs up to date; return what kept them from it, which is no trouble of the run's."""
    from sweeper.cli.cells import push_cells
    from sweeper.session import connect

    if options.tracking_uri is None:
        return None
    try:
        tracker = connect(options.tracking_uri, prepared.experiment, options.results)
        push_cells(tracker, prepared.sweep, prepared.specs, options.results)
    except TrackingError as error:
        return str(error)
    return None


def _finish(standings: list[Standing], as_json: bool) -> None:
    """Print where the sweep stands and leave with the exit code for it."""
    found = counts(standings)
    if as_json:
        click.echo(json.dumps({"planned": len(standings), **found}))
    else:
        _say(_spoken(standings))
    bad = [standing for standing in standings if standing.state in ("failed", "diverged")]
    for standing in bad:
        _say(f"{standing.spec.trial_id}  {standing.spec.name()}: {standing.why}")
    if bad:
        raise click.exceptions.Exit(TROUBLE)


def _spoken(standings: list[Standing]) -> str:
    found = ", ".join(f"{count} {state}" for state, count in counts(standings).items() if count)
    return f"{len(standings)} planned: {found}"


def _say(text: str) -> None:
    click.echo(text, err=True)
