"""Estimators over seeds: pure functions of numbers in any unit. Gives no verdicts.

Fewer than three seeds get no interval: with one degree of freedom, a 95 % t-interval reaches 12.7 standard errors to
either side and says nothing about the seeds that were not run.

`stdtr` is the distribution function of Student's t and `stdtrit` its inverse. They give the bits of `scipy.stats.t` and
are 70 times as fast.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import ndtr, stdtr, stdtrit

CONFIDENCE = 0.95
SEEDS_FOR_INTERVAL = 3
SPREAD = 3.0  # a cell is not pooled if its sd is more than this many times the median sd
POWER = 0.8  # probability that a verdict is decided at the needed number of seeds
MOST_SEEDS = 200  # the largest number of seeds that `needed_seeds` returns


class Summary(NamedTuple):
    """Mean, standard deviation (ddof 1) and t-interval of `n` values; each is NaN if `n` is too small for it."""

    n: int
    mean: float
    sd: float
    low: float
    high: float

    @property
    def half_width(self) -> float:
        """Half the interval's width; NaN without an interval."""
        return (self.high - self.low) / 2


class Paired(NamedTuple):
    """Differences a - b over common seeds: mean, t-interval and two-sided p (paired t-test)."""

    seeds: tuple[int, ...]
    mean: float
    low: float
    high: float
    p: float

    @property
    def furthest(self) -> float:
        """The largest distance from 0 within the interval; NaN without an interval."""
        return max(abs(self.low), abs(self.high))


class EpisodePart(NamedTuple):
    """The variance that one list of `episodes` test episodes adds to a mean whose seeds all share that list.

    `sd` is the standard deviation of the accuracy over episodes. The spread of the seeds doesn't contain this part,
    because their list is the same. If each seed has its own list, as in our runs and the authors', the spread does.
    """

    sd: float
    episodes: int

    @property
    def variance(self) -> float:
        """s_ep^2 / E, not divided by the number of seeds."""
        return self.sd**2 / self.episodes


class Estimate(NamedTuple):
    """A mean or difference with its standard error, estimated with `dof` degrees of freedom."""

    value: float
    se: float
    dof: int

    def interval(self, level: float = CONFIDENCE) -> tuple[float, float]:
        """Return the two-sided t-interval at `level`."""
        half = float(stdtrit(self.dof, (1 + level) / 2)) * self.se
        return self.value - half, self.value + half

    def p(self) -> float:
        """Return the two-sided p of the t-test against 0."""
        return 2 * _tail(abs(self.value), self.se, self.dof) if self.value else 1.0

    def p_within(self, margin: float) -> float:
        """Return the p of the two one-sided tests (TOST, Schuirmann 1987) of |true value| >= `margin`.

        It is below 0.05 if and only if the 90 % interval lies within ± `margin`.
        """
        return max(_tail(margin - self.value, self.se, self.dof), _tail(margin + self.value, self.se, self.dof))


class Pooled(NamedTuple):
    """Standard deviation within groups, pooled over the groups of several cells; NaN if `dof` is 0.

    `excluded` are the cells whose spread is too large to be pooled. `dof` counts the groups as independent; it is an
    upper bound if groups share their seeds.
    """

    sd: float
    dof: int
    cells: tuple[str, ...]
    excluded: tuple[str, ...]


def summary(values: Sequence[float], level: float = CONFIDENCE, shared: EpisodePart | None = None) -> Summary:
    """Return mean ± t(n - 1) sqrt(sd^2 / n + s_ep^2 / E) of finite `values`, one per seed.

    `shared` is the episode part, if all seeds were scored on one list of episodes.
    """
    n = len(values)
    mean = float(np.mean(values)) if n else math.nan
    sd = float(np.std(values, ddof=1)) if n > 1 else math.nan
    if n < SEEDS_FOR_INTERVAL:
        return Summary(n, mean, sd, math.nan, math.nan)
    se = math.sqrt(sd**2 / n + (shared.variance if shared else 0.0))
    return Summary(n, mean, sd, *Estimate(mean, se, n - 1).interval(level))


def differences(a_by_seed: Mapping[int, float], b_by_seed: Mapping[int, float]) -> dict[int, float]:
    """Return a - b for every common seed, sorted by seed."""
    return {seed: a_by_seed[seed] - b_by_seed[seed] for seed in sorted(a_by_seed.keys() & b_by_seed.keys())}


def mean_estimate(values: Sequence[float]) -> Estimate:
    """Return the mean of two or more `values` with the standard error from their spread."""
    n = len(values)
    return Estimate(float(np.mean(values)), float(np.std(values, ddof=1)) / math.sqrt(n), n - 1)


def paired(a_by_seed: Mapping[int, float], b_by_seed: Mapping[int, float], level: float = CONFIDENCE) -> Paired:
    """Return the differences a - b over common seeds; below three seeds, interval and p are NaN."""
    return of_differences(differences(a_by_seed, b_by_seed), level)


