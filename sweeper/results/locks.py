"""Locks for writing a trial or running a sweep: kernel locks on files, which the kernel releases if a holder dies."""

import fcntl
import json
import os
import socket
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from sweeper.errors import SweepError
from sweeper.results.paths import Results, ResultsError, RunPaths, SearchPaths, TrialPaths, storage_explained
from trainers.sealed_file import naming

PROBE_S = 0.02
MOST_PROBES = 500
"""A command that only asks who holds a lock has it shared for a moment, which a busy machine may make long. `take`
waits for it, PROBE_S seconds at a time. A process that is stopped while it asks is given up in the end.
"""

MOST_TRIES = 3


class NoLocksError(ResultsError):
    """A file system without working locks: two runs could train one trial."""

    def __init__(self, fault: str) -> None:
        super().__init__(
            f"{fault}, so two runs could train the same trial; name a folder on a local disk with --results, or mount "
            "this one with locks (NFS: without nolock and local_lock)"
        )


def require_locks(results: Results) -> None:
    """Try the locks of the results folder, which must exist. Raises NoLocksError if they don't exclude others."""
    with storage_explained(results.root):
        if fault := fault_of_locks(results.root / f".locks.{socket.gethostname()}.{os.getpid()}", results.root):
            raise NoLocksError(fault)


def fault_of_locks(file: Path, place: Path) -> str:
    """Return what is wrong with locks in `place`, tried on `file`, or an empty string. Makes and deletes the file.

    A file is locked through one descriptor, and a second descriptor must be refused. Raises OSError.
    """
    try:
        with file.open("w") as ours, file.open("r+") as theirs:
            try:
                fcntl.flock(ours, fcntl.LOCK_EX | fcntl.LOCK_NB)
                fcntl.flock(theirs, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return ""
            except OSError as error:
                return f"no file in {place} can be locked: {error.strerror}"
            return f"a file in {place} can be locked twice"
    finally:
        file.unlink(missing_ok=True)


_signed: set[tuple[int, int]] = set()


def signed_here(holder: Mapping[str, Any]) -> bool:
    """Return whether this process has signed a lock as `holder`. No other process of this or another host has."""
    return holder.get("host") == socket.gethostname() and (holder.get("pid"), holder.get("since_ms")) in _signed


class Lock:
    """This process's lock on one trial, run or search, from `take` to `release`."""

    def __init__(self, paths: TrialPaths | RunPaths | SearchPaths, *, required: bool = True) -> None:
        """Where the file system has no locks, one that is not `required` counts as taken: something else decides."""
        self.paths = paths
        self._required = required
        self._descriptor: int | None = None

    def take(self) -> bool:
        """Take the lock; return False if another process holds it.

        Raises OSError if the folder can't be written, NoLocksError if its file system has no locks.
        """
        for _ in range(MOST_TRIES):
            self.paths.folder.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.paths.lock, os.O_RDWR | os.O_CREAT, 0o644)
            try:
                taken = self._taken(descriptor)
            except BaseException:
                os.close(descriptor)
                raise
            if not taken:
                os.close(descriptor)
                return False
            self.release()
            self._descriptor = descriptor
            if self._at_its_path():
                break  # else the file was deleted or moved between opening and locking it
        with naming(self.paths.lock):
            self._sign(os.getpid())
        return True

    def _taken(self, descriptor: int) -> bool:
        for _ in range(MOST_PROBES):
            try:
                if _locked(descriptor, self.paths.lock):
                    return True
            except NoLocksError:
                if self._required:
                    raise
                return True
            if not _only_asked_about(descriptor):
                return False
            time.sleep(PROBE_S)
        return False

    def _at_its_path(self) -> bool:
        try:
            return os.path.samestat(os.fstat(self.descriptor), self.paths.lock.stat())
        except FileNotFoundError:
            return False

    def _sign(self, pid: int) -> None:
        since_ms = time.time_ns() // 1_000_000
        holder = {"host": socket.gethostname(), "pid": pid, "since_ms": since_ms}
        _signed.add((pid, since_ms))
        os.ftruncate(self.descriptor, 0)
        os.pwrite(self.descriptor, json.dumps(holder).encode(), 0)

    @classmethod
    def inherited(cls, paths: TrialPaths | RunPaths | SearchPaths, descriptor: int) -> "Lock":
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


@contextmanager
def all_held(results: Results, trial_ids: Iterable[str], purpose: str) -> Iterator[None]:
    """Hold the locks of all these trials while the block lasts.

    Raises SweepError, before the block, if another process holds one; `purpose` says what it has to be stopped for.
    """
    with ExitStack() as held:
        for trial_id in trial_ids:
            lock = Lock(results.trial(trial_id))
            if not lock.take():
                raise being_trained(trial_id, purpose)
            held.callback(lock.release)
        yield


def being_trained(trial_id: str, purpose: str) -> SweepError:
    """Return the error for a trial that has to be stopped before `purpose`."""
    return SweepError(f"{trial_id} is being trained; stop it with `sweeper stop {trial_id}` before {purpose}")


def _locked(descriptor: int, path: Path) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise NoLocksError(f"{path} can't be locked: {error.strerror}") from None
    return True


def _only_asked_about(descriptor: int) -> bool:
    """Return whether others have the lock shared, or have let it go; nobody holds it then."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    return True


def holder_of(paths: TrialPaths | RunPaths | SearchPaths) -> dict[str, Any] | None:
    """Return the host, pid and since_ms of the lock's holder, {} if it hasn't signed yet, None if nobody holds it.

    On a file system without locks nobody can hold one, because `take` fails there.
    """
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
    except OSError:
        return None
    finally:
        os.close(descriptor)
