"""How `sweeper stop` reaches a run, also on another host: by a file in the results folder that its driver looks for.

A request names the lock holder it is for; any other process ignores it. The next run deletes stale requests.
"""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sweeper.results.locks import holder_of, signed_here
from sweeper.results.paths import Results, RunPaths, TrialPaths
from trainers.sealed_file import write_whole

Holder = dict[str, Any]
"""The content of a lock file: host, pid and since_ms (ms since 1970)."""

STOPPED = "stopped by `sweeper stop`"
"""The message in the journal of a trial that was stopped alone, without its run."""

_TORN_S = 0.05
_RUN, _TRIAL = ".run", ".trial"


def living_runs(results: Results) -> dict[str, Holder]:
    """Return the holder of each living run's lock in the results folder, by experiment."""
    names = sorted(path.stem for path in results.runs.glob("*.lock"))
    holders = {name: known_holder(results.run(name)) for name in names}
    return {name: holder for name, holder in holders.items() if holder is not None}


def known_holder(paths: TrialPaths | RunPaths) -> Holder | None:
    """Return the holder of the lock, or None if nobody holds it. Waits until a new holder has signed it."""
    while (holder := holder_of(paths)) == {}:  # between taking a lock and signing it
        time.sleep(_TORN_S)
    return holder


def last_holder(paths: TrialPaths | RunPaths) -> Holder | None:
    """Return who holds the lock or held it last, or None if nobody ever did."""
    return _read(paths.lock)


class Request:
    """One request to stop a run or trial, until it is obeyed or withdrawn."""

    def __init__(self, results: Results, paths: TrialPaths | RunPaths, holder: Holder) -> None:
        """Ask `holder`, which holds the lock of `paths`, to stop that run or trial. Raises OSError."""
        name = f"{paths.folder.name}{_TRIAL}" if isinstance(paths, TrialPaths) else f"{paths.experiment}{_RUN}"
        self._paths, self._holder = paths, holder
        self._file = results.stops / name
        self._file.parent.mkdir(exist_ok=True)
        write_whole(self._file, json.dumps(holder).encode())

    @property
    def obeyed(self) -> bool:
        """Whether the holder has released the lock."""
        return holder_of(self._paths) != self._holder

    def withdraw(self) -> bool:
        """Delete the request; return False if the driver has already taken it."""
        try:
            self._file.unlink()
        except FileNotFoundError:
            return False
        return True


def taken(results: Results) -> Iterator[str | None]:
    """Take the requests to this process: yield the id of each trial to stop, and None for the whole run.

    Only trials that this process has locked count. Deletes stale requests.
    """
    try:
        files = sorted(results.stops.iterdir())
    except FileNotFoundError:
        return
    for file in files:
        if file.suffix not in (_RUN, _TRIAL):
            continue
        paths = results.trial(file.stem) if file.suffix == _TRIAL else results.run(file.stem)
        holder = _read(file)
        alive = holder is not None and holder_of(paths) == holder
        # Between two attempts a trial's lock is free; the request stays valid.
        mine = holder is not None and signed_here(holder) and (alive or file.suffix == _TRIAL)
        if mine or not alive:
            file.unlink(missing_ok=True)
        if mine:
            yield file.stem if file.suffix == _TRIAL else None


def _read(file: Path) -> Holder | None:
    """Return the holder that a lock or request file names; None if the file is gone or names nobody."""
    try:
        holder = json.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return holder if isinstance(holder, dict) else None
