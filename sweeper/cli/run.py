"""`sweeper run`: train the trials of sweeps that are not finished. Decisions are in `sweeper.running`."""

import os
import sys
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import click

from sweeper.cli.options import (
    completing,
    data_root_option,
    json_option,
    only_option,
    profile_option,
    results_option,
    set_option,
    sweep_files,
    tracking_option,
    with_errors_shown,
)
from sweeper.cli.terminal.outcome import finish, print_todo, spoken
from sweeper.cli.terminal.printing import say
from sweeper.cli.terminal.search_lines import budget_sentence
from sweeper.cli.training.given import Given
from sweeper.cli.training.here import mend_told, train
from sweeper.cli.training.jobs import beside_the_queue, submit_told, watched
from sweeper.cli.view import Store
from sweeper.errors import SweepError
from sweeper.executors.slurm.options import SLOTS, parsed
from sweeper.results.accepted_codes import accept
from sweeper.results.locks import require_locks
from sweeper.results.paths import Results, storage_explained
from sweeper.results.survey import Batch, Standing
from sweeper.running.batch import only_run, prepare_run, read_sweeps, surveyed_again
from sweeper.running.mending import mending
from sweeper.running.on_slurm import How, options_of
from sweeper.running.searches import chosen, settled, standings_of, unfinished
from sweeper.running.todo import Todo, Wishes, decide, estimated, packs, picked, room_for
from sweeper.tracking.address import resolve_uri


