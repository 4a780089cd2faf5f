"""A cache of trial summaries beside the journals: plan and status of 10,000 trials need not read 10,000 files.

An entry is valid only while its journal has the same size and modification time. The file can be deleted at any time.
If it can't be read or written, the journals are read instead, and only time is lost.
"""

import json
import os
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing, suppress
from pathlib import Path

from sweeper.results.known_datasets import make_known
from sweeper.results.paths import JOURNAL, Results, storage_explained
from sweeper.results.trial_summary import TrialSummary, read_summary

VERSION = 6
"""Increase this when TrialSummary changes; entries of another version are made again."""

BUSY_S = 1.0
"""Seconds to wait for another command that is writing. After that the journals are read."""

_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_FOREIGN = _DAMAGED | {sqlite3.SQLITE_ERROR}
"""SQLITE_ERROR means other columns. Such files are replaced. A full, read-only or busy file may work next time."""

Stamp = tuple[int, int]
"""A journal's size in bytes and modification time in ns."""


def summaries(results: Results) -> dict[str, TrialSummary]:
    """Return the summary of every trial that has begun, by trial id, and bring the index up to date.

    A journal that can't be understood is never cached, because another version may understand it. Raises ResultsError
    if the disk fails to read one.
    """
    with storage_explained(results.root):
        return _summaries(results)


def _summaries(results: Results) -> dict[str, TrialSummary]:
    make_known(results)
    journals = dict(_journals(results))
    known = _read(results.index)
    valid = {trial_id: entry for trial_id, (stamp, entry) in known.items() if journals.get(trial_id) == stamp}
    read = {trial_id: read_summary(results.trial(trial_id).journal) for trial_id in journals.keys() - valid.keys()}
    fresh = {trial_id: entry for trial_id, entry in read.items() if entry is not None}
    rows = [(trial_id, journals[trial_id], entry) for trial_id, entry in fresh.items() if not entry.trouble]
    gone = known.keys() - journals.keys()
    if rows or gone:
        _renew(results.index, rows, gone)
    return valid | fresh


def _journals(results: Results) -> Iterable[tuple[str, Stamp]]:
    """Yield the id of each trial with a journal, and the journal's stamp."""
    try:
        folders = os.scandir(results.root / "trials")
    except (FileNotFoundError, NotADirectoryError):
        return
    with folders:
        for folder in folders:
            try:
                journal = os.stat(f"{folder.path}/{JOURNAL}")  # noqa: PTH116, a Path costs more than the call
            except (FileNotFoundError, NotADirectoryError):
                continue
            yield folder.name, (journal.st_size, journal.st_mtime_ns)


def _read(path: Path) -> dict[str, tuple[Stamp, TrialSummary]]:
    if not path.exists():
        return {}
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=BUSY_S)) as database:
            rows = database.execute("SELECT trial_id, size, mtime_ns, brief FROM briefs WHERE version = ?", (VERSION,))
            return {name: ((size, mtime_ns), TrialSummary(*json.loads(text))) for name, size, mtime_ns, text in rows}
    except sqlite3.Error as error:
        if _code(error) in _DAMAGED:
            _throw_away(path)
        return {}
    except (ValueError, TypeError):  # the text of an entry is damaged
        return {}


def _renew(path: Path, fresh: Sequence[tuple[str, Stamp, TrialSummary]], gone: Iterable[str]) -> None:
    """Write new entries and delete old ones. Replace a file that can't be used; skip what can't be written."""
    try:
        _write(path, fresh, gone)
    except sqlite3.Error as error:
        if _code(error) not in _FOREIGN:
            return
        _throw_away(path)
        with suppress(sqlite3.Error):
            _write(path, fresh, gone)


def _code(error: sqlite3.Error) -> int:
    """Return SQLite's primary error code, or 0 for an error that Python itself raised."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _throw_away(path: Path) -> None:
    with suppress(OSError):
        path.unlink()
        path.with_name(f"{path.name}-journal").unlink(missing_ok=True)


def _write(path: Path, fresh: Sequence[tuple[str, Stamp, TrialSummary]], gone: Iterable[str]) -> None:
    rows = [(name, VERSION, *stamp, json.dumps(entry)) for name, stamp, entry in fresh]
    with closing(sqlite3.connect(path, timeout=BUSY_S)) as database, database:
        database.execute(
            "CREATE TABLE IF NOT EXISTS briefs "
            "(trial_id TEXT PRIMARY KEY, version INTEGER, size INTEGER, mtime_ns INTEGER, brief TEXT)"
        )
        database.executemany("INSERT OR REPLACE INTO briefs VALUES (?, ?, ?, ?, ?)", rows)
        database.executemany("DELETE FROM briefs WHERE trial_id = ?", [(name,) for name in gone])
