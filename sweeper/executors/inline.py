"""The interface of executors, and the executor that trains in this process. It imports no Ray."""

import time
from collections.abc import Callable
from typing import Protocol

from sweeper.dealing.dealer import Dealer
from sweeper.worker.work import Work


class Executor(Protocol):
    """Trains what a dealer deals until the dealer is over or stopping, and reports every update and end to it."""

    def run(self, dealer: Dealer, ready: Callable[[], None]) -> None:
        """Run to the end. Calls `ready` in the main thread each time signal handlers must be installed again."""


class InlineExecutor:
    """Trains one assignment after another in this process: for debugging, and on machines without Ray."""

    def run(self, dealer: Dealer, ready: Callable[[], None]) -> None:
        """See Executor."""
        ready()
        while not dealer.over:
            dealer.poll()
            assignment = dealer.next_assignment()
            if assignment is None:
                time.sleep(0.05)
                continue
            work = Work(assignment)
            while not dealer.stopping.is_set():
                update = work.step()
                dealer.receive(update)
                if update["over"]:
                    break
                dealer.poll()
            work.save()
            dealer.ended(assignment["pack"])
