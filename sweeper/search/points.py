"""Points that depend on nothing but the seed and the number: random and Sobol. Dimensions are taken by name.

So the order of keys in a sweep file changes no proposal.
"""

import random
from collections.abc import Sequence
from operator import attrgetter

from sweeper.sweepfile.space import Dimension, Param


def random_point(space: Sequence[Dimension], seed: int, number: int) -> dict[str, Param]:
    """Return independent draws. Python's generator gives the same on every platform and version."""
    draws = random.Random(f"search {seed} {number}")
    return {dimension.name: dimension.at(draws.random()) for dimension in sorted(space, key=attrgetter("name"))}


def sobol_point(space: Sequence[Dimension], seed: int, number: int) -> dict[str, Param]:
    """Return point `number` of Sobol's sequence, moved by a shift that `seed` draws once for each dimension."""
    from scipy.stats import qmc

    ordered = sorted(space, key=attrgetter("name"))
    sequence = qmc.Sobol(len(ordered), scramble=False)
    if number:
        sequence.fast_forward(number)
    shift = random.Random(f"sobol {seed}")
    units = [(float(unit) + shift.random()) % 1.0 for unit in sequence.random(1)[0]]
    return {dimension.name: dimension.at(unit) for dimension, unit in zip(ordered, units, strict=True)}
