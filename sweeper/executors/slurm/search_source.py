"""Where a slot takes searched trials from: it has a turn each time that it has ended a trial.

A turn hears what has ended, also in other slots, and takes the next trial. See `dealing.source` and
`search.in_turns`.
"""

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from analysis.contract.lifecycle import Phase
from sweeper.dealing.dealt_trial import Worker
from sweeper.dealing.engine import engine_for_new
from sweeper.dealing.opening import why_not
from sweeper.dealing.source import Deal, Progress
from sweeper.executors.slurm.ending import submit_more
from sweeper.executors.slurm.frozen_search import Thawed
from sweeper.executors.slurm.holders import Holders, Owner
from sweeper.executors.slurm.submission import Submission
from sweeper.executors.slurm.turns import Turns
from sweeper.host.devices import Device
from sweeper.planning.trial_spec import TrialSpec
from sweeper.results.locks import holder_of
from sweeper.results.paths import Results
from sweeper.results.trial_summary import read_summary
from sweeper.search.in_turns import InTurns

LOOK_EVERY_S = 5.0
"""How often a slot that has nothing to take has a turn, to see whether that has changed."""
TRY_EVERY_S = 0.2
"""How often it tries to get a turn that another slot has."""
PATIENCE_S = 300.0
"""How long a slot without a trial waits for one. The rest of a search may be a few long trials in other slots."""


class _Open(NamedTuple):
    search: InTurns
    turns: Turns
    sweep: str


class SlotSource:
    """See `dealing.source.Source`. Each slot begins with another search, so that they don't wait for one turn."""

    examples: Sequence[TrialSpec] = ()
    most = 0
    progress: Sequence[Progress] = ()

    def __init__(
        self,
        searches: Sequence[Thawed],
        submission: Submission,
        worker: Worker,
        holders: Holders,
        own: Owner,
        say: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        searched = submission.searched
        self._submission = submission
        self._say = say
        self._results = submission.results
        self._worker = worker
        self._device: Device = "cuda" if worker.device == "cuda" else "cpu"
        self._retry_failed = submission.content["retry_failed"]
        self._engine = searched.get("engine")
        self._holders = holders
        self._clock = clock
        self._open = [_opened(one, self._results, searched["failed"], own, holders) for one in searches]
        self._given: set[str] = set()
        self._rests_s: dict[str, float] = {}
        self._held: dict[str, str] = {}
        self._left_alone: dict[str, str] = {}
        self._again_s = 0.0
        self._since_s: float | None = None
        self.over = not searches
        self.why = ""
        """Why it is over though the searches are not, and `waited` whether others hold what is left; "" if they are."""
        self.waited = False

    def next(self) -> Deal | None:
        """See Source. Raises SweepError, OSError."""
        if self.over or self._clock() < self._again_s:
            return None
        self._held.clear()
        self._left_alone.clear()
        for one in self._open:
            if one.search.over:
                continue
            if not one.turns.take():
                self._held[one.search.search.search_id] = "another process goes on with this search"
                continue
            try:
                spec = one.search.turn(self._free)
            finally:
                one.turns.release()
            if one.search.confirmable:
                submit_more(self._submission, one.search.confirmable, self._say)
            if spec is not None:
                self._given.add(spec.trial_id)
                self._since_s = None
                return Deal(spec, one.sweep, engine_for_new(spec, self._device, self._engine))
        self._wait()
        return None

    def heard(self, trial_id: str, phase: Phase) -> None:
        """See Source. The next turn reads how the trial has ended."""
        self._given.discard(trial_id)
        self._again_s = 0.0
        if phase == "skipped":  # another slot was quicker, and has not signed it yet
            self._rests_s[trial_id] = self._clock() + LOOK_EVERY_S

    def _free(self, spec: TrialSpec) -> bool:
        """Return whether this slot may take a trial now."""
        name, paths = spec.trial_id, self._results.trial(spec.trial_id)
        if name in self._given:
            return False
        if reason := self._barred(spec):
            self._left_alone[name] = reason
        elif who := self._holders.holder(paths):
            self._held[name] = who
        elif holder_of(paths) is not None or self._clock() < self._rests_s.get(name, 0.0):
            self._held[name] = "another process"
        else:
            return True
        return False

    def _barred(self, spec: TrialSpec) -> str:
        paths = self._results.trial(spec.trial_id)
        return self._holders.barred(paths) or why_not(
            spec, read_summary(paths.journal), self._worker, self._retry_failed
        )

    def _wait(self) -> None:
        """Decide whether to wait for a trial, which others may still make possible."""
        now_s = self._clock()
        turn_awaited = any(not one.search.over and one.search.search.search_id in self._held for one in self._open)
        self._again_s = now_s + (TRY_EVERY_S if turn_awaited else LOOK_EVERY_S)
        if self._given:
            return
        if not self._held:
            self.over = True
            if self._left_alone:
                name, reason = next(iter(self._left_alone.items()))
                self.why = f"{_count(len(self._left_alone))} left alone, {name} because: {reason}"
            return
        self._since_s = now_s if self._since_s is None else self._since_s
        if now_s - self._since_s < PATIENCE_S:
            return
        self.over = True
        if all(self._in_a_slot(name) for name in self._held):
            self.why = f"{_count(len(self._held))} left to the slots that train them"
        else:
            name, who = next(iter(self._held.items()))
            self.waited = True
            self.why = f"others have held what is left for {PATIENCE_S:.0f} s: {name} by {who}"

    def _in_a_slot(self, name: str) -> bool:
        return not any(one.search.search.search_id == name for one in self._open) and self._holders.in_a_slot(
            self._results.trial(name)
        )


def _opened(one: Thawed, results: Results, failed: dict[str, int], own: Owner, holders: Holders) -> _Open:
    turns = Turns(results.search(one.search.search_id), own, holders.lives)
    return _Open(InTurns(one.search, results, failed, turns.check), turns, one.sweep)


def _count(number: int) -> str:
    return f"{number} trial{'s are' if number > 1 else ' is'}"
