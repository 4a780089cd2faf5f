"""Numbers of a search: who leads, and the best so far against the steps that were spent. Averages nothing."""

import math
from collections.abc import Iterable
from typing import NamedTuple

from analysis.contract.search import SearchFound, SearchValue


class Spent(NamedTuple):
    """The leader's value after `steps` steps of all trials of a search, and the step at which it is read."""

    steps: int
    value: float
    read_at: int


def leader(found: SearchFound, heard: Iterable[SearchValue]) -> SearchValue | None:
    """Return the best of `heard`: at the highest rung, then by value, ties by number; None if none has a value."""
    sign = -1.0 if found.better == "higher" else 1.0
    ranked = [(-one.rung, sign * one.value, one.number, one) for one in heard if one.value is not None]
    return min(ranked, key=lambda entry: entry[:3])[3] if ranked else None


def best_so_far(found: SearchFound) -> list[Spent]:
    """Return the leader after each value that was heard. Steps count once, however long a trial waited for its next."""
    made: list[Spent] = []
    spent, best = 0, None
    for one in found.values:
        spent += one.cost
        best = leader(found, [one] if best is None else [best, one])
        if best is not None and best.value is not None:
            made.append(Spent(spent, best.value, best.step))
    return made


def steps_spent(found: SearchFound) -> int:
    """Return the steps of all trials of the search, without its confirmations."""
    return sum(one.cost for one in found.values)


def last_values(found: SearchFound) -> dict[int, SearchValue]:
    """Return the last value of each proposal that was heard, by number."""
    return {one.number: one for one in found.values}


def unit_places(found: SearchFound, name: str) -> dict[int, float]:
    """Return where each proposal lies along a dimension, from 0 to 1 over the proposals of the search."""
    dimension = next(one for one in found.dimensions if one.name == name)
    if dimension.kind == "choice":
        last = max(len(dimension.labels) - 1, 1)
        return {point.number: dimension.labels.index(str(point.params[name])) / last for point in found.points}
    numbers = {point.number: float(point.params[name]) for point in found.points}
    if dimension.kind == "log":
        numbers = {number: math.log(value) for number, value in numbers.items()}
    low, high = min(numbers.values()), max(numbers.values())
    return {number: (value - low) / (high - low) if high > low else 0.5 for number, value in numbers.items()}
