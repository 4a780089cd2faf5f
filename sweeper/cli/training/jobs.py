"""Has jobs of Slurm train: what they have already, what is submitted now, and the store while they train."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from sweeper.cli.terminal.printing import say
from sweeper.cli.terminal.slurm import told, watch
from sweeper.cli.training.here import mend_told
from sweeper.cli.view import Store
from sweeper.executors.slurm.standing import complaints, look, once_settled, queued, with_queue
from sweeper.results.paths import Results, storage_explained
from sweeper.results.supersede import supersede
from sweeper.results.survey import Batch
from sweeper.running.batch import surveyed_again
from sweeper.running.on_slurm import How, left_of, submit
from sweeper.running.todo import Todo
from sweeper.search.trials import searches_in


def beside_the_queue(todo: Todo, folder: Results) -> tuple[Todo, bool]:
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


def submit_told(todo: Todo, how: How, folder: Results, mended: Sequence[str]) -> None:
    """Submit what is left, after the mends and the moves that were asked for, and print what was submitted."""
    left_of(todo, once_settled(folder, say), folder)  # before anything is moved
    with storage_explained(folder.root):
        supersede(folder, [standing.spec.trial_id for standing in todo.begun])
        mend_told(folder, mended)
    submitted = submit(todo, how, folder, say)
    say(told(submitted))
    if submitted.refused:
        say(f"the other arrays were not taken: {submitted.refused}")


def watched(batch: Batch, folder: Results, store: Store | None) -> Batch:
    """Watch until no job of this folder is left, keep the store up to date, and return how the trials stand then."""
    watch(batch, folder, _bringing_up(store, folder) if store else None)
    return surveyed_again(batch, folder)
