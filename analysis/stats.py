"""Estimators over seeds: pure functions from numbers to numbers, in whatever unit the numbers have.

Fewer than three seeds get no interval: with one degree of freedom a t-interval is 12.7 standard errors wide and says
nothing about the seeds that were not run.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

CONFIDENCE = 0.95
SEEDS_FOR_INTERVAL = 3


class Summary(NamedTuple):
    """Mean, standard deviation (ddof 1) and 95 % t-interval of `n` values; NaN where `n` is too small for one."""

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
    """Differences a - b over the seeds both have: their mean, 95 % t-interval and two-sided p (paired t-test)."""

    seeds: tuple[int, ...]
    mean: float
    low: float
    high: float
    p: float


def summary(values: Sequence[float]) -> Summary:
    """Return mean ± t(0.975, n - 1) sd / sqrt(n) of finite `values`, one a seed."""
    n = len(values)
    mean = float(np.mean(values)) if n else math.nan
    sd = float(np.std(values, ddof=1)) if n > 1 else math.nan
    if n < SEEDS_FOR_INTERVAL:
        return Summary(n, mean, sd, math.nan, math.nan)
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, n - 1)) * sd / math.sqrt(n)
    return Summary(n, mean, sd, mean - half, mean + half)


def paired(a_by_seed: Mapping[int, float], b_by_seed: Mapping[int, float]) -> Paired:
    """Return the differences a - b paired over common seeds; without three of them, no interval and no p."""
    seeds = tuple(sorted(a_by_seed.keys() & b_by_seed.keys()))
    n, mean, sd, low, high = summary([a_by_seed[seed] - b_by_seed[seed] for seed in seeds])
    if n < SEEDS_FOR_INTERVAL:
        return Paired(seeds, mean, low, high, math.nan)
    if sd == 0:
        return Paired(seeds, mean, low, high, 1.0 if mean == 0 else 0.0)
    p = 2 * float(stats.t.sf(abs(mean) / (sd / math.sqrt(n)), n - 1))
    return Paired(seeds, mean, low, high, p)
