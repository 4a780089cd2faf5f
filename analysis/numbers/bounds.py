"""The smallest and the largest value that a metric can have. Reads no measurement."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike


class Bounds(NamedTuple):
    """The closed range of a metric, in its unit; an end without a limit is infinite."""

    low: float
    high: float

    def clip(self, values: ArrayLike) -> np.ndarray:
        """Return `values` with each one outside moved to the nearest bound; NaN stays NaN."""
        return np.clip(np.asarray(values, dtype=float), self.low, self.high)

    def leaves(self, values: ArrayLike) -> bool:
        """Return whether one of `values` lies outside."""
        found = np.asarray(values, dtype=float)
        return bool(((found < self.low) | (found > self.high)).any())


FRACTION = Bounds(0.0, 1.0)
NORM = Bounds(0.0, math.inf)
UNBOUNDED = Bounds(-math.inf, math.inf)
