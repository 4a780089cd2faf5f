"""How `sweeper stop` reaches a run, also one on another host: a file in the results folder that its driver looks for.

A request repeats what the lock of its run or trial says of the holder, so that it is obeyed by that very holder or
by nobody: one that outlived its run is thrown away by the next.
"""

import json
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sweeper.results.locks import holder_of
from sweeper.results.paths import Results, RunPaths, TrialPaths
from trainers.sealed_file import write_whole

Holder = dict[str, Any]
"""Host, pid and since_ms, as a lock file has them."""

STOPPED = "stopped by `sweeper stop`"
"""What the journal says of a trial that was asked to stop by itself."""

_TORN_S = 0.05
_RUN, _TRIAL = ".run", ".trial"


def living_runs(results: Results) -> dict[str, Holder]:
    """Return who runs what in the results folder: the holder of each run's lock, by experiment."""
    names = sorted(path.stem for path in results.runs.glob("*.lock"))
    holders = {name: known_holder(results.run(name)) for name in names}
    return {name: holder for name, holder in holders.items() if holder is not None}


def known_holder(paths: TrialPaths | RunPaths) -> Holder | None:
    """Return who holds it, once they have said so, or None if nobody does."""
    while (holder := holder_of(paths)) == {}:  # between taking a lock and signing it
        time.sleep(_TORN_S)
    return holder


def last_holder(paths: TrialPaths | RunPaths) -> Holder | None:
    """Return who holds it or held it last, or None if nobody ever did."""
    return _read(paths.lock)


class Request:
    """One request to stop, from asking to knowing that it was taken."""

    def __init__(self, results: Results, paths: TrialPaths | RunPaths, holder: Holder) -> None:
        """Ask `holder`, who holds the run or trial of `paths`, to stop it. Raises OSError."""
        name = f"{paths.folder.name}{_TRIAL}" if isinstance(paths, TrialPaths) else f"{paths.experiment}{_RUN}"
        self._paths, self._holder = paths, holder
        self._file = results.stops / name
        self._file.parent.mkdir(exist_ok=True)
        write_whole(self._file, json.dumps(holder).encode())

    @property
    def obeyed(self) -> bool:
        """Whether the holder has let go."""
        return holder_of(self._paths) != self._holder

    def withdraw(self) -> bool:
        """Take the request back; False if the driver has taken it already."""
        try:
            self._file.unlink()
        except FileNotFoundError:
            return False
        return True


def taken(results: Results, since_ms: int) -> Iterator[str | None]:
    """Take the requests to this process: yield the ids of trials, and None for the whole run.

    Trials are those that this process locked at `since_ms` or later. Requests that nobody can obey are thrown away.
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
        # A trial's lock is free between its attempts; the request stays valid meanwhile.
        mine = (
            holder is not None
            and (holder.get("host"), holder.get("pid")) == (socket.gethostname(), os.getpid())
            and (alive or (file.suffix == _TRIAL and holder["since_ms"] >= since_ms))
        )
        if mine or not alive:
            file.unlink(missing_ok=True)
        if mine:
            yield file.stem if file.suffix == _TRIAL else None


def _read(file: Path) -> Holder | None:
    """Return whom a lock or request names; None if it is gone or names nobody."""
    try:
        holder = json.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return holder if isinstance(holder, dict) else None
