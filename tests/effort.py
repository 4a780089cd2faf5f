"""How much work a call is, in a number that no load of the machine changes."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Effort:
    """The number of calls of functions, of Python and of C, that were made in a `counted` block."""

    calls = 0


@contextmanager
def counted() -> Iterator[Effort]:
    """Count the calls of this thread within the block; a profiler that was set is set again after it."""
    effort, before = Effort(), sys.getprofile()

    def note(frame: Any, event: str, _: Any) -> None:
        effort.calls += event in ("call", "c_call")

    sys.setprofile(note)
    try:
        yield effort
    finally:
        sys.setprofile(before)
