"""How long each pack has been silent, for workers that can't even tell that they hang: frozen ones, lost nodes."""

import time
from collections.abc import Callable
from itertools import takewhile

GRACE_S = 10.0
"""A worker's own timer goes first; this much later the driver no longer waits for it."""
ATTENTIVE_S = 5.0
"""A driver that looked away for longer (suspended, or held up by a slow disk) doesn't count that as silence."""


class Silence:
    """When each pack that is out was last heard of; `overdue` must be called often while any is out."""

    def __init__(self, timeout_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.timeout_s = timeout_s
        self._clock = clock
        self._heard_s: dict[int, float] = {}  # who was heard last comes last
        self._looked_s = clock()

    def heard(self, pack: int) -> None:
        """Begin to listen for `pack`, or note a word of it."""
        self._heard_s.pop(pack, None)
        self._heard_s[pack] = self._clock()

    def forget(self, pack: int) -> float:
        """Listen for `pack` no more and return for how many seconds it had been silent."""
        return self._clock() - self._heard_s.pop(pack)

    def overdue(self) -> list[int]:
        """Return the packs that have been silent for the timeout and the grace."""
        now = self._clock()
        away_s, self._looked_s = now - self._looked_s, now
        if away_s > ATTENTIVE_S:
            self._heard_s = {pack: min(heard_s + away_s, now) for pack, heard_s in self._heard_s.items()}
        patience_s = self.timeout_s + GRACE_S
        return [pack for pack, _ in takewhile(lambda heard: now - heard[1] > patience_s, self._heard_s.items())]
