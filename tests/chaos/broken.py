"""Breaks the clock, the locks, the storage or the life of the process that it is imported in, as VARIABLE says.

Moments are counted in operations on the files of trials, or `within` another folder, by the main thread, so that a seed
gives the same moment on every machine. A chunk is one outer step, and a checkpoint is due every `checkpoint_every`
operations.
"""

import errno
import fcntl
import functools
import io
import json
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import sweeper.running.session
import sweeper.tracking.views
import sweeper.worker.work

VARIABLE = "SWEEPER_CHAOS_BROKEN"
LONGEST_WAIT_S = 120.0
"""How long the end of a run waits for the tracking store, so that nothing is left to another process."""
S_TO_NS = 10**9


class Operations:
    """Counts writes, syncs, renames and openings of files of trials, and breaks at the one that is asked for."""

    def __init__(self, asked: dict[str, Any]) -> None:
        self.count = 0
        self._asked = asked

    def at(self, path: object, file: io.FileIO | None = None, data: bytes = b"") -> None:
        """Note an operation on `path`; a write has the `file` and the `data` that are to be written."""
        if (
            self._asked.get("within", "/trials/") not in str(path)
            or str(path).endswith("/lock")
            or not _in_main_thread()
        ):
            return
        self.count += 1
        if self.count == self._asked.get("dies_at"):
            if file is not None:
                io.FileIO.write(file, data[: len(data) // 2])
            os.kill(os.getpid(), signal.SIGKILL)
        first, last = self._asked.get("fails_at", (0, 0))
        if first <= self.count <= last and self._asked["of"] in str(path):
            if file is not None:
                io.FileIO.write(file, data[: len(data) // 3])
            number = getattr(errno, self._asked["error"])
            raise OSError(number, os.strerror(number), None if file else str(path))

    def offset_s(self) -> float:
        """Return how far the clock is ahead at this operation, in seconds."""
        return next((offset for since, offset in reversed(self._asked.get("clock", ())) if self.count >= since), 0.0)


def begin() -> None:
    """Break what VARIABLE asks for, and train in short chunks. Call it before anything else."""
    asked = json.loads(os.environ.get(VARIABLE, "{}"))
    operations = Operations(asked)
    _watch_files(operations)
    if "clock" in asked:
        _shift_clock(operations)
    if "locks" in asked:
        fcntl.flock = {"nobody": _granted_to_all, "strangers": _Strangers().flock}[asked["locks"]]
    sweeper.worker.work.time = _Counted(operations)
    sweeper.worker.work.CHECKPOINT_EVERY_S = asked.get("checkpoint_every", 40)
    sweeper.running.session.Worker = functools.partial(sweeper.running.session.Worker, chunk_s=0.0)
    sweeper.running.session.GRACE_S = sweeper.tracking.views.GRACE_S = LONGEST_WAIT_S
    if counted := asked.get("count"):
        import atexit

        atexit.register(lambda: Path(counted).write_text(str(operations.count)))
    if "largest_file" in asked:
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (asked["largest_file"],) * 2)


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


class _Counted:
    """Stands in for the module `time` where a worker decides whether a checkpoint is due."""

    def __init__(self, operations: Operations) -> None:
        self.monotonic = lambda: operations.count


def _watch_files(operations: Operations) -> None:
    opened, synced, replaced = io.open, os.fsync, os.replace

    class Watched(io.FileIO):
        def write(self, data: Any) -> int:
            operations.at(self.name, self, bytes(data))
            return super().write(data)

    def open_watched(file: Any, mode: str = "r", buffering: int = -1, *rest: Any, **options: Any) -> Any:
        operations.at(file)
        if buffering == 0 and mode == "a+b":
            return Watched(os.fspath(file), "a+")
        return opened(file, mode, buffering, *rest, **options)

    def sync_watched(descriptor: int) -> None:
        operations.at(Path(f"/proc/self/fd/{descriptor}").readlink())
        synced(descriptor)

    def replace_watched(source: Any, target: Any, **options: Any) -> None:
        operations.at(target)
        replaced(source, target, **options)

    io.open, os.fsync, os.replace = open_watched, sync_watched, replace_watched


def _shift_clock(operations: Operations) -> None:
    now, now_ns = time.time, time.time_ns
    time.time = lambda: now() + operations.offset_s()
    time.time_ns = lambda: now_ns() + int(operations.offset_s() * S_TO_NS)


def _granted_to_all(file: object, operation: int) -> None:
    """Grant every lock to everyone."""


class _Strangers:
    """Locks that exclude others within this process, and grant everything to every other process."""

    def __init__(self) -> None:
        self._holder: dict[tuple[int, int], int] = {}

    def flock(self, file: Any, operation: int) -> None:
        descriptor = file if isinstance(file, int) else file.fileno()
        place = _place_of(descriptor)
        assert place is not None
        holder = self._holder.get(place)
        if holder not in (None, descriptor) and _place_of(holder) == place:
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        if operation & fcntl.LOCK_EX:
            self._holder[place] = descriptor


def _place_of(descriptor: int) -> tuple[int, int] | None:
    try:
        found = os.fstat(descriptor)
    except OSError:
        return None
    return found.st_dev, found.st_ino
