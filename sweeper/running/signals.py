"""The reaction of a run to SIGINT and SIGTERM. Saves nothing itself: the dealer does."""

import os
import signal
from collections.abc import Callable
from types import FrameType
from typing import Any

from sweeper.dealing.dealer import Dealer


class Signals:
    """At the first SIGINT or SIGTERM, make the dealer stop and save. At the second, exit at once."""

    def __init__(self, leaving: Callable[[], None]) -> None:
        """`leaving` is called before the exit at a second signal, in its handler."""
        self._leaving = leaving
        self._dealer: Dealer | None = None
        self._previous: dict[int, Callable[[int, FrameType | None], Any] | int | None] = {}
        self.received: int | None = None

    def watch(self, dealer: Dealer) -> None:
        """Stop `dealer` at the first signal, or now if a signal has come already."""
        self._dealer = dealer
        if self.received is not None:
            dealer.stop()

    def note(self, number: int) -> None:
        """Treat a stop request as signal `number`, unless a signal has come already."""
        if self.received is None:
            self.received = number

    def install(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            previous = signal.signal(number, self._handle)
            self._previous.setdefault(number, previous)

    def restore(self) -> None:
        for number, previous in self._previous.items():
            signal.signal(number, previous)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.received is not None:
            self._leaving()
            os._exit(128 + number)
        self.received = number
        if self._dealer is not None:
            self._dealer.stop()
