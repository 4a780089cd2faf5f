"""Pauses Python's search for cyclic garbage while 100,000 small objects are made that all stay.

The search then looks at ever more of them again and again and finds nothing: a quarter of a large plan's time.
"""

import gc
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
