"""`sweeper run`: the one verb that is needed; what is done stays done, what is missing is run."""

import json
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from sweeper.batch import Batch, only_run, pending, prepare_run, refuse_other_device
from sweeper.cli.options import (
    data_root_option,
    json_option,
    only_option,
    profile_option,
    results_option,
    tracking_option,
    with_errors_shown,
)
from sweeper.devices import choose_device, default_workers
from sweeper.errors import SweepError, TrackingError
from sweeper.estimate import estimate
from sweeper.plan import TrialSpec
from sweeper.results import Results
from sweeper.selectors import select
from sweeper.streams import chatter_to
from sweeper.supersede import supersede
from sweeper.survey import Standing, counts
from sweeper.sweepfile import load
from sweeper.tracking_uri import masked, resolve_uri

if TYPE_CHECKING:
    from sweeper.session import Options

TROUBLE = 3


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...", type=click.Path(dir_okay=False, path_type=Path))
@profile_option
@results_option
@data_root_option
@tracking_option
@json_option
@only_option
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True)
@click.option("--workers", type=click.IntRange(1), help="Packs trained at once [default: one a CPU core or GPU].")
@click.option("--pack", type=click.IntRange(1), default=1, show_default=True, help="Trials trained as one pack.")
@click.option("--executor", type=click.Choice(["ray", "inline"]), default="ray", show_default=True)
@click.option(
    "--timeout",
    type=click.FloatRange(1),
    default=1800.0,
    show_default=True,
    help="Seconds without a word after which a worker is given up (not with --executor inline).",
)
@click.option("--retry-failed", is_flag=True, help="Run failed trials again too.")
@click.option("--rerun", multiple=True, metavar="SELECTOR", help="Train these again from nothing, finished or not.")
@click.option("--yes", is_flag=True, help="Don't ask before --rerun.")
@click.option("--dry-run", is_flag=True, help="Say what would run, and run nothing.")
@with_errors_shown
def run(
    files: tuple[Path, ...],
    profile: str | None,
    results: Path,
    data_root: Path | None,
    tracking_uri: str | None,
    as_json: bool,
    only: tuple[str, ...],
    device: Literal["auto", "cpu", "cuda"],
    workers: int | None,
    pack: int,
    executor: Literal["ray", "inline"],
    timeout: float,
    retry_failed: bool,
    rerun: tuple[str, ...],
    yes: bool,
    dry_run: bool,
) -> None:  # fmt: skip
    """Run every trial of the sweeps FILE... that isn't finished; the same command is first run, resume and growth.

    A trial that several files name is trained once. Ctrl-C saves and says how to go on; a second one stops at once.

    \b
    Example:
      sweeper run sweeps/zeroing_vs_steps.yaml --profile smoke
      sweeper run sweeps/zeroing_vs_steps.yaml --only "zeroing=none,inner_steps=3"
    """
    from trainers.datasets import data_root as resolve_root

    folder = Results.at(results)
    uri = resolve_uri(tracking_uri, folder.root)
    chosen, reason = choose_device(device)
    most = default_workers(chosen)
    if chosen == "cuda" and workers is not None and workers > most:
        raise SweepError(f"--workers {workers}: there are {most} CUDA devices here, and a worker has one to itself")
    sweeps = [load(file) for file in dict.fromkeys(files)]
    batch = prepare_run(sweeps, profile, folder, resolve_root(data_root))
    specs = [found.spec for found in batch.standings]
    anew = select(specs, rerun, "--rerun") if rerun else []
    standings = _picked(batch.standings, only)
    held_back = {spec.trial_id for spec in anew}
    going_on = [found for found in standings if found.spec.trial_id not in held_back]
    refuse_other_device(going_on, chosen)
    todo = anew + pending(going_on, retry_failed=retry_failed)
    names = " + ".join(part.experiment for part in batch.parts)
    _say(f"{names}: {_spoken(standings)}; {len(todo)} to run on {chosen} ({reason})")
    if dry_run or not todo:
        for spec in todo:
            click.echo(f"{spec.trial_id}  {spec.name()}")
        _finish(standings, folder, as_json)
        return
    _say(_estimated(batch, todo, chosen, workers or most))
    options = _options(folder, chosen, workers or most, pack, executor, uri, retry_failed, timeout)
    with only_run(batch, folder):
        _set_aside(folder, [found for found in batch.standings if found.spec.trial_id in held_back], yes)
        behind = _execute(batch, todo, options)
    if behind:
        late = " && ".join(_sync_command(file, profile, results) for file in files)
        _say(f"{behind}; once the store answers, this sends the rest: {late}")
    after = prepare_run(sweeps, profile, folder, resolve_root(data_root))
    _finish(_picked(after.standings, only), folder, as_json)


