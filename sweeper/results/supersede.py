"""Moves a trial's results aside, so that it can be trained again from step 0. Deletes nothing."""

from collections.abc import Iterable
from contextlib import suppress
from functools import partial

from sweeper.results.journal_lines import JournalError, read_lines
from sweeper.results.locks import all_held
from sweeper.results.paths import JOURNAL, Results, storage_explained, until_free


def supersede(results: Results, trial_ids: Iterable[str]) -> None:
    """Move the folder of each trial that has one to `superseded/<id>-<n>`.

    The tracking store keeps the run of the old training too, under another kind, once the new one is shown. Raises
    SweepError, with nothing moved, if a living run holds one of the trials.
    """
    begun = [trial_id for trial_id in dict.fromkeys(trial_ids) if results.trial(trial_id).folder.exists()]
    with storage_explained(results.root), all_held(results, begun, "a rerun"):
        for trial_id in begun:
            _move(results, trial_id)


def _move(results: Results, trial_id: str) -> None:
    *_, aside = until_free(partial(results.superseded, trial_id))
    aside.parent.mkdir(exist_ok=True)
    results.trial(trial_id).folder.replace(aside)


def starts_of_superseded(results: Results, trial_id: str) -> set[int]:
    """Return when each training of a trial that was moved aside began, in ms since 1970. Skips unreadable journals."""
    starts: set[int] = set()
    *moved, _ = until_free(partial(results.superseded, trial_id))
    for aside in moved:
        with suppress(JournalError, OSError, KeyError):
            starts.update(line["time_ms"] for line in read_lines(aside / JOURNAL) if line["kind"] == "attempt")
    return starts
