"""`sweeper run`: train the trials of sweeps that are not finished. Decisions are in `sweeper.running`."""

import os
import shlex
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

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
from sweeper.cli.terminal.mending import command_to_mend
from sweeper.cli.terminal.outcome import finish, print_todo, spoken, tell_left
from sweeper.cli.terminal.printing import say
from sweeper.cli.terminal.search_lines import budget_sentence
from sweeper.cli.terminal.slurm import told, watch
from sweeper.cli.view import Store
from sweeper.errors import SweepError
from sweeper.executors.slurm.options import SLOTS, parsed
from sweeper.executors.slurm.standing import complaints, look, once_settled, queued, with_queue
from sweeper.host.streams import chatter_to
from sweeper.planning.searched import Search
from sweeper.results.accepted_codes import accept
from sweeper.results.locks import require_locks
from sweeper.results.mend import mend as mend_journals
from sweeper.results.paths import Results, storage_explained
from sweeper.results.supersede import supersede
from sweeper.results.survey import Standing
from sweeper.running.batch import only_run, prepare_run, read_sweeps, surveyed_again
from sweeper.running.mending import mending
from sweeper.running.on_slurm import How, left_of, options_of, submit
from sweeper.running.searches import chosen, opened, settled, show_nowhere, standings_of, unfinished
from sweeper.running.todo import Todo, Wishes, decide, estimated, packs, picked, room_for
from sweeper.search.trials import searches_in
from sweeper.sweepfile.tries import words as set_words
from sweeper.tracking.address import masked, resolve_uri

if TYPE_CHECKING:
    from sweeper.dealing.source import Source
    from sweeper.running.session import Options
    from sweeper.tracking.syncer import Views


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
        todo, there = _beside_the_queue(todo, folder)
    say(_headline(todo, len(mended.trials)))
    for remark in mended.remarks:
        say(remark)
    if dry_run:
        print_todo(todo.standings, todo.trials, as_json)
        for search in todo.searches:
            say(budget_sentence(search, folder))
        return
    if todo.equal_codes:
        folder.ensure_writable()
        with storage_explained(folder.root):
            accept(folder, todo.equal_codes)
    variant = [*(["--profile", profile] if profile else []), *set_words(settings)]
    words = [*map(str, files), "--results", str(results), *variant]
    named = bool(tracking_uri)
    more = [
        *set_words(settings),
        *(["--data-root", str(data_root)] if data_root else []),
        *(word for each in only for word in ("--only", each)),
    ]
    more += ["--executor", executor] if executor != "ray" else []
    more += [word for each in slurm_words for word in ("--slurm", each)]
    more += ["--tracking-uri", tracking_uri] if tracking_uri and masked(tracking_uri) == tracking_uri else []
    to_mend = partial(command_to_mend, files=files, results=results, profile=profile, more=more)
    then = _report_command(files, results, variant, only, tracking_uri) if uri else ""
    store = None
    if uri:
        store = Store(batch=todo.batch, results=folder, uri=uri, named=named, words=words, variant=variant)
    if executor == "slurm" and (todo.trials or todo.searches or there):
        together, _ = packs(todo, wishes)
        how = How(
            options=of_slurm,
            workers=workers or SLOTS,
            pack=together,
            timeout_s=timeout,
            retry_failed=retry_failed,
            data_root=wishes.data_root.expanduser().absolute(),
            profile=profile,
            engine=engine,
        )
        for search in todo.searches:
            say(budget_sentence(search, folder))
        _ask(folder, todo.begun, yes)
        folder.ensure_writable()
        _submit(todo, how, folder, mended.trials)
        if detach:
            return
        watch(todo.batch, folder, _bringing_up(store, folder) if store else None)
        now = surveyed_again(todo.batch, folder)
        unsearched = [search.name for search in unfinished(now, folder, retry_failed=False, of=of)]
        ended = _of_choice(now.standings, of, wishes, folder)
        finish(ended, folder, as_json, to_mend, then, settled(now, folder), unsearched)
        return
    if not todo.trials and not todo.searches:
        if mended.trials:
            folder.ensure_writable()
            require_locks(folder)
            with only_run(todo.batch, folder):
                _mend(folder, mended.trials)
        if store:
            store.bring_up()
        ended = _of_choice(todo.standings, of, wishes, folder)
        finish(ended, folder, as_json, to_mend, then, settled(todo.batch, folder))
        return
    together, why = packs(todo, wishes)
    if pack is None and together > 1:
        say(f"Packs of {together} ({why}).")
    if todo.trials:
        say(estimated(todo, wishes))
    for search in todo.searches:
        say(budget_sentence(search, folder))
    _ask(folder, todo.begun, yes)
    folder.ensure_writable()
    require_locks(folder)
    _train(todo, wishes, folder, store, together, timeout, mended.trials)
    ended = _of_choice(surveyed_again(todo.batch, folder).standings, of, wishes, folder)
    finish(ended, folder, as_json, to_mend, then, settled(todo.batch, folder))


def _of_choice(
    standings: Sequence[Standing], of: Sequence[Search] | None, wishes: Wishes, folder: Results
) -> list[Standing]:
    """Return the trials that --only picks: those of the searches `of` it, or of a grid."""
    return picked(standings, wishes.only) if of is None else standings_of(standings, of, folder)


