"""The name of the threads that push to a tracking store. The command looks for it when it exits.

Imports almost nothing, so that the look costs nothing in a command that tracks nothing.
"""

import threading

NAME = "sync"


def at_work() -> bool:
    """Return whether a thread of this process is still pushing to a tracking store."""
    return any(thread.name == NAME for thread in threading.enumerate())
