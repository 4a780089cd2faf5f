"""Who brings a tracking store up to date: one process at a time, also one that a `run` leaves behind when it ends.

Whoever pushes an experiment holds the place `now`; whoever is to push it next holds `next` until then. A run hands
`next` down to the process it leaves behind, so from its end to that one's last push one of the two is held at every
moment, and who needs the store complete waits for both.
"""

import hashlib
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, NamedTuple

from sweeper.results.locks import Lock, holder_of
from sweeper.results.paths import Results, RunPaths
from sweeper.tracking.address import masked

POLL_S = 0.1
DIGITS = 8


class Turns(NamedTuple):
    """The locks of one experiment in one store, as seen from one results folder."""

    next: RunPaths
    now: RunPaths


def turns_of(results: Results, experiment: str, uri: str) -> Turns:
    """Return the locks for `experiment` in the store at `uri`."""
    store = hashlib.sha256(masked(uri).encode()).hexdigest()[:DIGITS]
    return Turns(results.push(experiment, f"{store}.next"), results.push(experiment, f"{store}.now"))


@contextmanager
def only_pusher(
    turns: Turns, say: Callable[[str], None], *, inherited: Iterable[int] = (), in_line: bool = True
) -> Iterator[None]:
    """Hold `now` for the block, once nobody else does; `say` is told whom this waits for.

    `inherited` are open files, one of which may be the hold on `next` that a run handed down. Who won't push the
    whole experiment isn't `in_line`, since those who find `next` held count on that.
    """
    before, lock = _inherited(turns.next, inherited), Lock(turns.now)
    try:
        if in_line and before is None:
            before = Lock(turns.next)
            _take(before, say)
        _take(lock, say)
    finally:
        if before is not None:
            before.release()
    try:
        yield
    finally:
        lock.release()


def wait_for_pusher(turns: Turns, say: Callable[[str], None]) -> None:
    """Return once nobody brings the experiment up to date or is about to; `say` is told whom this waits for."""
    told = _Told(say)
    # In the order in which a pusher goes through them, so that none slips by between the two looks.
    while (holder := holder_of(turns.next)) is not None or (holder := holder_of(turns.now)) is not None:
        told.of(holder)
        time.sleep(POLL_S)


def leave_behind(turns: Sequence[Turns], results: Results, uri: str, words: Sequence[str]) -> int:
    """Start `sweeper sync WORDS` in a process that outlives this one; return the id of the one that does the work.

    That may be one that waits for its turn already: it reads the journals only then. The address of the store may hold
    a password, so it goes by the environment, which nobody else may read. Raises OSError.
    """
    locks = [Lock(each.next) for each in turns]
    taken = [lock for lock in locks if lock.take()]
    if not taken and (holder := holder_of(locks[0].paths)):
        return holder["pid"]
    descriptors = [lock.descriptor for lock in taken]
    handed = [f"--inherited={descriptor}" for descriptor in descriptors]
    try:
        with results.sync_log.open("ab") as log:
            now = datetime.now().astimezone().isoformat(" ", "seconds")
            log.write(f"{now} {shlex.join(['sweeper', 'sync', *words])}, to {masked(uri)}\n".encode())
            log.flush()
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "sweeper", "sync", *words, *handed],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, "MLFLOW_TRACKING_URI": uri},
                pass_fds=descriptors,
                start_new_session=True,
            )
        for lock in taken:
            lock.hand_down(process.pid)
    finally:
        for lock in taken:
            lock.release()
    return process.pid


def _inherited(paths: RunPaths, descriptors: Iterable[int]) -> Lock | None:
    """Return the lock among open files that is the one on `paths`."""
    for descriptor in descriptors:
        if os.path.samestat(os.fstat(descriptor), paths.lock.stat()):
            return Lock.inherited(paths, descriptor)
    return None


def _take(lock: Lock, say: Callable[[str], None]) -> None:
    told = _Told(say)
    while not lock.take():
        told.of(holder_of(lock.paths))
        time.sleep(POLL_S)


class _Told:
    """Says of each process once that it is waited for."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._pids: set[int] = set()

    def of(self, holder: dict[str, Any] | None) -> None:
        if not holder or holder["pid"] in self._pids:  # it has let go since, or hasn't signed yet
            return
        self._pids.add(holder["pid"])
        self._say(
            f"process {holder['pid']} on {holder['host']} is bringing the tracking store up to date; waiting for it "
            "(Ctrl-C ends the waiting)"
        )