def _options(
    results: Results, device: Literal["cpu", "cuda"], workers: int, pack: int, executor: Literal["ray", "inline"],
    uri: str | None, retry_failed: bool, timeout_s: float,
) -> "Options":  # fmt: skip
    from sweeper.session import Options

    results.ensure_writable()
    return Options(
        results=results,
        device=device,
        workers=workers,
        pack=pack,
        executor=executor,
        tracking_uri=uri,
        retry_failed=retry_failed,
        timeout_s=timeout_s,
    )


def _picked(standings: list[Standing], only: tuple[str, ...]) -> list[Standing]:
    chosen = {spec.trial_id for spec in select([found.spec for found in standings], only, "--only")}
    return [found for found in standings if found.spec.trial_id in chosen]


def _estimated(batch: Batch, todo: list[TrialSpec], device: Literal["cpu", "cuda"], workers: int) -> str:
    wanted = {(spec.trial_id, spec.target) for spec in todo}
    left = [found for found in batch.standings if (found.spec.trial_id, found.spec.target) in wanted]
    return estimate(left, batch.parts[0].survey.briefs, device).sentence(workers)


def _set_aside(results: Results, anew: list[Standing], yes: bool) -> None:
    """Put the results of trials to be run again aside, once the user has agreed to it."""
    begun = [found for found in anew if found.brief is not None]
    if not begun:
        return
    question = f"{len(begun)} trials are trained again from nothing; what they have goes to {results.root}/superseded."
    if not yes:
        if not sys.stdin.isatty():
            raise SweepError(f"{question} Say so with --yes")
        click.confirm(f"{question} Go on?", abort=True, err=True)
    supersede(results, [found.spec.trial_id for found in begun])


def _execute(batch: Batch, todo: list[TrialSpec], options: "Options") -> str:
    """Run with a view on the real stderr while whatever Ray and MLflow write goes to the results' ray.log.

    Return what the tracking store lacks, as a sentence; empty if nothing.
    """
    from sweeper import session
    from sweeper.cli.progress import Watcher

    quiet = chatter_to(options.results.ray_log) if options.executor == "ray" else nullcontext(sys.stderr)
    try:
        with quiet as stream:
            behind = session.execute(batch, todo, options, Watcher(stream).watching)
            trouble = _push_cells(batch, options)
    except session.InterruptedRunError as stopped:
        _say("Stopped; everything is saved. The same command goes on from there.")
        raise click.exceptions.Exit(128 + stopped.signal_number) from None
    if not behind:
        return trouble or ""
    return f"{behind} trials are not yet in {masked(options.tracking_uri or '')}"


def _push_cells(batch: Batch, options: "Options") -> str | None:
    """Bring the summary runs up to date; return what kept them from it, which is no trouble of the run's."""
    from sweeper.cli.cells import push_cells
    from sweeper.session import connect

    if options.tracking_uri is None:
        return None
    try:
        for part in batch.parts:
            tracker = connect(options.tracking_uri, part.experiment, options.results)
            push_cells(tracker, part.sweep, part.specs, options.results)
    except TrackingError as error:
        return str(error)
    return None


def _sync_command(file: Path, profile: str | None, results: Path) -> str:
    return f"sweeper sync {file}{f' --profile {profile}' if profile else ''} --results {results}"


def _finish(standings: list[Standing], results: Results, as_json: bool) -> None:
    """Print where the sweep stands and leave with the exit code for it."""
    found = counts(standings)
    if as_json:
        click.echo(json.dumps({"planned": len(standings), **found}))
    else:
        _say(_spoken(standings))
    bad = [standing for standing in standings if standing.state in ("failed", "diverged")]
    for standing in bad:
        _say(_failure(standing, results))
    if bad:
        raise click.exceptions.Exit(TROUBLE)


def _failure(standing: Standing, results: Results) -> str:
    """Return which trial failed, at what step, why, and where to read on."""
    assert standing.brief is not None
    paths, spec = results.trial(standing.spec.trial_id), standing.spec
    log = paths.log(standing.brief.attempt)
    where = log if log.exists() else paths.journal
    return f"{spec.trial_id}  {spec.name()}: {standing.state} at step {standing.brief.step}: {standing.why}; {where}"


def _spoken(standings: list[Standing]) -> str:
    found = ", ".join(f"{count} {state}" for state, count in counts(standings).items() if count)
    return f"{len(standings)} planned: {found}"


def _say(text: str) -> None:
    click.echo(text, err=True)
