"""A worker's log of one attempt, for people to read: plain lines with UTC times, and full tracebacks."""

import contextlib
import errno
import faulthandler
import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from sweeper.host.provenance import installed

STORAGE_ERRORS = frozenset({errno.ENOSPC, errno.EROFS, errno.EDQUOT, errno.EACCES, errno.EPERM})
"""The results folder is full or read-only: no trial can continue."""
STDERR = 2
NUMERIC = ("torch", "numpy", "numba")


class TrialLog:
    """The log of one attempt, open for appending until `close`.

    A log that can't be written fails no trial: every OSError is ignored except those of STORAGE_ERRORS.
    """

    def __init__(self, path: Path) -> None:
        """Open `path`, whose folder must exist. Raises OSError of STORAGE_ERRORS."""
        self._logger = logging.Logger(str(path))  # not in logging's registry, which would keep every log
        self._handler: logging.FileHandler | None = None
        try:
            self._handler = _StrictOnStorage(path, encoding="utf-8")
        except OSError as error:
            if error.errno in STORAGE_ERRORS:
                raise
            return
        formatter = logging.Formatter("%(asctime)s.%(msecs)03dZ %(message)s", "%Y-%m-%dT%H:%M:%S")
        formatter.converter = time.gmtime
        self._handler.setFormatter(formatter)
        self._logger.addHandler(self._handler)

    def say(self, text: str) -> None:
        """Write `text` with the current time. Raises OSError of STORAGE_ERRORS."""
        if self._handler is not None:
            self._logger.info("%s", text)

    def close(self) -> None:
        if self._handler is not None:
            with contextlib.suppress(OSError):  # each line was flushed, or its error raised, when it was written
                self._handler.close()
            self._handler = None

    @contextmanager
    def watched(self, timeout_s: float) -> Iterator[None]:
        """End this process if the block takes longer than `timeout_s`, after logging the stack of every thread.

        The timer is not a Python thread, so it also fires while a call into C holds the interpreter.
        """
        stream = self._handler.stream if self._handler is not None else None
        faulthandler.dump_traceback_later(timeout_s, exit=True, file=STDERR if stream is None else stream)
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()


class _StrictOnStorage(logging.FileHandler):
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802, the name is logging's
        error = sys.exception()
        if isinstance(error, OSError) and error.errno in STORAGE_ERRORS:
            raise error


@cache
def versions() -> str:
    """Return the versions that a worker's numbers depend on, as a phrase, without importing the packages."""
    found = installed()
    return ", ".join([f"Python {found['python']}", *(f"{name} {found[name]}" for name in NUMERIC if name in found)])
