"""Remembers what a tracking store shows, so that a run with nothing new needn't ask it. Does not check the store."""

import hashlib
import json

from sweeper.results.index import summaries
from sweeper.results.paths import Results
from sweeper.results.survey import SurveyedSweep
from sweeper.tracking.address import SQLITE, sqlite_path
from sweeper.tracking.run_contents import PAGE_FORM
from trainers.sealed_file import write_whole


def note_shown(part: SurveyedSweep, results: Results, shown: str) -> None:
    """Remember that a store shows every trial of `part` in the state that `state_of` returned as `shown`."""
    mark = results.run(part.experiment).shown
    mark.parent.mkdir(parents=True, exist_ok=True)
    write_whole(mark, shown.encode())


def is_shown(part: SurveyedSweep, results: Results, uri: str) -> bool:
    """Return whether nothing has changed since `note_shown`, as far as this folder knows.

    Does not ask the server, which may have lost its runs; `sweeper sync` asks.
    """
    if uri.startswith(SQLITE) and not sqlite_path(uri).exists():
        return False
    try:
        return results.run(part.experiment).shown.read_text(encoding="utf-8") == state_of(part, results, uri)
    except FileNotFoundError:
        return False


def state_of(part: SurveyedSweep, results: Results, uri: str) -> str:
    """Return a hash of all that the store should show now, and of its address, which may hold a password."""
    known = summaries(results)
    shown = [
        (spec.trial_id, spec.name(), sorted(spec.labels.items()), spec.target, known.get(spec.trial_id))
        for spec in part.specs
    ]
    return hashlib.sha256(json.dumps([uri, shown, PAGE_FORM], sort_keys=True).encode()).hexdigest()
