"""The searches of a sweep as a report reads them: points, values, what they cost, confirmations. Plain data.

A searched trial was chosen by its value, so its value says less than that of a planned trial, and is never averaged.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from analysis.contract.question import Endpoint


class SearchDimension(NamedTuple):
    """One dimension: a range (along a logarithm or not), or a choice with its labels in order."""

    name: str
    kind: Literal["log", "uniform", "int", "choice"]
    labels: tuple[str, ...] = ()


class SearchValue(NamedTuple):
    """One value that a search has heard: of proposal `number`, at the rung of `step` steps, None if it has none.

    `cost` is the number of steps that this trial was trained for since its last value.
    """

    number: int
    rung: int
    step: int
    value: float | None
    end: str
    cost: int


class SearchPoint(NamedTuple):
    """One proposal: its point, its trial ("" if no trial can have it), and the earlier proposal that it doubles."""

    number: int
    params: Mapping[str, int | float | str]
    trial_id: str
    duplicate: int | None
    note: str


class Confirmed(NamedTuple):
    """A proposal that was trained again, with the trials of its fresh seeds. `current`: it is among the best now."""

    number: int
    trial_ids: tuple[str, ...]
    current: bool


@dataclass(frozen=True, kw_only=True)
class SearchFound:
    """One search: of a cell of the matrix with its `labels`, by one `seed`. `values` are in the order they were heard.

    `trials` is the number of proposals that it may make, `rungs` the lengths at which they are compared. `importance`
    has the share of each dimension in the spread of the values, empty if it was not computed.
    """

    search_id: str
    name: str
    labels: Mapping[str, str]
    seed: int
    sampler: str
    trials: int
    rungs: tuple[int, ...]
    factor: int
    better: Literal["higher", "lower"]
    metric: Endpoint
    dimensions: tuple[SearchDimension, ...]
    points: tuple[SearchPoint, ...]
    values: tuple[SearchValue, ...]
    confirmed: tuple[Confirmed, ...]
    importance: Mapping[str, float]
