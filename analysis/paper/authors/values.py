"""The authors' measurements, one row per cell, seed, head, number of inner steps and outer step.

And the curves they drew, one row per printed point.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from analysis.paper.authors.families import AXES, FAMILIES, LABELS, SOURCES, Source, Steps
from analysis.paper.authors.figures import LEGENDS, Figure
from analysis.paper.authors.raw import Run, runs
from analysis.paper.authors.smoothing import RAW, mixed, smoothed

WINDOW = 5


def outer_steps(run: Run) -> np.ndarray:
    """Return the outer steps (evaluations,) at which the run was evaluated, counted as ours."""
    return run.updates - FAMILIES[run.family].counted_from


def values(raw: pd.DataFrame, sweep: str) -> pd.DataFrame:
    """Return the sweep's measured accuracies, sorted.

    Columns: one per axis, seed, test_head, test_steps, outer_step (as asked for), updates (at the evaluation that is
    read, the last at or before outer_step), as_drawn_x (its place in the figure), value (mean of the last 5
    evaluations), evaluations (number averaged, without step 0, so fewer near the start), single (the last evaluation),
    centred (mean of the 5 around the nearest one; NaN if there are fewer), rule (see `tables.rules`).
    """
    axes = AXES[sweep]
    rows = [row for source in SOURCES[sweep] for run in of_source(raw, source) for row in _read(run, source, axes)]
    return ordered(pd.DataFrame(rows), [*axes, "test_head", "test_steps", "outer_step", "seed"])


def of_source(raw: pd.DataFrame, source: Source) -> list[Run]:
    """Return the runs that `source` names."""
    found = runs(raw, source.family)
    return [run for run in found if all(run.labels[axis] in labels for axis, labels in source.where.items())]


def _read(run: Run, source: Source, axes: Sequence[str]) -> Iterator[dict[str, object]]:
    at, family = outer_steps(run), FAMILIES[run.family]
    for test_steps in dict.fromkeys(_test_steps(run, steps) for steps in source.test_steps):
        curve = run.accuracy[:, test_steps]
        for step in source.outer_steps:
            if step > at[-1]:
                continue
            index = int(np.searchsorted(at, step, side="right")) - 1
            first = int(np.searchsorted(at, family.eval_every))  # our endpoints leave out the untrained model too
            last = curve[max(first, index - WINDOW + 1) : index + 1]
            nearest = int(np.abs(run.updates - step).argmin())
            around = curve[max(first, nearest - WINDOW // 2) : nearest + WINDOW // 2 + 1]
            yield {
                **{axis: run.labels[axis] for axis in axes},
                "seed": run.seed,
                "test_head": run.head,
                "test_steps": test_steps,
                "outer_step": step,
                "updates": run.updates[index],
                "as_drawn_x": index * family.x_spacing,
                "value": last.mean(),
                "evaluations": len(last),
                "single": last[-1],
                "centred": around.mean() if len(around) == WINDOW else np.nan,
                "rule": source.rule,
            }


class DrawnCurve(NamedTuple):
    """One curve of a figure: `cell` are its columns in a table, `x` is the printed place of each `drawn` point.

    `mean` is the accuracy of each evaluation before smoothing, averaged over seeds; for a figure that mixes two heads
    it has two rows, trained and zeroed. `outer_step` is the true step of each drawn point.
    """

    cell: Mapping[str, object]
    x: np.ndarray
    outer_step: np.ndarray
    mean: np.ndarray
    drawn: np.ndarray


def curves(raw: pd.DataFrame, figure: Figure) -> list[DrawnCurve]:
    """Return the figure's curves."""
    drawn = [run for run in runs(raw, figure.family) if figure.token in run.figures]
    found = []
    for head in figure.heads:
        cells: dict[tuple[str, ...], list[Run]] = {}
        for run in drawn:
            if run.head == head:
                cells.setdefault(tuple(run.labels[axis] for axis in AXES[figure.sweep]), []).append(run)
        found += [_curve(figure, cell, drawn) for cell in cells.values()]
    return found


def _curve(figure: Figure, cell: Sequence[Run], every: Sequence[Run]) -> DrawnCurve:
    """Return the curve of the runs in `cell`, tested with one head; `every` also has their tests with the other."""
    one = min(cell, key=lambda run: len(run.updates))  # in Fig. 5, a run with the spacing of most seeds
    rows = figure.rows or len(one.updates)
    steps = _test_steps(one, figure.test_steps)
    mean = _mean(cell, rows, steps)
    if figure.mixed:
        trained, zeroed = (
            _mean([run for run in every if run.head == head and run.labels == one.labels], rows, steps)
            for head in ("trained", "zeroed")
        )
        points = mixed(trained, zeroed, figure.width)[one.head == "zeroed"]
        mean = np.stack([trained, zeroed])
    else:
        points = smoothed(mean, figure.width)
    return DrawnCurve(
        cell={
            "figure": figure.name,
            **{axis: one.labels[axis] for axis in AXES[figure.sweep]},
            "test_head": one.head,
            "test_steps": steps,
            "n": len(cell),
            "legend": LEGENDS.get((figure.name, one.labels["arm"], one.labels["order"]), ""),
        },
        x=np.arange(len(points)) * FAMILIES[one.family].x_spacing,
        outer_step=outer_steps(one)[: len(points)],
        mean=mean,
        drawn=points,
    )


def plotted(raw: pd.DataFrame, figure: Figure) -> pd.DataFrame:
    """Return points of the figure's curves, sorted: the first 5, every second up to the 20th, every fifth, the last.

    Columns: figure, one per axis, test_head, test_steps, n, legend, x, outer_step, value.
    """
    rows = []
    for curve in curves(raw, figure):
        last = len(curve.x) - 1
        kept = sorted({*range(RAW), *range(RAW + 1, 20, 2), *range(20, last + 1, 5), last})
        rows += [
            {**curve.cell, "x": curve.x[at], "outer_step": curve.outer_step[at], "value": curve.drawn[at]}
            for at in kept
        ]
    return ordered(pd.DataFrame(rows), ["figure", *AXES[figure.sweep], "test_head", "x"])


def _mean(cell: Sequence[Run], rows: int, steps: int) -> np.ndarray:
    """Return the mean over seeds of each evaluation by its index, even if outer steps differ between seeds."""
    return np.mean([run.accuracy[:rows, steps] for run in cell], axis=0)


def _test_steps(run: Run, steps: Steps) -> int:
    return int(run.labels["inner_steps"]) if steps == "inner_steps" else steps


def ordered(frame: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Return the rows sorted; labels are in the order of `LABELS`."""
    ranked = {axis: {label: rank for rank, label in enumerate(LABELS[axis])} for axis in by if axis in LABELS}
    found = frame.sort_values(
        by, kind="stable", key=lambda column: column.map(ranked[column.name]) if column.name in ranked else column
    )
    return found.reset_index(drop=True)
