"""The trials that wait to be dealt: finds the next one, and those that may train with it, without a full search.

Ready trials are taken in plan order; a trial that was put back may first have to rest. Locks nothing.
"""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable
from heapq import heappop, heappush

from sweeper.dealing.dealt_trial import Dealt
from sweeper.sweepfile.fields import SEED


class Waiting:
    """The waiting trials of one run, by their numbers in plan order.

    Heaps are cleaned lazily: an entry counts only if its trial is in `_ready` and still waiting.
    """

    def __init__(self, trials: Iterable[Dealt], point_of: Callable[[Dealt], Hashable]) -> None:
        """Take `trials` in plan order. Trials of one pack have the same `point_of`, from which they go on."""
        self._trials = list(trials)
        self._point_of = point_of
        self._number = {trial.spec.trial_id: number for number, trial in enumerate(self._trials)}
        self._ready: set[int] = set()
        self._in_order: list[int] = []
        self._alike: defaultdict[Hashable, dict[int, list[int]]] = defaultdict(dict)
        """Heaps by what trials of a pack share, then by the largest pack that a trial may join."""
        self._key: dict[int, Hashable] = {}
        self._resting: list[tuple[float, int]] = []
        self._shapes: dict[int, Hashable] = {}
        for number in range(len(self._trials)):
            self._put(number)

    def add(self, trial: Dealt) -> None:
        """Let a further trial wait, after all others; or one again, for a longer target."""
        self._number[trial.spec.trial_id] = len(self._trials)
        self._trials.append(trial)
        self._put(len(self._trials) - 1)

    @property
    def ready(self) -> int:
        """The number of trials that wait and do not rest."""
        return len(self._ready)

    def put_back(self, trial: Dealt, not_before_s: float) -> None:
        """Let `trial` wait again; it rests until `not_before_s` on the caller's clock."""
        heappush(self._resting, (not_before_s, self._number[trial.spec.trial_id]))

    def take(self, now_s: float) -> Dealt | None:
        """Take the next trial at time `now_s`; None if all rest or none is left."""
        while self._resting and self._resting[0][0] <= now_s:
            self._put(heappop(self._resting)[1])
        while self._in_order:
            if (trial := self._popped(self._in_order)) is not None:
                self._ready.remove(self._number[trial.spec.trial_id])
                return trial
        return None

    def take_mates(self, first: Dealt, size: int) -> list[Dealt]:
        """Take up to `size` - 1 trials to train with `first`: they differ from it only in packable fields.

        They have its engine, go on from its point, and may join a pack of `size`, which is more than 1.
        """
        alike, mates = self._alike[self._key[self._number[first.spec.trial_id]]], list[Dealt]()
        while len(mates) < size - 1:
            heaps = [heap for fit, heap in alike.items() if fit >= size and heap]
            if not heaps:
                break
            mate = self._popped(min(heaps))
            if mate is not None:
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
            self._key[number] = key = (self._shape(trial), self._point_of(trial))
            heappush(self._alike[key].setdefault(trial.largest_pack, []), number)

    def _popped(self, heap: list[int]) -> Dealt | None:
        """Remove the first entry of `heap` and return its trial, or None if the entry is stale."""
        number = heappop(heap)
        trial = self._trials[number]
        return trial if number in self._ready and trial.phase == "waiting" else None

    def _shape(self, trial: Dealt) -> Hashable:
        """Return what trials of one pack share; computed once per cell whose seeds may share a pack."""
        spec = trial.spec
        if SEED not in spec.trainer.packable:
            return trial.engine, spec.shared_by_pack()
        config = id(spec.cell_config)  # the seeds of a cell share this object
        if config not in self._shapes:
            self._shapes[config] = spec.shared_by_pack()
        return trial.engine, self._shapes[config]
