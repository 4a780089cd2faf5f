"""The trials that wait to be dealt: which is next, and which may train with it, without looking at all the others.

First come those whose turn it is, in plan order; one that was put back may have to rest before.
"""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable
from heapq import heappop, heappush

from sweeper.dealing.dealt_trial import Dealt
from trainers.maml.config import TrialConfig, shared_by_pack


class Waiting:
    """The waiting trials of one run, by their numbers in plan order.

    A heap may name a trial that has been taken by way of another, or waits no longer: whether it is in `_ready` and
    its phase have the last word.
    """

    def __init__(self, trials: Iterable[Dealt]) -> None:
        self._trials = list(trials)
        self._number = {trial.spec.trial_id: number for number, trial in enumerate(self._trials)}
        self._ready: set[int] = set()
        self._in_order: list[int] = []
        self._alike: defaultdict[Hashable, dict[int, list[int]]] = defaultdict(dict)
        """By what they have in common, and by the largest pack they are fit for."""
        self._resting: list[tuple[float, int]] = []
        self._shapes: dict[int, Hashable] = {}
        for number in range(len(self._trials)):
            self._put(number)

    def put_back(self, trial: Dealt, not_before_s: float) -> None:
        """Let `trial` wait again, resting until `not_before_s`."""
        heappush(self._resting, (not_before_s, self._number[trial.spec.trial_id]))

    def take(self, now_s: float) -> Dealt | None:
        """Take the trial whose turn it is at `now_s`; None where all rest, or none is left."""
        while self._resting and self._resting[0][0] <= now_s:
            self._put(heappop(self._resting)[1])
        while self._in_order:
            if (trial := self._popped(self._in_order)) is not None:
                self._ready.remove(self._number[trial.spec.trial_id])
                return trial
        return None

    def take_mates(self, first: Dealt, size: int, fresh: Callable[[Dealt], bool]) -> list[Dealt]:
        """Take those that may train with `first` in a pack of `size`, as many as there are: alike but for PACKABLE.

        Each is `fresh`, and fit for a pack as large; one that isn't fresh once never is again.
        """
        alike, mates = self._alike[self._shape(first)], list[Dealt]()
        while len(mates) < size - 1:
            heaps = [heap for fit, heap in alike.items() if fit >= size and heap]
            if not heaps:
                break
            mate = self._popped(min(heaps))
            if mate is not None and fresh(mate):
                self._ready.remove(self._number[mate.spec.trial_id])
                mates.append(mate)
        return mates

    def _put(self, number: int) -> None:
        trial = self._trials[number]
        if trial.phase != "waiting":
            return
        self._ready.add(number)
        heappush(self._in_order, number)
        if trial.largest_pack > 1:
            heappush(self._alike[self._shape(trial)].setdefault(trial.largest_pack, []), number)

    def _popped(self, heap: list[int]) -> Dealt | None:
        """Return the first trial of `heap`, which leaves it, or None if that is none whose turn it is."""
        number = heappop(heap)
        trial = self._trials[number]
        return trial if number in self._ready and trial.phase == "waiting" else None

    def _shape(self, trial: Dealt) -> Hashable:
        """Return what trials of one pack have in common; the seeds of a cell share it and are asked for it once."""
        config: TrialConfig = trial.spec.cell_config
        if id(config) not in self._shapes:
            self._shapes[id(config)] = shared_by_pack(config)
        return self._shapes[id(config)]
