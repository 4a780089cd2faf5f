"""What `sweeper run` shows in the tracking store beside its trials, and what it says of the store at the end."""

from typing import TYPE_CHECKING

from sweeper.batch import Batch
from sweeper.cli.outcome import say
from sweeper.results import Results
from sweeper.tracking_uri import masked

if TYPE_CHECKING:
    from sweeper.sync import Views


def views_of_run(batch: Batch, results: Results, uri: str | None) -> "Views | None":
    """Return the views of `batch`, which end with the summary runs of its cells; None without a store."""
    from sweeper.cli.cells import push_cells
    from sweeper.session import views_of

    return views_of(batch, results, uri, lambda tracker, part: push_cells(tracker, part.sweep, part.specs, results))


def bring_up(batch: Batch, results: Results, uri: str | None, command: str) -> None:
    """Send the store what it lacks of trials that need no training, and say what it went on lacking."""
    from sweeper.session import catch_up

    views = views_of_run(batch, results, uri)
    if views is not None and uri is not None:
        tell(views, catch_up(batch, results, uri, views), uri, command)


def tell(views: "Views | None", behind: int, uri: str | None, command: str) -> None:
    """Say which trials someone deleted from the store and how many it lacks; `command` sends them later."""
    if views is None or uri is None:
        return
    for trial_id in views.deleted:
        say(f"{trial_id}: its run was deleted in the store and stays so")
    lacking = f"{behind} trials are not yet in {masked(uri)}" if behind else views.problem
    if lacking:
        say(f"{lacking}; once the store answers, this sends the rest: {command}")
