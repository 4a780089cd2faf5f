"""Who may write a trial or run a sweep: a kernel lock on a file, released by the kernel when its holder dies."""

import fcntl
import json
import os
import socket
import time
from typing import Any

from sweeper.results.paths import RunPaths, TrialPaths

PROBE_S = 0.02
"""A status command holds a shared lock for less than this while it looks; `take` tries again that much later."""


class Lock:
    """This process's hold on one trial or run, from `take` to `release`."""

    def __init__(self, paths: TrialPaths | RunPaths) -> None:
        self.paths = paths
        self._descriptor: int | None = None

    def take(self) -> bool:
        """Take hold; False if another process holds it. Raises OSError if the folder can't be written."""
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
        holder = {"host": socket.gethostname(), "pid": pid, "since_ms": time.time_ns() // 1_000_000}
        os.ftruncate(self.descriptor, 0)
        os.pwrite(self.descriptor, json.dumps(holder).encode(), 0)

    @classmethod
    def inherited(cls, paths: TrialPaths | RunPaths, descriptor: int) -> "Lock":
        """Return the hold that a parent process handed down with its open `descriptor`."""
        os.set_inheritable(descriptor, False)
        lock = cls(paths)
        lock._descriptor = descriptor
        return lock

    def hand_down(self, heir: int) -> None:
        """Let go, naming process `heir`, which has inherited the descriptor, as who holds it now."""
        self._sign(heir)
        self.release()

    @property
    def descriptor(self) -> int:
        """The open file that the kernel's lock belongs to: it is held until all who inherited that have closed it."""
        assert self._descriptor is not None
        return self._descriptor

    def release(self) -> None:
        """Let go; without effect if it isn't held."""
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
    """Return the host, pid and start of the process that holds it, or None if nobody does."""
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
