"""Plan and records -> tidy frames: one row is one number measured. No statistics, no reading.

A sweep's axes become ordered categorical columns, their labels in the order of the plan.
"""

from collections.abc import Mapping, Sequence

import pandas as pd

from sweeper.schema import Head, PlannedTrial, TrialRecord

HEADS: tuple[Head, ...] = ("trained", "zeroed")
RESERVED = frozenset(
    (
        "trial_id",
        "cell",
        "seed",
        "split",
        "outer_step",
        "head",
        "inner_step",
        "accuracy",
        "episodes",
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


def axis_column(axis: str) -> str:
    """Return the column that holds an axis's labels: its name, or `head (axis)` where `head` is a column of ours."""
    return f"{axis} (axis)" if axis in RESERVED else axis


def axis_labels(plan: Sequence[PlannedTrial]) -> dict[str, tuple[str, ...]]:
    """Return the labels of every axis in the order in which the plan names them first."""
    return {axis: tuple(dict.fromkeys(trial.labels[axis] for trial in plan)) for axis in plan[0].labels}


def with_axes(frame: pd.DataFrame, plan: Sequence[PlannedTrial], rows: Sequence[PlannedTrial]) -> pd.DataFrame:
    """Return `frame` with one categorical column an axis after `seed`; `rows[i]` is the trial of row i."""
    frame = frame.copy()
    position = frame.columns.get_loc("seed") + 1
    for offset, (axis, labels) in enumerate(axis_labels(plan).items()):
        column = pd.Categorical([trial.labels[axis] for trial in rows], categories=labels, ordered=True)
        frame.insert(position + offset, axis_column(axis), column)
    return frame


def tidy(plan: Sequence[PlannedTrial], records: Mapping[str, TrialRecord]) -> pd.DataFrame:
    """Return every accuracy of the planned trials that have a record.

    Columns: trial_id, cell, seed, one an axis, split, outer_step, head, inner_step, accuracy (fraction of the query
    images of `episodes` episodes), episodes. Rows are in the order of plan, outer step, head, inner step.
    """
    rows, trials = [], []
    for trial in plan:
        if trial.trial_id not in records:
            continue
        for evaluation in sorted(records[trial.trial_id]["evaluations"], key=lambda found: found["step"]):
            where = (trial.trial_id, trial.cell, trial.seed, evaluation["split"], evaluation["step"])
            for head in HEADS:
                for inner_step, accuracy in enumerate(evaluation["accuracy"][head]):
                    rows.append((*where, head, inner_step, accuracy, evaluation["episodes"]))
                    trials.append(trial)
    columns = ["trial_id", "cell", "seed", "split", "outer_step", "head", "inner_step", "accuracy", "episodes"]
    return with_axes(pd.DataFrame(rows, columns=columns), plan, trials)
