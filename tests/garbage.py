"""How often a process of the suite searches for garbage: a search each 700 new objects took a twentieth of its time."""

import gc

OBJECTS = 50_000
"""New objects between two searches; Python's own number is 700."""


def search_seldom() -> None:
    """Search for garbage from now on, but seldom, and not among all that there is so far."""
    gc.freeze()
    gc.set_threshold(OBJECTS)
    gc.enable()
