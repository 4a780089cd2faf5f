"""The time that a run still needs, from the pace of its own trials. Reads no clock and prints nothing.

A worker's start-up is left out: a trial is timed from its first report to its last one. Evaluations within that are
counted.
"""

import math
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from sweeper.dealing.dealt_trial import Dealt
from sweeper.results.trial_summary import cost_class_of

FEWEST = 3
"""Reports after the first from which the pace of a trial is known."""
ROUGH = 0.1
"""The least half width of a band, as a part of its middle: no pace stays as it was."""
UNSEEN = 2.0
"""Trials of a kind that has not reported cost up to this factor less or more than those that have."""


class Tally(NamedTuple):
    """Sums over the reports of trials of one kind: how many, their seconds and outer steps, and products of these."""

    reports: int = 0
    seconds: float = 0.0
    steps: int = 0
    seconds_squared: float = 0.0
    seconds_steps: float = 0.0
    steps_squared: int = 0

    def plus(self, seconds: float, steps: int) -> "Tally":
        """Return the tally with one more report, of `steps` outer steps that took `seconds`."""
        return Tally(
            self.reports + 1,
            self.seconds + seconds,
            self.steps + steps,
            self.seconds_squared + seconds**2,
            self.seconds_steps + seconds * steps,
            self.steps_squared + steps**2,
        )


class Band(NamedTuple):
    """A number of seconds is likely between these two."""

    low_s: float
    high_s: float


def step_cost(tally: Tally) -> Band | None:
    """Return the seconds of one outer step, by the ratio of sums and two standard errors of it; None if unknown."""
    if tally.reports < FEWEST or not tally.steps:
        return None
    mean = tally.seconds / tally.steps
    residuals = tally.seconds_squared - 2 * mean * tally.seconds_steps + mean**2 * tally.steps_squared
    spread = math.sqrt(max(residuals, 0.0) * tally.reports / (tally.reports - 1)) / tally.steps
    half = max(2 * spread, ROUGH * mean)
    return Band(max(mean - half, mean / 3), mean + half)


def time_left(seen: Mapping[str, Tally], left: Iterable[tuple[str, int]], workers: int) -> Band | None:
    """Return how long `workers` workers still need for trials, each given by its kind and its outer steps.

    `seen` has the tally of each kind of trial. None if no pace is known yet. The run ends no sooner than its longest
    trial.
    """
    known = {kind: cost for kind, tally in seen.items() if (cost := step_cost(tally)) is not None}
    if not known:
        return None
    unseen = Band(
        min(cost.low_s for cost in known.values()) / UNSEEN, max(cost.high_s for cost in known.values()) * UNSEEN
    )
    total, longest = Band(0.0, 0.0), Band(0.0, 0.0)
    for kind, steps in left:
        cost = known.get(kind, unseen)
        total = Band(total.low_s + steps * cost.low_s, total.high_s + steps * cost.high_s)
        longest = Band(max(longest.low_s, steps * cost.low_s), max(longest.high_s, steps * cost.high_s))
    count = max(workers, 1)
    return Band(max(total.low_s / count, longest.low_s), max(total.high_s / count, longest.high_s))


def in_words(band: Band) -> str:
    """Return a time left in words, such as `2 to 4 min`, rounded because it is rough."""
    if band.high_s < 60:
        return "under 1 min"
    unit, name, digits = (60.0, "min", 0) if band.high_s < 7200 else (3600.0, "h", 1)
    low, high = (f"{max(seconds / unit, 10.0**-digits):.{digits}f}" for seconds in band)
    return f"about {high} {name}" if low == high else f"{low} to {high} {name}"


class Pace:
    """What a view of a run has seen of its trials. Call `note` often; the caller brings the time in seconds."""

    def __init__(self) -> None:
        self._kinds: dict[str, str] = {}
        self._by_kind: dict[str, Tally] = {}
        self._of_attempt: dict[tuple[str, int], Tally] = {}
        self._last: dict[tuple[str, int], tuple[float, int]] = {}
        self._workers = 0

    def note(self, now_s: float, trials: Iterable[Dealt]) -> None:
        """Take the present steps of the trials."""
        running = 0
        for trial in trials:
            running += trial.phase == "running"
            if trial.step <= trial.first_step or trial.phase == "waiting":
                continue
            attempt = (trial.spec.trial_id, trial.attempt)
            before_s, before = self._last.get(attempt, (now_s, trial.step))
            if trial.step > before:
                kind, seconds, steps = self._kind(trial), now_s - before_s, trial.step - before
                self._by_kind[kind] = self._by_kind.get(kind, Tally()).plus(seconds, steps)
                self._of_attempt[attempt] = self._of_attempt.get(attempt, Tally()).plus(seconds, steps)
            if trial.step != before or attempt not in self._last:
                self._last[attempt] = now_s, trial.step
        self._workers = max(self._workers, running)

    def rate(self, trial: Dealt) -> float | None:
        """Return the outer steps of a trial in a second, or None as long as it has reported only once."""
        tally = self._of_attempt.get((trial.spec.trial_id, trial.attempt), Tally())
        return tally.steps / tally.seconds if tally.seconds else None

    def left(self, trials: Iterable[Dealt]) -> Band | None:
        """Return how long the rest of the run takes; None as long as nothing is known, or if a trial has no length."""
        open_ones = [trial for trial in trials if trial.phase in ("waiting", "running")]
        if not all(trial.spec.target for trial in open_ones):
            return None
        rest = [(self._kind(trial), trial.spec.target - trial.step) for trial in open_ones]
        return time_left(self._by_kind, rest, self._workers)

    def _kind(self, trial: Dealt) -> str:
        cell = trial.spec.cell
        if cell not in self._kinds:
            self._kinds[cell] = cost_class_of(trial.spec.trainer, trial.spec.cell_config, "")
        return self._kinds[cell]
