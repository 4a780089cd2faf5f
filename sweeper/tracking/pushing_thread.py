"""The name of the threads that push to a tracking store, by which the command's exit looks for one.

Imports nothing, so that a command which tracks nothing pays nothing for the look.
"""

import threading

NAME = "sync"


def at_work() -> bool:
    """Return whether a thread of this process still pushes to a tracking store."""
    return any(thread.name == NAME for thread in threading.enumerate())
