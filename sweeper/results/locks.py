"""Locks for writing a trial or running a sweep: kernel locks on files, which the kernel releases if a holder dies."""

import fcntl
import json
import os
import socket
import time
from collections.abc import Mapping
from typing import Any

from sweeper.results.paths import RunPaths, TrialPaths

PROBE_S = 0.02
"""Seconds. A status command holds a shared lock for less than this; `take` tries a second time after it."""


_signed: set[tuple[int, int]] = set()


def signed_here(holder: Mapping[str, Any]) -> bool:
    """Return whether this process has signed a lock as `holder`. No other process of this or another host has."""
    return holder.get("host") == socket.gethostname() and (holder.get("pid"), holder.get("since_ms")) in _signed


class Lock:
    """This process's lock on one trial or run, from `take` to `release`."""

    def __init__(self, paths: TrialPaths | RunPaths) -> None:
        self.paths = paths
        self._descriptor: int | None = None

    def take(self) -> bool:
        """Take the lock; return False if another process holds it. Raises OSError if the folder can't be written."""
        self.paths.folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.paths.lock, os.O_RDWR | os.O_CREAT, 0o644)
        if not _locked(descriptor):
            time.sleep(PROBE_S)
            if not _locked(descriptor):
                os.close(descriptor)
                return False
        self._descriptor = descriptor
        self._sign(os.getpid())
        return True

    def _sign(self, pid: int) -> None:
        since_ms = time.time_ns() // 1_000_000
        holder = {"host": socket.gethostname(), "pid": pid, "since_ms": since_ms}
        _signed.add((pid, since_ms))
        os.ftruncate(self.descriptor, 0)
        os.pwrite(self.descriptor, json.dumps(holder).encode(), 0)

    @classmethod
    def inherited(cls, paths: TrialPaths | RunPaths, descriptor: int) -> "Lock":
        """Return the lock that a parent process handed down with its open `descriptor`."""
        os.set_inheritable(descriptor, False)
        lock = cls(paths)
        lock._descriptor = descriptor
        return lock

    def hand_down(self, heir: int) -> None:
        """Name process `heir`, which has inherited the descriptor, as the new holder, and release the lock here."""
        self._sign(heir)
        self.release()

    @property
    def descriptor(self) -> int:
        """The open file of the kernel's lock, which is held until every process that inherited it has closed it."""
        assert self._descriptor is not None
        return self._descriptor

    def release(self) -> None:
        """Release the lock. Has no effect if it isn't held."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def holder_of(paths: TrialPaths | RunPaths) -> dict[str, Any] | None:
    """Return the host, pid and since_ms of the lock's holder, {} if it hasn't signed yet, None if nobody holds it."""
    try:
        descriptor = os.open(paths.lock, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return None
    except BlockingIOError:
        content = os.pread(descriptor, 4096, 0)
        return json.loads(content) if content else {}
    finally:
        os.close(descriptor)
