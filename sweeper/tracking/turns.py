"""Serialises pushes to a tracking store, including those of a process that a `run` leaves behind when it ends.

Two locks do it: `now` is held while pushing, `next` while queued. A run hands `next` down to the process it leaves
behind, so one of the two is held at every moment from the run's end to the last push. A reader that needs the complete
store waits until both are free. Does not push; see `sweeper.tracking.syncer`.
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
    """The two locks of one experiment in one store. They lie in the results folder."""

    next: RunPaths
    now: RunPaths


def turns_of(results: Results, experiment: str, uri: str) -> Turns:
    """Return the locks of `experiment` in the store at `uri`."""
    store = hashlib.sha256(masked(uri).encode()).hexdigest()[:DIGITS]
    return Turns(results.push(experiment, f"{store}.next"), results.push(experiment, f"{store}.now"))


@contextmanager
def only_pusher(
    turns: Turns, say: Callable[[str], None], *, inherited: Iterable[int] = (), in_line: bool = True
) -> Iterator[None]:
    """Hold `now` for the block. First wait until it is free; `say` gets a message for each process waited for.

    `inherited` are open descriptors; one of them may be the lock `next` that a run handed down. Set `in_line` to False
    to push only a part of the experiment: other processes rely on the holder of `next` to push all of it.
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
    """Wait until no process pushes the experiment or is queued; `say` gets a message for each one waited for."""
    waits = _Waits(say)
    # `next` first, as a pusher takes them in this order: it can't move from one to the other unseen.
    while (holder := holder_of(turns.next)) is not None or (holder := holder_of(turns.now)) is not None:
        waits.announce(holder)
        time.sleep(POLL_S)


def leave_behind(turns: Sequence[Turns], results: Results, uri: str, words: Sequence[str]) -> int:
    """Start `sweeper sync WORDS` in a process that outlives this one; return the id of the process that will push.

    That may be one that is queued already, because it reads the journals only when its turn comes. The store's address
    may hold a password, so it is passed in the environment, which other users can't read. Raises OSError.
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
            log.write(
                f"{now} {shlex.join(['sweeper', 'sync', *words])}, to {masked(uri)}\n".encode(errors="backslashreplace")
            )
            log.flush()
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "sweeper", "sync", *words, *handed],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, "MLFLOW_TRACKING_URI": uri},
                cwd=results.root,  # the present folder may go before the process has begun
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
    """Return the lock on `paths` if it is among the open `descriptors`."""
    for descriptor in descriptors:
        if os.path.samestat(os.fstat(descriptor), paths.lock.stat()):
            return Lock.inherited(paths, descriptor)
    return None


def _take(lock: Lock, say: Callable[[str], None]) -> None:
    waits = _Waits(say)
    while not lock.take():
        waits.announce(holder_of(lock.paths))
        time.sleep(POLL_S)


class _Waits:
    """Says once for each process that this one waits for it."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._pids: set[int] = set()

    def announce(self, holder: dict[str, Any] | None) -> None:
        if not holder or holder["pid"] in self._pids:  # it has released the lock since, or hasn't signed it yet
            return
        self._pids.add(holder["pid"])
        self._say(
            f"waiting until all results are in the tracking store: process {holder['pid']} on {holder['host']} still "
            "sends some, which an earlier command has left to it (Ctrl-C stops the waiting)"
        )
