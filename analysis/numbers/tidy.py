"""A sweep's axes as columns of a tidy frame: ordered categories, with labels in the order of the plan."""

from collections.abc import Collection, Sequence

import pandas as pd

from analysis.contract.question import PlannedTrial

RESERVED = frozenset(
    (
        "trial_id",
        "cell",
        "seed",
        "at",
        "read_step",
        "value",
        "reason",
        "evaluations",
        "n",
        "planned",
        "mean",
        "sd",
        "low",
        "high",
        "seeds",
        "values",
        "missing",
        "contrast",
        "difference",
        "p",
    )
)
"""Column names of the frames and CSV files of this package."""


def axis_column(axis: str, taken: Collection[str] = RESERVED) -> str:
    """Return the column for an axis's labels: the axis's name, or e.g. `value (axis)` if the name is in `taken`."""
    return f"{axis} (axis)" if axis in taken else axis


def axis_labels(plan: Sequence[PlannedTrial]) -> dict[str, tuple[str, ...]]:
    """Return the labels of every axis, in the order of their first use in the plan."""
    return {axis: tuple(dict.fromkeys(trial.labels[axis] for trial in plan)) for axis in plan[0].labels}


def with_axes(frame: pd.DataFrame, plan: Sequence[PlannedTrial], rows: Sequence[PlannedTrial]) -> pd.DataFrame:
    """Return `frame` with one categorical column per axis after `seed`; `rows[i]` is the trial of row i."""
    frame = frame.copy()
    position = frame.columns.get_loc("seed") + 1
    for offset, (axis, labels) in enumerate(axis_labels(plan).items()):
        column = pd.Categorical([trial.labels[axis] for trial in rows], categories=labels, ordered=True)
        frame.insert(position + offset, axis_column(axis), column)
    return frame
