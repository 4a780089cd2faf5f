"""Waiting for what another process or thread is to bring about; the limit only ends what hangs."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

HANG_S = 600.0
"""What takes longer than this hangs, on however busy a machine. No test may ask for less of a process."""


def wait_until(ask: Callable[[], T], what: str | Callable[[], str] = "it", *, every_s: float = 0.05) -> T:
    """Ask until the answer is true and return it; AssertionError with `what` was waited for after HANG_S."""
    ends_s = time.monotonic() + HANG_S
    while not (answer := ask()):
        assert time.monotonic() < ends_s, f"waited {HANG_S:.0f} s for {what if isinstance(what, str) else what()}"
        time.sleep(every_s)
    return answer
