"""The number a sweep is about, read from each planned trial, or the reason why there is none.

An evaluation counts if it is on the trial's schedule (a positive multiple of `eval_every`) or is the one at the step
that is read. So a trial that another sweep trained further, or that once stopped at a shorter target, gives the same
number as one trained in one go.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pandas as pd

from analysis.tidy import with_axes
from sweeper.schema import Endpoint, Evaluation, PlannedTrial, TrialRecord


class Reading(NamedTuple):
    """A trial's endpoint: a fraction, or NaN with the reason; `evaluations` is how many were averaged."""

    value: float
    reason: str
    evaluations: int


def endpoint_values(
    plan: Sequence[PlannedTrial], records: Mapping[str, TrialRecord], endpoint: Endpoint
) -> pd.DataFrame:
    """Return one row per planned trial and `at`.

    Columns: trial_id, cell, seed, one an axis, at ("last" or the step as text, ordered), read_step, value (fraction,
    NaN if there is none), reason ("" where there is a value), evaluations (number averaged).
    """
    ats = ("last",) if endpoint.at == "last" else endpoint.at
    rows, trials = [], []
    for at in ats:
        for trial in plan:
            step = trial.target if at == "last" else int(at)
            reading = read(trial, records.get(trial.trial_id), endpoint, step)
            rows.append((trial.trial_id, trial.cell, trial.seed, str(at), step, *reading))
            trials.append(trial)
    columns = ["trial_id", "cell", "seed", "at", "read_step", "value", "reason", "evaluations"]
    frame = with_axes(pd.DataFrame(rows, columns=columns), plan, trials)
    frame["at"] = pd.Categorical(frame["at"], categories=[str(at) for at in ats], ordered=True)
    return frame


def read(trial: PlannedTrial, record: TrialRecord | None, endpoint: Endpoint, step: int) -> Reading:
    """Return the mean of the last `window` evaluations at or before outer step `step`, itself included."""
    if record is None:
        return Reading(math.nan, "not run", 0)
    split = endpoint.metric.removesuffix("_accuracy")
    usable = [
        evaluation
        for evaluation in sorted(record["evaluations"], key=lambda found: found["step"])
        if evaluation["split"] == split and (evaluation["step"] == step or _scheduled(evaluation, trial, step))
    ]
    if not usable or usable[-1]["step"] != step:
        return Reading(math.nan, _why_not(trial, record, step), 0)
    inner_step = trial.inner_steps if endpoint.steps == "inner_steps" else endpoint.steps
    scores = [evaluation["accuracy"][endpoint.head] for evaluation in usable[-endpoint.window :]]
    if any(inner_step >= len(score) for score in scores):
        return Reading(math.nan, f"inner step {inner_step} not scored", 0)
    return Reading(math.fsum(score[inner_step] for score in scores) / len(scores), "", len(scores))


def endpoint_sentence(endpoint: Endpoint) -> str:
    """Return in words what the endpoint is, without full stop."""
    split = endpoint.metric.removesuffix("_accuracy")
    if endpoint.steps == "inner_steps":
        steps = "as many inner steps as in training"
    else:
        steps = f"{endpoint.steps} inner step{'' if endpoint.steps == 1 else 's'}"
    head = "the head set to zero before adaptation" if endpoint.head == "zeroed" else "the head as trained"
    if endpoint.at == "last":
        at = "at the planned last outer step"
    else:
        at = f"at outer step {' and '.join(str(step) for step in endpoint.at)}"
    window = "one evaluation" if endpoint.window == 1 else f"mean of the last {endpoint.window} evaluations"
    return f"{split.capitalize()} accuracy after {steps}, {head}, {at}, {window}"


def _scheduled(evaluation: Evaluation, trial: PlannedTrial, step: int) -> bool:
    return trial.eval_every > 0 and 0 < evaluation["step"] < step and evaluation["step"] % trial.eval_every == 0


def _why_not(trial: PlannedTrial, record: TrialRecord, step: int) -> str:
    reached = record["step"]
    if record["status"] == "running":
        return f"running at step {reached} of {trial.target}"
    if record["status"] == "failed":
        return "failed"
    if reached >= step:
        return f"no evaluation at step {step}"
    if record["status"] == "done":
        return f"trained to step {reached} of {step}"
    return f"{record['status']} at step {reached}"
