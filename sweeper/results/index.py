"""A cache of briefs beside the journals, so that plan and status of 10,000 trials need not read 10,000 files.

An entry counts only while its journal has the size and the time it was made from. The file can be deleted at any
time; where it can't be read or written the journals are read instead, and nothing but time is lost.
"""

import json
import os
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing, suppress
from pathlib import Path

from sweeper.results.paths import JOURNAL, Results
from sweeper.results.trial_summary import Brief, read_brief

VERSION = 3
"""Raised when Brief changes; entries of another version are made again."""

BUSY_S = 1.0
"""How long to wait for another command that is writing; after that the journals are read."""

_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_FOREIGN = _DAMAGED | {sqlite3.SQLITE_ERROR}
"""The last for a table with other columns. Such a file will never do; one full, read-only or busy may do next time."""

Stamp = tuple[int, int]


def briefs(results: Results) -> dict[str, Brief]:
    """Return every trial of the results folder that has begun, by id, and bring the index up to date.

    A journal in trouble is read again each time: it may be this version that doesn't know it.
    """
    journals = dict(_journals(results))
    known = _read(results.index)
    found = {trial_id: entry for trial_id, (stamp, entry) in known.items() if journals.get(trial_id) == stamp}
    read = {trial_id: read_brief(results.trial(trial_id).journal) for trial_id in journals.keys() - found.keys()}
    fresh = {trial_id: entry for trial_id, entry in read.items() if entry is not None}
    rows = [(trial_id, journals[trial_id], entry) for trial_id, entry in fresh.items() if not entry.trouble]
    gone = known.keys() - journals.keys()
    if rows or gone:
        _renew(results.index, rows, gone)
    return found | fresh


def _journals(results: Results) -> Iterable[tuple[str, Stamp]]:
    """Yield the id of each trial with a journal, and the journal's size and time of change (ns)."""
    try:
        folders = os.scandir(results.root / "trials")
    except (FileNotFoundError, NotADirectoryError):
        return
    with folders:
        for folder in folders:
            try:
                found = os.stat(f"{folder.path}/{JOURNAL}")  # noqa: PTH116, a Path costs more than the call
            except (FileNotFoundError, NotADirectoryError):
                continue
            yield folder.name, (found.st_size, found.st_mtime_ns)


def _read(path: Path) -> dict[str, tuple[Stamp, Brief]]:
    if not path.exists():
        return {}
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=BUSY_S)) as database:
            rows = database.execute("SELECT trial_id, size, mtime_ns, brief FROM briefs WHERE version = ?", (VERSION,))
            return {name: ((size, mtime_ns), Brief(*json.loads(text))) for name, size, mtime_ns, text in rows}
    except sqlite3.Error as error:
        if _code(error) in _DAMAGED:
            _throw_away(path)
        return {}
    except (ValueError, TypeError):  # the text of an entry is damaged
        return {}


def _renew(path: Path, fresh: Sequence[tuple[str, Stamp, Brief]], gone: Iterable[str]) -> None:
    """Write what is new, into a new file where the old one can't be used; what can't be written is left."""
    try:
        _write(path, fresh, gone)
    except sqlite3.Error as error:
        if _code(error) not in _FOREIGN:
            return
        _throw_away(path)
        with suppress(sqlite3.Error):
            _write(path, fresh, gone)


def _code(error: sqlite3.Error) -> int:
    """Return SQLite's primary code; 0 for what Python found wrong itself."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _throw_away(path: Path) -> None:
    with suppress(OSError):
        path.unlink()
        path.with_name(f"{path.name}-journal").unlink(missing_ok=True)


def _write(path: Path, fresh: Sequence[tuple[str, Stamp, Brief]], gone: Iterable[str]) -> None:
    rows = [(name, VERSION, *stamp, json.dumps(entry)) for name, stamp, entry in fresh]
    with closing(sqlite3.connect(path, timeout=BUSY_S)) as database, database:
        database.execute(
            "CREATE TABLE IF NOT EXISTS briefs "
            "(trial_id TEXT PRIMARY KEY, version INTEGER, size INTEGER, mtime_ns INTEGER, brief TEXT)"
        )
        database.executemany("INSERT OR REPLACE INTO briefs VALUES (?, ?, ?, ?, ?)", rows)
        database.executemany("DELETE FROM briefs WHERE trial_id = ?", [(name,) for name in gone])
