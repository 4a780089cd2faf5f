"""Pauses Python's search for cyclic garbage: while 100,000 small objects are made, and while Ray shuts down.

The search visits ever more of those objects and finds nothing: a quarter of a large plan's time. It runs in any
thread, and finalises what it finds in that thread.
"""

import gc
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def paused() -> Iterator[None]:
    """Collect no cyclic garbage while the block (or the decorated function) runs."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def collect_all() -> None:
    """Run a full collection and wait for one that already runs in another thread. Call inside `paused()`."""
    probe = _Cycle()
    gone = weakref.ref(probe)
    del probe
    while gone() is not None:
        gc.collect()  # does nothing while another thread searches
        time.sleep(0.001)


class _Cycle:
    def __init__(self) -> None:
        self.itself = self
