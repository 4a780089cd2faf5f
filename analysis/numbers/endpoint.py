"""Reads a sweep's endpoint from each planned trial, or says why it has no value. Computes no statistics over seeds.

An evaluation counts if it is on the trial's schedule (a positive multiple of `eval_every`) or at the step that is read.
So a trial gives the same number whether it was trained in one go, stopped at a shorter target before, or was trained
further by another sweep. Every probe counts: the schedule of probes is part of a trial's identity.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

from analysis.contract.question import Endpoint, PlannedTrial
from analysis.contract.record import PROBES, Evaluation, TrialRecord
from analysis.numbers.bounds import FRACTION, Bounds
from analysis.numbers.probes import TITLES, Number, probe_number
from analysis.numbers.tidy import with_axes


class Unit(NamedTuple):
    """How a metric is printed: multiplied by `scale`, with `digits` decimals. `name` is "%", or "" for no unit."""

    scale: float
    digits: int
    name: str


PERCENT = Unit(100.0, 1, "%")
PLAIN = Unit(1.0, 3, "")


class Reading(NamedTuple):
    """A trial's endpoint in the metric's unit, or NaN with the reason; `evaluations` is the number averaged."""

    value: float
    reason: str
    evaluations: int


def endpoint_values(
    plan: Sequence[PlannedTrial], records: Mapping[str, TrialRecord], endpoint: Endpoint
) -> pd.DataFrame:
    """Return one row per planned trial and `at`.

    Columns: trial_id, cell, seed, one column per axis, at ("last" or the step as text, ordered), read_step, value
    (an accuracy as a fraction; NaN if there is none), reason ("" if there is a value), evaluations (number averaged).
    """
    rows, trials = [], []
    for at in endpoint.ats:
        for trial in plan:
            step = trial.target if at == "last" else at
            reading = read(trial, records.get(trial.trial_id), endpoint, step)
            rows.append((trial.trial_id, trial.cell, trial.seed, str(at), step, *reading))
            trials.append(trial)
    columns = ["trial_id", "cell", "seed", "at", "read_step", "value", "reason", "evaluations"]
    frame = with_axes(pd.DataFrame(rows, columns=columns), plan, trials)
    frame["at"] = pd.Categorical(frame["at"], categories=[str(at) for at in endpoint.ats], ordered=True)
    return frame


def read(trial: PlannedTrial, record: TrialRecord | None, endpoint: Endpoint, step: int) -> Reading:
    """Return the mean of the last `window` evaluations or probes, which end with the one at outer step `step`."""
    if record is None:
        return Reading(math.nan, "not run", 0)
    usable = measured(trial, record, endpoint, step)
    if not usable or usable[-1]["step"] != step:
        return Reading(math.nan, why_not(trial, record, _measurement(endpoint), step), 0)
    numbers = [number_of(trial, record, endpoint, entry) for entry in usable[-endpoint.window :]]
    for number in numbers:
        if number.reason:
            return Reading(math.nan, number.reason, 0)
    return Reading(math.fsum(number.value for number in numbers) / len(numbers), "", len(numbers))


def measured(trial: PlannedTrial, record: TrialRecord, endpoint: Endpoint, step: int) -> list[Mapping[str, Any]]:
    """Return the evaluations or probes that count for `endpoint` up to outer step `step`, in order of their steps."""
    usable: list[Mapping[str, Any]]
    if endpoint.metric in PROBES:  # every probe is on the schedule, which is part of the trial's identity
        usable = [probe for probe in record["probes"] if probe["step"] <= step]
    else:
        split = endpoint.metric.removesuffix("_accuracy")
        usable = [final for final in record.get("finals", []) if split == "final" and final["step"] == step]
        usable += [
            evaluation
            for evaluation in record["evaluations"]
            if evaluation["split"] == split and (evaluation["step"] == step or _scheduled(evaluation, trial, step))
        ]
    return sorted(usable, key=lambda entry: entry["step"])


def number_of(trial: PlannedTrial, record: TrialRecord, endpoint: Endpoint, entry: Mapping[str, Any]) -> Number:
    """Return the value of `endpoint` in one evaluation or probe of `measured`."""
    if endpoint.metric in PROBES:
        return probe_number(record, entry, endpoint.metric)
    head, steps = endpoint.scoring
    inner_step = trial.inner_steps if steps == "inner_steps" else steps
    scores = entry["accuracy"].get(head)
    if scores is None:
        return Number(math.nan, f"head {head} not scored")
    if inner_step >= len(scores) or scores[inner_step] is None:
        return Number(math.nan, f"inner step {inner_step} not scored")
    return Number(scores[inner_step], "")


def endpoint_sentence(endpoint: Endpoint) -> str:
    """Return the endpoint in words, without a full stop."""
    if endpoint.at == "last":
        at = "at the planned last outer step"
    else:
        at = f"at outer step {' and '.join(str(step) for step in endpoint.at)}"
    one, many = ("one probe", "probes") if endpoint.metric in PROBES else ("one evaluation", "evaluations")
    window = one if endpoint.window == 1 else f"mean of the last {endpoint.window} {many}"
    return f"{metric_sentence(endpoint)}, {at}, {window}"


def metric_sentence(endpoint: Endpoint) -> str:
    """Return the metric in words, without the outer step and without a full stop."""
    if endpoint.metric in PROBES:
        return TITLES[endpoint.metric].words
    if endpoint.steps == "inner_steps":
        steps = "as many inner steps as in training"
    else:
        steps = f"{endpoint.steps} inner step{'' if endpoint.steps == 1 else 's'}"
    head = "with the head zeroed before adaptation" if endpoint.head == "zeroed" else "with the head as trained"
    return f"{endpoint.metric.removesuffix('_accuracy').capitalize()} accuracy after {steps} {head}"


def unit_of(endpoint: Endpoint) -> Unit:
    """Return the unit in which the endpoint is printed: percent for a fraction."""
    return PERCENT if endpoint.metric not in PROBES or TITLES[endpoint.metric].scale == PERCENT.scale else PLAIN


def in_unit(value: float, unit: Unit) -> str:
    """Return `value` as it is printed, with its unit."""
    return f"{unit.scale * value:.{unit.digits}f}{f' {unit.name}' if unit.name else ''}"


def axis_title(endpoint: Endpoint) -> tuple[str, float]:
    """Return the title with unit of an axis that shows the endpoint, and the factor from values to that unit."""
    if endpoint.metric in PROBES:
        return TITLES[endpoint.metric].axis, TITLES[endpoint.metric].scale
    return f"{endpoint.metric.removesuffix('_accuracy')} accuracy (%)", 100.0


def bounds_of(endpoint: Endpoint) -> Bounds:
    """Return the bounds of the endpoint's metric, in the metric's unit."""
    return TITLES[endpoint.metric].bounds if endpoint.metric in PROBES else FRACTION


def why_not(trial: PlannedTrial, record: TrialRecord | None, what: str, step: int) -> str:
    """Return why a trial has no `what` ("evaluation", "final pass" or "probe") at outer step `step`."""
    if record is None:
        return "not run"
    reached = record["step"]
    if record["status"] == "running":
        return f"running at step {reached} of {trial.target}"
    if record["status"] == "failed":
        return "failed"
    if reached >= step:
        return f"no {what} at step {step}"
    if record["status"] == "done":
        return f"trained to step {reached} of {step}"
    return f"{record['status']} at step {reached}"


def _measurement(endpoint: Endpoint) -> str:
    if endpoint.metric in PROBES:
        return "probe"
    return "final pass" if endpoint.metric == "final_accuracy" else "evaluation"


def _scheduled(evaluation: Evaluation, trial: PlannedTrial, step: int) -> bool:
    return trial.eval_every > 0 and 0 < evaluation["step"] < step and evaluation["step"] % trial.eval_every == 0
