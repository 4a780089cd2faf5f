"""Keeps the chatter of Ray and MLflow out of our output: while they live, descriptors 1 and 2 go to a log file."""

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO


@contextmanager
def chatter_to(log: Path, *, stdout: bool = True) -> Iterator[TextIO]:
    """Send whatever this process and its children write to stdout and stderr to `log`; yield the real stderr.

    The descriptors themselves move, since Ray's processes write without asking Python. Without `stdout` that one stays,
    so that a debugger can talk. A stderr of Python's that is on no descriptor is yielded as it is.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    moved = (1, 2) if stdout else (2,)
    saved = [os.dup(descriptor) for descriptor in moved]
    ours = os.fdopen(os.dup(2), "w", buffering=1, encoding="utf-8", errors="replace")
    target = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        for descriptor in moved:
            os.dup2(target, descriptor)
        yield ours if _is_descriptor_2(sys.stderr) else sys.stderr
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for descriptor, original in zip(moved, saved, strict=True):
            os.dup2(original, descriptor)
            os.close(original)
        os.close(target)
        with suppress(OSError):  # its reader may be gone, which must not hide how the run ended
            ours.close()


def _is_descriptor_2(stream: TextIO) -> bool:
    try:
        return stream.fileno() == 2
    except io.UnsupportedOperation:
        return False
