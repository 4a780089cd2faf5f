"""Heartbeat timeouts: detects workers that are frozen or whose node is lost. Kills none."""

import time
from collections.abc import Callable
from itertools import takewhile

GRACE_S = 10.0
"""The driver waits this much longer than a worker's own timer, so that the worker can report first."""
ATTENTIVE_S = 5.0
"""If the driver itself paused for longer (suspended, or a slow disk), the pause doesn't count as silence."""


class Silence:
    """When each dealt pack last reported. Call `overdue` often while any pack is dealt."""

    def __init__(self, timeout_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.timeout_s = timeout_s
        self._clock = clock
        self._heard_s: dict[int, float] = {}  # in order of time, the latest last
        self._looked_s = clock()

    def heard(self, pack: int) -> None:
        """Start the timer of `pack`, or start it again."""
        self._heard_s.pop(pack, None)
        self._heard_s[pack] = self._clock()

    def forget(self, pack: int) -> float:
        """End the timer of `pack` and return for how many seconds it was silent."""
        return self._clock() - self._heard_s.pop(pack)

    def overdue(self) -> list[int]:
        """Return the packs that have been silent longer than the timeout plus GRACE_S."""
        now = self._clock()
        away_s, self._looked_s = now - self._looked_s, now
        if away_s > ATTENTIVE_S:
            self._heard_s = {pack: min(heard_s + away_s, now) for pack, heard_s in self._heard_s.items()}
        patience_s = self.timeout_s + GRACE_S
        return [pack for pack, _ in takewhile(lambda heard: now - heard[1] > patience_s, self._heard_s.items())]
