"""The interface of executors, and the executor that trains in this process. It imports no Ray."""

import time
from collections.abc import Callable
from typing import Protocol

from sweeper.dealing.assignment import MemberUpdate, Update
from sweeper.dealing.dealer import Dealer
from sweeper.dealing.dealt_trial import may_be_cut_off
from sweeper.worker.work import Work


class Executor(Protocol):
    """Trains what a dealer deals until the dealer is over or stopping, and reports every update and end to it."""

    def run(self, dealer: Dealer, ready: Callable[[], None]) -> None:
        """Run to the end. Calls `ready` in the main thread each time signal handlers must be installed again."""


class InlineExecutor:
    """Trains one assignment after another in this process: for debugging, on machines without Ray, and in Slurm's jobs.

    News is given to the dealer at most once in `every_s` seconds, but for an end, which it gets at once. If `watched`,
    this process ends when a step takes longer than the assignment's timeout. An end that may have been caused by what
    stops this process, too, is told `doubt_s` seconds later, in which the dealer may be stopped.
    """

    def __init__(self, *, every_s: float = 0.0, watched: bool = False, doubt_s: float = 0.0) -> None:
        self._every_s = every_s
        self._watched = watched
        self._doubt_s = doubt_s

    def run(self, dealer: Dealer, ready: Callable[[], None]) -> None:
        """See Executor."""
        ready()
        while not dealer.over:
            dealer.poll()
            assignment = dealer.next_assignment()
            if assignment is None:
                time.sleep(0.05)
                continue
            self._train(dealer, Work(assignment, watched=self._watched))
            dealer.ended(assignment["pack"])

    def _train(self, dealer: Dealer, work: Work) -> None:
        news, told_s = News(), time.monotonic()
        while not dealer.stopping.is_set():
            update = work.step()
            over = news.add(update)
            if self._doubt_s and any(
                may_be_cut_off(dealer.trials[one["trial_id"]].spec, one["status"]) for one in update["members"]
            ):
                dealer.stopping.wait(self._doubt_s)
            if news.urgent or time.monotonic() - told_s >= self._every_s:
                dealer.receive(news.taken())
                told_s = time.monotonic()
            if over:
                break
            dealer.poll()
        if news.waiting:
            dealer.receive(news.taken())
        work.save()


class News:
    """Updates of one pack that are gathered into one: fewer writes to the journals, and the same lines in them."""

    def __init__(self) -> None:
        self._gathered: Update | None = None

    @property
    def waiting(self) -> bool:
        """Whether there is anything to tell."""
        return self._gathered is not None

    @property
    def urgent(self) -> bool:
        """Whether the pack is over, or a member no longer trains."""
        found = self._gathered
        return found is not None and (found["over"] or any(one["status"] != "running" for one in found["members"]))

    def add(self, update: Update) -> bool:
        """Gather `update`, and return whether its pack is over."""
        before = {one["trial_id"]: one for one in self._gathered["members"]} if self._gathered else {}
        for member in update["members"]:
            earlier = before.get(member["trial_id"])
            records = member["records"] if earlier is None else [*earlier["records"], *member["records"]]
            before[member["trial_id"]] = MemberUpdate(**{**member, "records": records})
        self._gathered = Update(pack=update["pack"], members=list(before.values()), over=update["over"])
        return update["over"]

    def taken(self) -> Update:
        """Return what was gathered, and forget it."""
        assert self._gathered is not None
        found, self._gathered = self._gathered, None
        return found