def _report_command(
    files: Sequence[Path], results: Path, variant: Sequence[str], only: Sequence[str], tracking_uri: str | None
) -> str:
    """Return the command that reports what a run has trained."""
    words = ["sweeper", "report", *map(str, files), *(["--all"] if len(files) > 1 else [])]
    words += ["--results", str(results)] if results != Path("results") else []
    words += [*variant, *(word for each in only for word in ("--only", each))]
    words += ["--tracking-uri", masked(tracking_uri)] if tracking_uri else []
    return shlex.join(words)


def _headline(todo: Todo, mended: int) -> str:
    names = " + ".join(part.experiment for part in todo.batch.parts)
    again = f", {len(todo.begun)} of them from step 0 again" if todo.begun else ""
    on = f"{todo.room.device} ({todo.room.reason})"
    damaged = f", after the mend of {mended} journal{'s' * (mended > 1)}" if mended else ""
    searches = f" and {len(todo.searches)} search{'es' * (len(todo.searches) > 1)}" if todo.searches else ""
    return f"{names}: {spoken(todo.standings)}; {len(todo.trials)} to run{searches} on {on}{again}{damaged}"


def _mend(folder: Results, trial_ids: Sequence[str]) -> None:
    for trial_id, kept in mend_journals(folder, trial_ids).items():
        say(f"{trial_id}: {kept}")


def _beside_the_queue(todo: Todo, folder: Results) -> tuple[Todo, bool]:
    """Return what is left without what Slurm has already, and whether Slurm has anything of this folder."""
    found = look(folder)
    of = queued(todo.batch.standings, found, folder, searches_in(todo.batch, folder))
    again = {standing.spec.trial_id for standing in todo.begun}
    left = [spec for spec in todo.trials if spec.trial_id in again or (spec.trial_id, spec.target) not in of.states]
    searches = [search for search in todo.searches if search.search_id not in of.searches]
    if left or searches:
        for line in complaints(folder):
            say(line)
    rest = replace(todo, trials=left, standings=with_queue(todo.standings, of), searches=searches)
    return rest, any(not live.over for live in found)


def _bringing_up(store: Store, folder: Results) -> Callable[[], None]:
    """Return what brings the store up to date with the trials that searches have named meanwhile, too."""
    return lambda: replace(store, batch=surveyed_again(store.batch, folder)).bring_up()


def _submit(todo: Todo, how: How, folder: Results, mended: Sequence[str]) -> None:
    """Submit what is left, after the mends and the moves that were asked for, and print what was submitted."""
    left_of(todo, once_settled(folder, say), folder)  # before anything is moved
    with storage_explained(folder.root):
        supersede(folder, [standing.spec.trial_id for standing in todo.begun])
        _mend(folder, mended)
    submitted = submit(todo, how, folder, say)
    say(told(submitted))
    if submitted.refused:
        say(f"the other arrays were not taken: {submitted.refused}")


def _train(
    todo: Todo,
    wishes: Wishes,
    folder: Results,
    store: Store | None,
    pack: int,
    timeout_s: float,
    mended: Sequence[str],
) -> None:
    """Train the trials and print what the tracking store lacks. After a signal, exits with the code of the signal."""
    from sweeper.running import session

    options = session.Options(
        results=folder,
        data_root=wishes.data_root.expanduser().absolute(),
        device=todo.room.device,
        workers=wishes.workers,
        address=wishes.address,
        pack=pack,
        share=todo.room.share,
        executor="inline" if wishes.executor == "inline" else "ray",
        retry_failed=wishes.retry_failed,
        timeout_s=timeout_s,
        engines=todo.engines,
    )
    with only_run(todo.batch, folder), ExitStack() as held:
        supersede(folder, [standing.spec.trial_id for standing in todo.begun])
        _mend(folder, mended)
        views = store.views() if store else None
        shown = store.showing(views) if store and views else show_nowhere
        source = held.enter_context(
            opened(
                todo.batch,
                folder,
                todo.room.device,
                wanted=wishes.engine,
                retry_failed=wishes.retry_failed,
                shown=shown,
                going_on={search.search_id for search in todo.searches},
            )
        )
        try:
            behind = _execute(todo, options, views, source)
        except session.InterruptedRunError as stopped:
            same = "The same command without --rerun" if todo.begun else "The same command"
            if all(spec.trainer.resumes for spec in todo.alike):
                say(f"Stopped; everything is saved. {same} goes on from there.")
            else:
                say(f"Stopped; what is done is saved. {same} starts the others again: their trainer keeps no state.")
            if store and views:
                store.tell(views, stopped.behind, stopped=True)
            raise click.exceptions.Exit(128 + stopped.signal_number) from None
        except SweepError:  # Ray or the results folder failed; the error's message says how to go on
            tell_left(picked(surveyed_again(todo.batch, folder).standings, wishes.only))
            raise
    if store and views:
        store.tell(views, behind)


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


def _execute(todo: Todo, options: "Options", views: "Views | None", source: "Source | None") -> int:
    """Train, and return how many trials the tracking store lacks.

    Progress goes to the real stderr. The output of Ray and MLflow goes to the results' ray.log.
    """
    from sweeper.cli.terminal.progress import Watcher
    from sweeper.running.session import execute

    with chatter_to(options.results.ray_log, stdout=options.executor == "ray") as stream:
        watcher = Watcher(stream)
        return execute(todo.batch, todo.trials, options, watcher.watching, views, watcher.wipe, source)
