"""How much of a test's budget is spent: a few seeds and sizes every day, many in `make test-long`."""

import os
from typing import TypeVar

T = TypeVar("T")

LONG = bool(os.environ.get("SWEEPER_LONG"))


def budget(everyday: T, long: T) -> T:
    """Return `long` in `make test-long`, else `everyday`: numbers of rounds or examples, or whole lists of cases."""
    return long if LONG else everyday
