"""Keeps the chatter of Ray and MLflow out of our output: while they live, descriptors 1 and 2 go to a log file."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO


@contextmanager
def chatter_to(log: Path) -> Iterator[TextIO]:
    """Send whatever this process and its children write to stdout and stderr to `log`; yield the real stderr.

    The descriptors themselves move, since Ray's processes write without asking Python.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    saved = [os.dup(1), os.dup(2)]
    ours = os.fdopen(os.dup(2), "w", buffering=1, encoding="utf-8", errors="replace")
    target = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        os.dup2(target, 1)
        os.dup2(target, 2)
        yield ours
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for descriptor, original in zip((1, 2), saved, strict=True):
            os.dup2(original, descriptor)
            os.close(original)
        os.close(target)
        with suppress(OSError):  # its reader may be gone, which must not hide how the run ended
            ours.close()
