"""How assignments reach workers: one small interface, and the executor that needs nothing but this process."""

import time
from collections.abc import Callable
from typing import Protocol

from sweeper.dealing.dealer import Dealer
from sweeper.worker.work import Work


class Executor(Protocol):
    """Runs what a dealer deals until it is over or stopping, and reports every update and every end to it."""

    def run(self, dealer: Dealer, ready: Callable[[], None]) -> None:
        """Run to the end. `ready` is called in the main thread whenever signal handlers must be installed again."""


class InlineExecutor:
    """One assignment after the other in this process: for debugging, and where there is no Ray."""

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
