"""`sweeper run`: the one verb that is needed; what is done stays done, what is missing is run."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from sweeper.cli.options import (
    data_root_option,
    json_option,
    only_option,
    profile_option,
    results_option,
    sweep_files,
    tracking_option,
    with_errors_shown,
)
from sweeper.cli.outcome import finish, print_todo, spoken, tell_left
from sweeper.cli.printing import say
from sweeper.cli.view import Store
from sweeper.errors import SweepError
from sweeper.host.devices import THREADS, Device, choose_device, default_workers, gpu_share
from sweeper.host.streams import chatter_to
from sweeper.planning.selectors import select
from sweeper.planning.trial_spec import TrialSpec
from sweeper.results.estimate import estimate
from sweeper.results.paths import Results
from sweeper.results.supersede import supersede
from sweeper.results.survey import Batch, Standing
from sweeper.running.batch import only_run, pending, prepare_run, refuse_arithmetic, refuse_other_device, surveyed_again
from sweeper.running.pack_size import check_share, pack_size
from sweeper.sweepfile.sweep import Sweep, load
from sweeper.tracking.address import resolve_uri

if TYPE_CHECKING:
    from sweeper.running.session import Options
    from sweeper.tracking.syncer import Views


class PackSize(click.ParamType):
    """A whole number from 1, or the word auto, which is None."""

    name = "N|auto"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | None:
        if value == "auto":
            return None
        if not str(value).isdecimal() or int(value) < 1:
            self.fail(f"{value} is neither a whole number from 1 nor the word auto", param, ctx)
        return int(value)


@click.command()
@sweep_files
@profile_option
@results_option
@data_root_option
@tracking_option
@json_option
@only_option
@click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    help="Kind of device that trains; auto takes a CUDA device if there is one.",
)
@click.option("--workers", type=click.IntRange(1), help="Packs trained at once [default: one a CPU core or GPU].")
@click.option(
    "--pack", type=PackSize(), metavar="N|auto", default="auto", show_default=True, help="Trials trained as one pack."
)
@click.option(
    "--address",
    metavar="HOST:PORT",
    envvar="SWEEPER_ADDRESS",
    show_envvar=True,
    help="Run on the Ray cluster whose head is there (or auto), which is neither started nor stopped.",
)
@click.option(
    "--executor",
    type=click.Choice(["ray", "inline"]),
    default="ray",
    show_default=True,
    help="Train in worker processes of Ray, or inline: in this process, one pack after the other.",
)
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
    pack: int | None,
    address: str | None,
    executor: Literal["ray", "inline"],
    timeout: float,
    retry_failed: bool,
    rerun: tuple[str, ...],
    yes: bool,
    dry_run: bool,
) -> None:  # fmt: skip
    """Run every trial of the sweeps FILE... that isn't finished; the same command is first run, resume and growth.

    A trial that several files name is trained once. Ctrl-C saves and says how to go on; a second one stops at once.
    What a slow tracking store lacks at the end is sent by a process left behind; `report` and `sync` wait for that.

    \b
    Example:
      sweeper run sweeps/zeroing_vs_steps.yaml --profile smoke
      sweeper run sweeps/zeroing_vs_steps.yaml --only "zeroing=none,inner_steps=3"
    """
    from sweeper.running import session
    from trainers.data.datasets import data_root as resolve_root

    folder = Results.at(results)
    uri = resolve_uri(tracking_uri, folder.root)
    chosen, reason, most = _room(device, address, executor)
    share = gpu_share(workers, most) if chosen == "cuda" else 1.0
    if share < 1:
        if pack is not None and pack > 1:
            raise SweepError(f"--workers {workers} --pack {pack}: on {most} CUDA devices; only trials alone share one")
        pack = 1
    files = tuple({file.resolve(): file for file in files}.values())
    sweeps = [load(file) for file in files]
    _refuse_twins(files, sweeps)
    root = resolve_root(data_root)
    batch = prepare_run(sweeps, profile, folder, root)
    specs = [found.spec for found in batch.standings]
    anew = select(specs, rerun, "--rerun") if rerun else []
    standings = _picked(batch.standings, only)
    held_back = {spec.trial_id for spec in anew}
    going_on = [found for found in standings if found.spec.trial_id not in held_back]
    refuse_other_device(going_on, chosen, retry_failed=retry_failed)
    todo = anew + pending(going_on, retry_failed=retry_failed)
    refuse_arithmetic(todo, chosen)
    names = " + ".join(part.experiment for part in batch.parts)
    begun = [found for found in batch.standings if found.spec.trial_id in held_back and found.brief is not None]
    again = f", {len(begun)} of them again from nothing" if begun else ""
    say(f"{names}: {spoken(standings)}; {len(todo)} to run on {chosen} ({reason}){again}")
    if dry_run:
        print_todo(standings, todo, as_json)
        return
    words = [*map(str, files), "--results", str(results), *(["--profile", profile] if profile else [])]
    store = Store(batch=batch, results=folder, uri=uri, named=bool(tracking_uri), words=words) if uri else None
    if not todo:
        if store:
            store.bring_up()
        finish(standings, folder, as_json)
        return
    if pack is None:
        pack, why = pack_size(todo, chosen, root)
        if pack > 1:
            say(f"Packs of {pack} ({why}).")
    if share < 1:
        check_share(todo, root, share)
    say(_estimated(batch, todo, held_back, chosen, 1 if executor == "inline" else workers or most))
    _ask(folder, begun, yes)
    options = session.Options(
        results=folder,
        data_root=root.expanduser().absolute(),
        device=chosen,
        workers=workers,
        address=address,
        pack=pack,
        share=share,
        executor=executor,
        retry_failed=retry_failed,
        timeout_s=timeout,
    )
    folder.ensure_writable()
    with only_run(batch, folder):
        supersede(folder, [found.spec.trial_id for found in begun])
        views = store.views() if store else None
        try:
            behind = _execute(batch, todo, options, views)
        except session.InterruptedRunError as stopped:
            same = "The same command without --rerun" if begun else "The same command"
            say(f"Stopped; everything is saved. {same} goes on from there.")
            if store and views:
                store.tell(views, stopped.behind, stopped=True)
            raise click.exceptions.Exit(128 + stopped.signal_number) from None
        except SweepError:  # Ray or the results folder gave out; what follows this says how to go on
            tell_left(_picked(surveyed_again(batch, folder).standings, only))
            raise
    if store and views:
        store.tell(views, behind)
    finish(_picked(surveyed_again(batch, folder).standings, only), folder, as_json)


def _room(
    device: Literal["auto", "cpu", "cuda"], address: str | None, executor: Literal["ray", "inline"]
) -> tuple[Device, str, int]:
    """Return the device, the reason for it, and how many workers there is room for, here or on the cluster joined."""
    if address is None:
        chosen, reason = choose_device(device)
        return chosen, reason, default_workers(chosen)
    if executor == "inline":
        raise SweepError(f"--executor inline runs in this process alone, not at --address {address}; leave one out")
    from sweeper.executors.ray.cluster import Cluster

    return Cluster(address).room(device, THREADS)


def _picked(standings: list[Standing], only: tuple[str, ...]) -> list[Standing]:
    chosen = {spec.trial_id for spec in select([found.spec for found in standings], only, "--only")}
    return [found for found in standings if found.spec.trial_id in chosen]


def _refuse_twins(files: tuple[Path, ...], sweeps: list[Sweep]) -> None:
    """Raise SweepError if two files give one name: a run and an experiment are known by it."""
    named: dict[str, Path] = {}
    for file, sweep in zip(files, sweeps, strict=True):
        if sweep.name in named:
            raise SweepError(f"{named[sweep.name]} and {file} are both named {sweep.name}; rename one of them")
        named[sweep.name] = file


def _estimated(
    batch: Batch, todo: list[TrialSpec], anew: set[str], device: Literal["cpu", "cuda"], workers: int
) -> str:
    wanted = {(spec.trial_id, spec.target) for spec in todo}
    left = [
        replace(found, brief=None) if found.spec.trial_id in anew else found
        for found in batch.standings
        if (found.spec.trial_id, found.spec.target) in wanted
    ]
    return estimate(left, batch.parts[0].survey.briefs, device).sentence(workers)


def _ask(results: Results, begun: list[Standing], yes: bool) -> None:
    """Go on only once the user has agreed that the trials that have `begun` are put aside. Raises SweepError."""
    if yes or not begun:
        return
    count = len({found.spec.trial_id for found in begun})
    question = (
        f"--rerun trains {count} trial{'s' if count > 1 else ''} again from nothing; "
        f"what is there goes to {results.root}/superseded"
    )
    if not sys.stdin.isatty():
        raise SweepError(f"{question}; nothing was changed, agree to it with --yes")
    click.confirm(f"{question}. Go on?", abort=True, err=True)


def _execute(batch: Batch, todo: list[TrialSpec], options: "Options", views: "Views | None") -> int:
    """Run with a view on the real stderr while whatever Ray and MLflow write goes to the results' ray.log.

    Return how many trials the tracking store lacks.
    """
    from sweeper.cli.progress import Watcher
    from sweeper.running.session import execute

    with chatter_to(options.results.ray_log, stdout=options.executor == "ray") as stream:
        return execute(batch, todo, options, Watcher(stream).watching, views)