class PackSize(click.ParamType):
    """A whole number from 1, or the word auto, which gives None."""

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
@set_option
@click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    help="Kind of device that trains; auto takes a CUDA device if there is one.",
)
@click.option(
    "--workers", type=click.IntRange(1), help="Packs trained at once [default: one for each core or GPU; 32 in Slurm]."
)
@click.option(
    "--pack", type=PackSize(), metavar="N|auto", default="auto", show_default=True, help="Trials trained as one pack."
)
@click.option(
    "--engine",
    metavar="NAME",
    help="Engine of new trials [default: that of their cell, or else the fastest that can train them].",
)
@click.option(
    "--address",
    metavar="HOST:PORT",
    envvar="SWEEPER_ADDRESS",
    show_envvar=True,
    help="Head of the Ray cluster to join, or auto. The cluster is neither started nor stopped.",
)
@click.option(
    "--executor",
    type=click.Choice(["ray", "inline", "slurm"]),
    default="ray",
    show_default=True,
    help="Train in worker processes of Ray, inline (in this process, one pack after the other), or in jobs of Slurm.",
)
@click.option(
    "--slurm",
    "slurm_words",
    multiple=True,
    metavar="KEY=VALUE,...",
    help="Options of sbatch, such as partition=gpu,time=4:00:00,gpus=1,cpus=4,mem=16G.",
)
@click.option("--detach", is_flag=True, help="Submit to Slurm and return at once.")
@click.option(
    "--timeout",
    type=click.FloatRange(1),
    default=1800.0,
    show_default=True,
    help="Seconds without a report after which a worker is given up (not with --executor inline).",
)
@click.option("--retry-failed", is_flag=True, help="Train failed trials again too.")
@click.option(
    "--rerun",
    multiple=True,
    metavar="SELECTOR",
    shell_complete=completing("selectors"),
    help="Train these trials from step 0 again, even finished ones.",
)
@click.option(
    "--mend",
    multiple=True,
    metavar="SELECTOR",
    shell_complete=completing("trials"),
    help="Cut the damaged journals of these trials back to their last sound line, keep the damaged files, and go on.",
)
@click.option(
    "--accept-code",
    is_flag=True,
    help="Go on though the code of a trainer has changed: its old and its new code count as equal from now on.",
)
@click.option("--yes", is_flag=True, help="Don't ask before --rerun.")
@click.option("--dry-run", is_flag=True, help="Print what would run, and run nothing.")
@with_errors_shown
def run(
    files: tuple[Path, ...],
    profile: str | None,
    results: Path,
    data_root: Path | None,
    tracking_uri: str | None,
    as_json: bool,
    only: tuple[str, ...],
    settings: tuple[str, ...],
    device: Literal["auto", "cpu", "cuda"],
    workers: int | None,
    pack: int | None,
    engine: str | None,
    address: str | None,
    executor: Literal["ray", "inline", "slurm"],
    slurm_words: tuple[str, ...],
    detach: bool,
    timeout: float,
    retry_failed: bool,
    rerun: tuple[str, ...],
    mend: tuple[str, ...],
    accept_code: bool,
    yes: bool,
    dry_run: bool,
) -> None:  # fmt: skip
    """Train every trial of the sweeps FILE... that isn't finished. The same command resumes or extends a sweep.

    A trial that several files name is trained once. Ctrl-C saves everything and says how to go on; a second Ctrl-C
    stops at once. If the tracking store is slow, a background process sends the rest after the end; `report` and
    `sync` wait for it.

    With --executor slurm, jobs of Slurm train, and Ctrl-C leaves them; the same command submits only what is missing.

    \b
    Example:
      sweeper run sweeps/zeroing_vs_steps.yaml --profile smoke
      sweeper run sweeps/zeroing_vs_steps.yaml --only "zeroing=none,inner_steps=3"
      sweeper run sweeps/zeroing_vs_steps.yaml --mend 3fa4c1d2
      sweeper run sweeps/zeroing_vs_steps.yaml --executor slurm --slurm partition=gpu,time=4:00:00,gpus=1 --workers 32
    """
    from trainers.data.datasets import data_root as resolve_root

    folder = Results.at(results)
    uri = resolve_uri(tracking_uri, folder.root)
    files = tuple({os.path.realpath(file): file for file in files}.values())  # Path.resolve fails on a loop of links
    if executor != "slurm" and (slurm_words or detach):
        raise SweepError(f"{'--slurm' if slurm_words else '--detach'} is for jobs of Slurm; add --executor slurm")
    of_slurm = parsed(slurm_words)
    sweeps = read_sweeps(files, folder, settings)
    if executor == "slurm":
        of_slurm = options_of(sweeps, profile) | of_slurm
    wishes = Wishes(
        data_root=resolve_root(data_root),
        only=only,
        rerun=rerun,
        retry_failed=retry_failed,
        device=device,
        workers=workers,
        pack=pack,
        engine=engine,
        address=address,
        executor=executor,
        accept_code=accept_code,
        slurm=of_slurm,
    )
    room = room_for(wishes)
    batch = prepare_run(sweeps, profile, folder, wishes.data_root)
    mended = mending(batch, folder, mend, rerun)
    of = chosen(mended.batch, only)
    if of is not None:
        wishes = replace(wishes, only=())  # whole searches are picked, not trials
    searches = unfinished(mended.batch, folder, retry_failed=retry_failed, of=of)
    todo = decide(mended.batch, wishes, room, searches)
    there = False
    if executor == "slurm":
        todo, there = beside_the_queue(todo, folder)
    say(_headline(todo, len(mended.trials)))
    for remark in mended.remarks:
        say(remark)
    if dry_run:
        print_todo(todo.standings, todo.trials, as_json)
        _tell_budgets(todo, folder)
        return
    if todo.equal_codes:
        folder.ensure_writable()
        with storage_explained(folder.root):
            accept(folder, todo.equal_codes)
    given = Given(
        files=files,
        results=results,
        profile=profile,
        settings=settings,
        only=only,
        data_root=data_root,
        executor=executor,
        slurm=slurm_words,
        tracking_uri=tracking_uri,
    )
    store = None
    if uri:
        named = bool(tracking_uri)
        words, variant = given.to_sync, given.variant
        store = Store(batch=todo.batch, results=folder, uri=uri, named=named, words=words, variant=variant)

    def end(batch: Batch, standings: Sequence[Standing], unsearched: Collection[str] = ()) -> None:
        ended = picked(standings, wishes.only) if of is None else standings_of(standings, of, folder)
        then = given.to_report() if uri else ""
        finish(ended, folder, as_json, given.to_mend, then, settled(batch, folder), unsearched)

    if executor == "slurm" and (todo.trials or todo.searches or there):
        how = How(
            options=of_slurm,
            workers=workers or SLOTS,
            pack=packs(todo, wishes)[0],
            timeout_s=timeout,
            retry_failed=retry_failed,
            data_root=wishes.data_root.expanduser().absolute(),
            profile=profile,
            engine=engine,
        )
        _tell_budgets(todo, folder)
        _ask(folder, todo.begun, yes)
        folder.ensure_writable()
        submit_told(todo, how, folder, mended.trials)
        if detach:
            return
        now = watched(todo.batch, folder, store)
        end(now, now.standings, [one.name for one in unfinished(now, folder, retry_failed=False, of=of)])
        return
    if not todo.trials and not todo.searches:
        if mended.trials:
            folder.ensure_writable()
            require_locks(folder)
            with only_run(todo.batch, folder):
                mend_told(folder, mended.trials)
        if store:
            store.bring_up()
        end(todo.batch, todo.standings)
        return
    together, why = packs(todo, wishes)
    if pack is None and together > 1:
        say(f"Packs of {together} ({why}).")
    if todo.trials:
        say(estimated(todo, wishes))
    _tell_budgets(todo, folder)
    _ask(folder, todo.begun, yes)
    folder.ensure_writable()
    require_locks(folder)
    train(todo, wishes, folder, store, together, timeout, mended.trials)
    end(todo.batch, surveyed_again(todo.batch, folder).standings)


def _tell_budgets(todo: Todo, folder: Results) -> None:
    for search in todo.searches:
        say(budget_sentence(search, folder))


def _headline(todo: Todo, mended: int) -> str:
    names = " + ".join(part.experiment for part in todo.batch.parts)
    again = f", {len(todo.begun)} of them from step 0 again" if todo.begun else ""
    on = f"{todo.room.device} ({todo.room.reason})"
    damaged = f", after the mend of {mended} journal{'s' * (mended > 1)}" if mended else ""
    searches = f" and {len(todo.searches)} search{'es' * (len(todo.searches) > 1)}" if todo.searches else ""
    return f"{names}: {spoken(todo.standings)}; {len(todo.trials)} to run{searches} on {on}{again}{damaged}"


def _ask(results: Results, begun: list[Standing], yes: bool) -> None:
    """Ask the user before the results of the trials in `begun` are moved away.

    Raises SweepError if there is no terminal to ask on, and click.Abort if the answer is no.
    """
    if yes or not begun:
        return
    count = len({standing.spec.trial_id for standing in begun})
    question = (
        f"--rerun trains {count} trial{'s' if count > 1 else ''} from step 0 again; "
        f"the old results move to {results.root}/superseded"
    )
    if not sys.stdin.isatty():
        raise SweepError(f"{question}; nothing was changed; agree with --yes")
    click.confirm(f"{question}. Go on?", abort=True, err=True)
