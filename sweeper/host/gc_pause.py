"""When Python searches for cyclic garbage: not while 100,000 small objects are made, nor while Ray is taken down.

The search looks at ever more of those objects and finds nothing: a quarter of a large plan's time. Any thread may be
the one that searches, and what it finds is finished there and then.
"""

import gc
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def paused() -> Iterator[None]:
    """Collect no cycles while the block (or the decorated function) runs."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def collect_all() -> None:
    """Finish whatever is unreachable by now, in this thread or the one whose search is under way; call it `paused`."""
    probe = _Cycle()
    gone = weakref.ref(probe)
    del probe
    while gone() is not None:
        gc.collect()  # does nothing while another thread searches
        time.sleep(0.001)


class _Cycle:
    def __init__(self) -> None:
        self.itself = self
