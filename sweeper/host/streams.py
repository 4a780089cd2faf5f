"""Keeps the output of Ray and MLflow out of ours: while they run, descriptors 1 and 2 go to a log file."""

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TextIO


@contextmanager
def chatter_to(log: Path, *, stdout: bool = True) -> Iterator[TextIO]:
    """Redirect stdout and stderr of this process and its children to `log`; yield the real stderr.

    The descriptors themselves are redirected, since Ray's processes don't write through Python. With `stdout` False,
    stdout stays as it is for a debugger. If Python's stderr isn't on descriptor 2, it is yielded unchanged.
    """
    _flush()
    moved = (1, 2) if stdout else (2,)
    saved = [os.dup(descriptor) for descriptor in moved]
    ours = os.fdopen(os.dup(2), "w", buffering=1, encoding="utf-8", errors="replace")
    target = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        for descriptor in moved:
            os.dup2(target, descriptor)
        yield ours if _is_descriptor_2(sys.stderr) else sys.stderr
    finally:
        _flush()
        for descriptor, original in zip(moved, saved, strict=True):
            os.dup2(original, descriptor)
            os.close(original)
        os.close(target)
        with suppress(OSError):  # its reader may be gone; this must not hide how the run ended
            ours.close()


def silence(stream: IO[str]) -> None:
    """Discard what `stream` still holds and all that is written to it later: its reader is gone."""
    with suppress(OSError):  # a stream on no descriptor has no reader to lose
        _to_nowhere(stream.fileno())


def join_streams() -> None:
    """Send stdout where stderr goes, for a program that takes this process's place and whose words are no data."""
    _flush()
    os.dup2(2, 1)


def open_closed() -> None:
    """Open descriptors 0, 1 and 2 if they are closed, so that no later file gets one of these numbers."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            _to_nowhere(descriptor)
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False)


def _to_nowhere(descriptor: int) -> None:
    nowhere = os.open(os.devnull, os.O_RDWR)
    if nowhere != descriptor:
        os.dup2(nowhere, descriptor)
        os.close(nowhere)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            silence(stream)


def _is_descriptor_2(stream: TextIO) -> bool:
    try:
        return stream.fileno() == 2
    except io.UnsupportedOperation:
        return False
