"""Reads which points an sqlite store holds of a run, in one query: MLflow's client takes one for each metric.

Writes nothing. What another database or a server holds is not asked.
"""

import sqlite3
from contextlib import closing
from pathlib import Path

from sweeper.tracking.address import SQLITE, sqlite_path


def stored_points(uri: str, run_id: str) -> set[tuple[str, int]] | None:
    """Return key and outer step of each point that the store at `uri` holds of a run; None if it can't be told."""
    if not uri.startswith(SQLITE):
        return None
    return _read(sqlite_path(uri), run_id)


def _read(database: Path, run_id: str) -> set[tuple[str, int]] | None:
    try:
        with closing(sqlite3.connect(database)) as store:
            return set(store.execute("SELECT key, step FROM metrics WHERE run_uuid = ?", (run_id,)))
    except sqlite3.Error:
        return None
