"""Lets one process at a time open a tracking database: two processes would collide as MLflow creates its tables."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from sweeper.errors import TrackingError
from sweeper.results.locks import Lock
from sweeper.results.paths import RunPaths
from sweeper.tracking.address import SQLITE, sqlite_path

LONGEST_WAIT_S = 120.0
POLL_S = 0.1


@contextmanager
def only_opener(uri: str, longest_wait_s: float = LONGEST_WAIT_S) -> Iterator[None]:
    """Create the folder of the sqlite store at `uri` and hold the lock in it; do nothing for any other store.

    Raises TrackingError if another process holds it for `longest_wait_s`, OSError if the folder can't be written.
    """
    if not uri.startswith(SQLITE):
        yield
        return
    database = sqlite_path(uri)
    lock = Lock(RunPaths(database.parent, database.name))
    ends_s = time.monotonic() + longest_wait_s
    while not lock.take():
        if time.monotonic() > ends_s:
            raise TrackingError(
                f"{lock.paths.lock}: another process has been opening this tracking store for over "
                f"{longest_wait_s:.0f} s; when it has ended, `sweeper sync FILE` sends what is missing"
            )
        time.sleep(POLL_S)
    try:
        yield
    finally:
        lock.release()
