"""Has workers of this run train: in this process, or in processes of Ray. Prints how it ended early."""

from collections.abc import Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING

import click

from sweeper.cli.terminal.outcome import tell_left
from sweeper.cli.terminal.printing import say
from sweeper.cli.view import Store
from sweeper.errors import SweepError
from sweeper.host.streams import chatter_to
from sweeper.results.mend import mend
from sweeper.results.paths import Results
from sweeper.results.supersede import supersede
from sweeper.running.batch import only_run, surveyed_again
from sweeper.running.searches import opened, show_nowhere
from sweeper.running.todo import Todo, Wishes, picked

if TYPE_CHECKING:
    from sweeper.dealing.source import Source
    from sweeper.running.session import Options
    from sweeper.tracking.syncer import Views


def mend_told(folder: Results, trial_ids: Sequence[str]) -> None:
    """Mend the journals of trials, and print what is kept of each. Raises SweepError, OSError."""
    for trial_id, kept in mend(folder, trial_ids).items():
        say(f"{trial_id}: {kept}")


def train(
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
        mend_told(folder, mended)
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


def _execute(todo: Todo, options: "Options", views: "Views | None", source: "Source | None") -> int:
    """Train, and return how many trials the tracking store lacks.

    Progress goes to the real stderr. The output of Ray and MLflow goes to the results' ray.log.
    """
    from sweeper.cli.terminal.progress import Watcher
    from sweeper.running.session import execute

    with chatter_to(options.results.ray_log, stdout=options.executor == "ray") as stream:
        watcher = Watcher(stream)
        return execute(todo.batch, todo.trials, options, watcher.watching, views, watcher.wipe, source)
