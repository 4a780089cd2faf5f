"""The points of a search as cells of its grid, and examples of valid ones. Proposes none."""

import random
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

from pydantic import BaseModel

from sweeper.planning.grid import Cell, Grid
from sweeper.sweepfile.axes import Setting
from sweeper.sweepfile.search_key import Confirm, SearchSpec
from sweeper.sweepfile.search_metric import BOTH_SPLITS, SPLIT_FIELD
from sweeper.sweepfile.space import Dimension, Param
from trainers.trainer import ConfigError

Params = Mapping[str, Param]
TRIES = 1000
"""Random points that are tried before a space counts as one that no trial satisfies."""
EXAMPLES = 64


def space_of(spec: SearchSpec, cell: Cell) -> tuple[Dimension, ...]:
    """Return the dimensions that are searched in a cell of the matrix: those without a condition that fails there."""
    without = {name for name, condition in spec.conditions.items() if not condition.holds(cell.labels)}
    return tuple(dimension for dimension in spec.space if dimension.name not in without)


def cell_at(grid: Grid, spec: SearchSpec, cell: Cell, params: Params) -> Cell:
    """Return the cell of the matrix with the settings of a point. Raises ValueError for one outside the space."""
    searched = space_of(spec, cell)
    chosen = tuple(
        dimension.chosen(params[dimension.name]) if dimension in searched else spec.conditions[dimension.name].absent()
        for dimension in spec.space
    )
    return grid.cell((*cell.choice, *chosen))


def confirming(confirm: Confirm, cell: Cell) -> Mapping[str, Setting]:
    """Return what a confirmation sets beside the values of its point. A metric of several splits may have both."""
    trainer, present = cell.found.trainer.name, cell.setting(SPLIT_FIELD)
    several = "split" in dict(confirm.endpoint.of_trainer(trainer).coordinates)
    if several and present is not None and present.value in (confirm.on, BOTH_SPLITS):
        return {}
    return confirm.settings.get(trainer, {})


def first_point(spec: SearchSpec, cell: Cell) -> Params:
    """Return the point at the low end of every dimension."""
    (first,) = islice(_points(space_of(spec, cell)), 1)
    return first


def examples_of(grid: Grid, spec: SearchSpec, cell: Cell) -> list[tuple[Cell, BaseModel]]:
    """Return valid points of a cell with their configs: at most EXAMPLES, at least one if any is found."""
    found: list[tuple[Cell, BaseModel]] = []
    space = space_of(spec, cell)
    fixed = sum(len(dimension.examples()) for dimension in space) + 2
    for number, params in enumerate(_points(space)):
        if len(found) >= EXAMPLES or (found and number >= fixed):
            break
        at = cell_at(grid, spec, cell, params)
        try:
            found.append((at, cell.found.trainer.resolve(at.values())))
        except ConfigError:
            continue
    return found


def _points(space: Sequence[Dimension]) -> Iterator[dict[str, Param]]:
    """Yield points in a fixed order: ends, then each value of each dimension, then random ones."""
    ends = {dimension.name: dimension.examples() for dimension in space}
    low = {name: values[0] for name, values in ends.items()}
    yield low
    yield {name: values[-1] for name, values in ends.items()}
    for name, values in ends.items():
        for value in values[1:]:
            yield low | {name: value}
    for number in range(TRIES):
        draws = random.Random(f"example {number}")
        yield {dimension.name: dimension.at(draws.random()) for dimension in space}
