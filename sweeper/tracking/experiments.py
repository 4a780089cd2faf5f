"""The experiments of a tracking store, for links to their tables. An sqlite store is read without MLflow.

Writes nothing.
"""

import sqlite3
from contextlib import closing
from typing import NamedTuple

from sweeper.tracking.address import SQLITE, sqlite_path
from sweeper.tracking.saved_view import TAG_VIEW


class Experiment(NamedTuple):
    """An experiment that shows a sweep; `saved` says whether the view of its table is saved there."""

    experiment_id: str
    name: str
    saved: bool


_ACTIVE = """
SELECT e.experiment_id, e.name, EXISTS(
    SELECT 1 FROM experiment_tags t WHERE t.experiment_id = e.experiment_id AND t.key = ?)
FROM experiments e
WHERE e.lifecycle_stage = 'active' AND EXISTS(
    SELECT 1 FROM runs r JOIN tags t ON t.run_uuid = r.run_uuid
    WHERE r.experiment_id = e.experiment_id AND t.key = 'sweeper.kind')
ORDER BY (SELECT MAX(r.start_time) FROM runs r WHERE r.experiment_id = e.experiment_id) DESC
"""


def experiments_of(uri: str) -> list[Experiment]:
    """Return the experiments that show sweeps, the one with the newest run first. Raises TrackingError."""
    if uri.startswith(SQLITE):
        try:
            with closing(sqlite3.connect(sqlite_path(uri))) as store:
                rows = store.execute(_ACTIVE, (TAG_VIEW,)).fetchall()
        except sqlite3.Error:
            return []  # MLflow itself says best what is wrong with the store
        return [Experiment(str(number), name, bool(saved)) for number, name, saved in rows]
    from sweeper.tracking.mlflow_library import every_experiment

    return [Experiment(number, name, TAG_VIEW in tags) for number, name, tags in every_experiment(uri)]
