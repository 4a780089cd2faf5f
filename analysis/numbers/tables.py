"""Tables of endpoint values: the cells, their statistics, and the text of each cell. Writes no markup.

Numbers stay in the metric's unit; only `text` converts to percent. A cell and its note name every planned seed without
a value, so a mean over fewer seeds than planned is always visible as one.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, get_args

import pandas as pd

from analysis.contract.question import TableSpec, Word
from analysis.errors import AnalysisError
from analysis.numbers.endpoint import PERCENT, Unit
from analysis.numbers.measurements import EVALUATIONS, Measurement
from analysis.numbers.stats import SEEDS_FOR_INTERVAL, Paired, Summary, paired, summary
from analysis.numbers.tidy import axis_column

MINUS = " - "


class Missing(NamedTuple):
    """A planned seed of a cell that has no value, and why."""

    trial_id: str
    seed: int
    reason: str


@dataclass(frozen=True, kw_only=True)
class Cell:
    """All planned seeds of one grid point at one `at`. `evaluations` is the smallest number that a value averages.

    `step` is what the trainer calls a step.
    """

    unit: Unit
    step: str
    at: str
    labels: Mapping[str, str]
    planned: int
    values: Mapping[int, float]
    missing: tuple[Missing, ...]
    evaluations: int

    @property
    def summary(self) -> Summary:
        """Statistics over the seeds that have a value."""
        return summary(list(self.values.values()))

    def text(self) -> str:
        """Return e.g. `83.4 ± 1.2 (2 of 3)`: mean in `unit`, half the interval, and seeds if some are missing."""
        stats = self.summary
        seeds = "" if stats.n == self.planned else f" ({stats.n} of {self.planned})"
        if stats.n == 0:
            return f"-{seeds}"
        scale, digits, _ = self.unit
        half = "" if math.isnan(stats.half_width) else f" ± {scale * stats.half_width:.{digits}f}"
        return f"{scale * stats.mean:.{digits}f}{half}{seeds}"


@dataclass(frozen=True, kw_only=True)
class Difference:
    """The difference, paired by seed, of two cells that differ in one axis."""

    unit: Unit
    at: str
    labels: Mapping[str, str]
    contrast: str
    paired: Paired

    def text(self) -> str:
        """Return e.g. `+3.1 ± 0.8 (n = 4)`: mean in `unit`, half the interval, and the number of common seeds."""
        n = len(self.paired.seeds)
        if n == 0:
            return "- (n = 0)"
        scale, digits, _ = self.unit
        half = "" if n < SEEDS_FOR_INTERVAL else f" ± {scale * (self.paired.high - self.paired.low) / 2:.{digits}f}"
        return f"{scale * self.paired.mean:+.{digits}f}{half} (n = {n})"


@dataclass(frozen=True, kw_only=True)
class Table:
    """A grid of cells: one row per combination of `row_axes`, one column per label of `column_axis`.

    A place of the grid that the sweep doesn't plan has no entry in `cells`. `notes` and `missing` are sentences to
    print below the grid; `missing` has one for each cell that lacks seeds.
    """

    caption: str
    row_axes: tuple[str, ...]
    column_axis: str
    rows: tuple[tuple[str, ...], ...]
    columns: tuple[str, ...]
    cells: Mapping[tuple[tuple[str, ...], str], Cell | Difference]
    notes: tuple[str, ...]
    missing: tuple[str, ...]


def cells(
    values: pd.DataFrame,
    axes: Sequence[str],
    keys: Sequence[str],
    unit: Unit = PERCENT,
    step: str = EVALUATIONS.step,
) -> dict[tuple[str, ...], Cell]:
    """Return the cells of `endpoint_values`, keyed by `at` and the labels of the axes `keys`, in the order of the grid.

    Raises AnalysisError if a cell would hold a seed twice: it would average over an axis that `keys` leaves out.
    """
    order = ["at", *map(axis_column, keys)]
    grouped: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for row in values.sort_values(order, kind="stable").to_dict("records"):
        grouped.setdefault(tuple(row[column] for column in order), []).append(row)
    return {key: _cell(rows, axes, keys, unit, step) for key, rows in grouped.items()}


def table(
    values: pd.DataFrame,
    axes: Sequence[str],
    spec: TableSpec,
    caption: str,
    window: int,
    unit: Unit = PERCENT,
    how: Measurement = EVALUATIONS,
) -> Table:
    """Return the table of `spec` over `endpoint_values`; several steps become the first row axis."""
    by_key = cells(values, axes, (*spec.rows, spec.columns), unit, how.step)
    notes = _notes(list(by_key.values()), window, how.many)
    return _grid(caption, spec.rows, spec.columns, by_key, values, notes, how.step)


def contrast(
    values: pd.DataFrame,
    axes: Sequence[str],
    spec: TableSpec,
    axis: str,
    unit: Unit = PERCENT,
    step: str = EVALUATIONS.step,
) -> Table:
    """Return the table of `spec` in which the two labels of row axis `axis` become one difference, paired by seed.

    The difference is the value of the second label minus that of the first.
    """
    rows = tuple(name for name in spec.rows if name != axis)
    first, second = values[axis_column(axis)].cat.categories
    by_key = cells(values, axes, (*rows, spec.columns, axis), unit, step)
    differences = {}
    for key, cell in by_key.items():
        other = by_key.get((*key[:-1], second))
        if key[-1] == first and other is not None:
            labels = {name: label for name, label in cell.labels.items() if name != axis}
            differences[key[:-1]] = Difference(
                unit=unit,
                at=cell.at,
                labels=labels,
                contrast=f"{second}{MINUS}{first}",
                paired=paired(other.values, cell.values),
            )
    points = "percentage points, " if unit == PERCENT else f"in {unit.name}, " if unit.name else ""
    caption = f"{axis.replace('_', ' ')}: {second}{MINUS}{first}, {points}paired by seed"
    notes = ("± is half the 95 % t-interval over common seeds. Intervals are not adjusted for their number.",)
    return _grid(caption, rows, spec.columns, differences, values, notes, step)


def where(cell: Cell) -> str:
    """Return the grid point of a cell in words."""
    step = [] if cell.at in get_args(Word) else [f"{cell.step} {cell.at}"]
    return ", ".join([*step, *(f"{axis.replace('_', ' ')} {label}" for axis, label in cell.labels.items())])


def _cell(rows: list[dict[str, Any]], axes: Sequence[str], keys: Sequence[str], unit: Unit, step: str) -> Cell:
    seeds = [row["seed"] for row in rows]
    labels = {axis: rows[0][axis_column(axis)] for axis in axes}
    if len(seeds) > len(set(seeds)):
        free = [axis for axis in axes if len({row[axis_column(axis)] for row in rows}) > 1]
        raise AnalysisError(
            f"A table or figure over {', '.join(keys)} would average over {', '.join(free)}; name that axis in rows, "
            "columns, hue or facets, or give it one value"
        )
    read = [row for row in rows if not row["reason"]]
    return Cell(
        unit=unit,
        step=step,
        at=rows[0]["at"],
        labels=labels,
        planned=len(rows),
        values={row["seed"]: row["value"] for row in read},
        missing=tuple(Missing(row["trial_id"], row["seed"], row["reason"]) for row in rows if row["reason"]),
        evaluations=min((row["evaluations"] for row in read), default=0),
    )


def _grid(
    caption: str,
    row_axes: tuple[str, ...],
    column_axis: str,
    by_key: Mapping[tuple[str, ...], Cell | Difference],
    values: pd.DataFrame,
    notes: tuple[str, ...],
    step: str,
) -> Table:
    several = len(values["at"].cat.categories) > 1
    start = 0 if several else 1
    return Table(
        caption=caption,
        row_axes=(step, *row_axes) if several else row_axes,
        column_axis=column_axis,
        rows=tuple(dict.fromkeys(key[start:-1] for key in by_key)),
        columns=tuple(values[axis_column(column_axis)].cat.categories),
        cells={(key[start:-1], key[-1]): cell for key, cell in by_key.items()},
        notes=notes,
        missing=tuple(_missing(cell) for cell in by_key.values() if isinstance(cell, Cell) and cell.missing),
    )


def _notes(found: Sequence[Cell], window: int, measurements: str) -> tuple[str, ...]:
    planned = sorted({cell.planned for cell in found})
    seeds = str(planned[0]) if len(planned) == 1 else f"{planned[0]} to {planned[-1]}"
    unit = found[0].unit
    percent = "Percent; " if unit == PERCENT else f"In {unit.name}; " if unit.name else ""
    notes = [
        f"{percent}± is half the 95 % t-interval over seeds ({seeds} planned per cell; no interval below three seeds)."
    ]
    short = [cell.evaluations for cell in found if 0 < cell.evaluations < window]
    if short:
        notes.append(
            f"{len(short)} of {len(found)} cells average fewer {measurements} than the window of {window}; the fewest "
            f"is {min(short)}."
        )
    return tuple(notes)


def _missing(cell: Cell) -> str:
    seeds = "; ".join(f"seed {miss.seed} ({miss.trial_id[:12]}) {miss.reason}" for miss in cell.missing)
    return f"{where(cell)}: {seeds}."