def of_differences(by_seed: Mapping[int, float], level: float = CONFIDENCE) -> Paired:
    """Return mean, interval and p of one difference per seed; below three seeds, interval and p are NaN."""
    values = list(by_seed.values())
    _, mean, _, low, high = summary(values, level)
    p = math.nan if len(values) < SEEDS_FOR_INTERVAL else mean_estimate(values).p()
    return Paired(tuple(by_seed), mean, low, high, p)


def pooled(cells: Mapping[str, Sequence[Sequence[float]]]) -> Pooled:
    """Return the standard deviation within groups, pooled over cells of similar spread; a cell is a list of groups.

    A cell is left out if its own sd, pooled over its groups, is more than `SPREAD` times the median of the cells' sds.
    Groups are not left out one by one: two seeds differ that much by chance too often. A cell with a small sd stays:
    without it the pooled sd would be too large.
    """
    own = {name: _within(groups) for name, groups in cells.items()}
    own = {name: found for name, found in own.items() if found.dof}
    if not own:
        return Pooled(math.nan, 0, (), ())
    limit = SPREAD * float(np.median([found.sd for found in own.values()]))
    kept = {name: found for name, found in own.items() if found.sd <= limit}
    dof = sum(found.dof for found in kept.values())
    sd = math.sqrt(math.fsum(found.dof * found.sd**2 for found in kept.values()) / dof)
    return Pooled(sd, dof, tuple(kept), tuple(name for name in own if name not in kept))


class _Within(NamedTuple):
    sd: float
    dof: int


def _within(groups: Sequence[Sequence[float]]) -> _Within:
    """Return the standard deviation within groups, pooled; a group of a single value doesn't count."""
    several = [group for group in groups if len(group) > 1]
    dof = sum(len(group) - 1 for group in several)
    apart = [group for group in several if min(group) < max(group)]  # the mean of equal values may differ by a rounding
    squares = math.fsum((len(group) - 1) * float(np.var(group, ddof=1)) for group in apart)
    return _Within(math.sqrt(squares / dof) if dof else math.nan, dof)


def group_difference(
    a: Sequence[float], b: Sequence[float], spread: Pooled, shared: Sequence[EpisodePart] = ()
) -> Estimate:
    """Return mean(a) - mean(b) of independent groups, with SE^2 = s_p^2 (1/n_a + 1/n_b) + the variances of `shared`.

    `shared` has one part for each side whose seeds were all scored on one list of episodes.
    """
    variance = spread.sd**2 * (1 / len(a) + 1 / len(b)) + math.fsum(part.variance for part in shared)
    return Estimate(float(np.mean(a)) - float(np.mean(b)), math.sqrt(variance), spread.dof)


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Return Holm's (1979) adjusted p-values, in the order given.

    A NaN is a test of the family that couldn't be done. It stays NaN and counts as the largest p, so a missing test
    never makes the others easier to pass.
    """
    order = sorted(range(len(p_values)), key=lambda index: (math.isnan(p_values[index]), p_values[index]))
    adjusted = [math.nan] * len(p_values)
    largest = 0.0
    for rank, index in enumerate(order):
        if not math.isnan(p_values[index]):
            largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
            adjusted[index] = largest
    return tuple(adjusted)


def needed_seeds(
    difference: Estimate, spread: Pooled, n_ours: int, n_theirs: int, margin: float, shared: Sequence[EpisodePart] = ()
) -> int | None:
    """Return the smallest number of our seeds, above `n_ours`, that decides a value verdict with probability `POWER`.

    Decided means that the 90 % interval lies within ± `margin` or the 95 % interval excludes 0. The probability takes
    the observed difference and spread as true, and is a normal approximation with t-limits. None if `MOST_SEEDS` are
    not enough: then the authors' few seeds alone keep the interval wide.
    """
    n = np.arange(n_ours + 1, MOST_SEEDS + 1)
    se = np.sqrt(spread.sd**2 * (1 / n + 1 / n_theirs) + math.fsum(part.variance for part in shared))
    dof = spread.dof + n - n_ours
    agrees_below = np.maximum(margin - stdtrit(dof, 0.95) * se, 0.0)
    differs_above = stdtrit(dof, (1 + CONFIDENCE) / 2) * se
    left_open = _chance_below(differs_above, difference.value, se) - _chance_below(agrees_below, difference.value, se)
    enough = np.flatnonzero(left_open <= 1 - POWER)
    return int(n[enough[0]]) if enough.size else None


def _chance_below(limit: np.ndarray, mean: float, se: np.ndarray) -> np.ndarray:
    """Return P(|D| <= limit) for D ~ normal(mean, se^2)."""
    return ndtr((limit - mean) / se) - ndtr((-limit - mean) / se)


def _tail(distance: float, se: float, dof: int) -> float:
    """Return P(T > distance / se); for a standard error of 0 it is 0 or 1."""
    if se == 0:
        return 0.0 if distance > 0 else 1.0
    return float(stdtr(dof, -distance / se))
