"""Reads a sweep's endpoint from each planned trial, or says why it has no value. Computes no statistics over seeds.

`analysis.numbers.measurements` says which measurements of a record count.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import pandas as pd

from analysis.contract.question import BEST_VAL, Endpoint, PlannedTrial, Word
from analysis.contract.record import TrialRecord
from analysis.numbers.bounds import Bounds
from analysis.numbers.measurements import measured, measurement_of, number_of
from analysis.numbers.tidy import with_axes

DIGITS = 4  # significant digits of the largest value of a metric that is no fraction in percent
MOST_DECIMALS = 12


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

    Columns: trial_id, cell, seed, one column per axis, at ("last", "best val" or the step as text, ordered), read_step,
    value (a percentage as a fraction; NaN if there is none), reason ("" if there is a value), evaluations (number
    averaged).
    """
    rows, trials = [], []
    for at in endpoint.ats:
        for trial in plan:
            record = records.get(trial.trial_id)
            reading = read(trial, record, endpoint, at)
            step = step_read(trial, record, endpoint, at)
            rows.append((trial.trial_id, trial.cell, trial.seed, str(at), step, *reading))
            trials.append(trial)
    columns = ["trial_id", "cell", "seed", "at", "read_step", "value", "reason", "evaluations"]
    frame = with_axes(pd.DataFrame(rows, columns=columns), plan, trials)
    frame["at"] = pd.Categorical(frame["at"], categories=[str(at) for at in endpoint.ats], ordered=True)
    return frame


def step_read(trial: PlannedTrial, record: TrialRecord | None, endpoint: Endpoint, at: int | Word) -> int:
    """Return the step at which `at` is read: "last" is the trial's target or, without a length, where it ended.

    "best val" is the first step with the best validation up to there; its end, if validation was never measured.
    """
    if isinstance(at, int):
        return at
    end = trial.target or (0 if record is None else record["step"])
    validation = endpoint.of_trainer(trial.trainer).validation
    if at == "last" or record is None or validation is None:
        return end
    scored = [
        (number.value, entry["step"])
        for entry in measured(trial, record, validation, end)
        if not (number := number_of(trial, record, validation, entry)).reason
    ]
    sign = -1.0 if validation.declared.better == "lower" else 1.0
    return max(scored, key=lambda one: (sign * one[0], -one[1]), default=(0.0, end))[1]


def read(trial: PlannedTrial, record: TrialRecord | None, endpoint: Endpoint, at: int | Word) -> Reading:
    """Return the mean of the last `window` measurements up to `at`.

    A number of MAML needs a measurement at that step. Any other needs a trial that has completed that step.
    """
    if record is None:
        return Reading(math.nan, "not run", 0)
    endpoint = endpoint.of_trainer(trial.trainer)
    if at == BEST_VAL and endpoint.validation is not None:
        validated = read(trial, record, endpoint.validation, "last")
        if validated.reason:
            return Reading(math.nan, f"validation: {validated.reason}", 0)
    how, step = measurement_of(endpoint), step_read(trial, record, endpoint, at)
    usable = measured(trial, record, endpoint, step)
    there = bool(usable) and usable[-1]["step"] == step
    if not there and not how.exact and at != BEST_VAL:
        there = bool(usable) and _passed(record, step)
    if at == "last" and trial.target == 0:
        there = there and record["status"] == "done"
    if not there:
        why = why_not(trial, record, how.absent, step) if how.exact else _why_no_reading(trial, record, endpoint, step)
        return Reading(math.nan, why, 0)
    numbers = [number_of(trial, record, endpoint, entry) for entry in usable[-endpoint.window :]]
    for number in numbers:
        if number.reason:
            return Reading(math.nan, number.reason, 0)
    return Reading(math.fsum(number.value for number in numbers) / len(numbers), "", len(numbers))


def endpoint_sentence(endpoint: Endpoint) -> str:
    """Return the endpoint in words, without a full stop."""
    how = measurement_of(endpoint)
    if endpoint.at == BEST_VAL:
        at = f"at the first {how.step} with the best validation up to the planned end"
    elif endpoint.at != "last":
        at = f"at {how.step} {' and '.join(str(step) for step in endpoint.at)}"
    else:
        at = "at the planned last outer step" if how.exact else "at the last step"
    window = how.one if endpoint.window == 1 else f"mean of the last {endpoint.window} {how.many}"
    return f"{metric_sentence(endpoint)}, {at}, {window}"


def metric_sentence(endpoint: Endpoint) -> str:
    """Return the metric in words, without the step and without a full stop.

    Where trainers are read differently, each of the sentences is followed by its trainers.
    """
    if endpoint.by_trainer:
        readers: dict[Endpoint, list[str]] = {}
        for name, one in endpoint.by_trainer:
            readers.setdefault(one, []).append(name)
        return "; ".join(f"{metric_sentence(one)} ({', '.join(names)})" for one, names in readers.items())
    words = endpoint.declared.words
    if endpoint.declared.measured == "probes":
        return words
    if endpoint.declared.measured == "readings":
        return f"{words[:1].upper()}{words[1:]}{_coordinates(endpoint)}"
    head, given = endpoint.scoring
    if given == "inner_steps":
        steps = "as many inner steps as in training"
    else:
        steps = f"{given} inner step{'' if given == 1 else 's'}"
    adapted = "with the head zeroed before adaptation" if head == "zeroed" else "with the head as trained"
    return f"{words} after {steps} {adapted}"


def unit_of(endpoint: Endpoint, values: Iterable[float] = ()) -> Unit:
    """Return the unit in which the endpoint is printed: percent for a fraction.

    For readings in another unit, the largest of `values` has at least `DIGITS` digits that count.
    """
    declared = endpoint.declared
    if declared.unit == PERCENT.name:
        return PERCENT
    plain = PLAIN._replace(name=declared.unit)
    largest = max((abs(value) for value in values if math.isfinite(value)), default=0.0)
    if declared.measured != "readings" or not largest:
        return plain
    decimals = DIGITS - 1 - math.floor(math.log10(largest))
    return plain._replace(digits=min(max(decimals, 0), MOST_DECIMALS))


def in_unit(value: float, unit: Unit) -> str:
    """Return `value` as it is printed, with its unit."""
    return f"{unit.scale * value:.{unit.digits}f}{f' {unit.name}' if unit.name else ''}"


def axis_title(endpoint: Endpoint) -> str:
    """Return the title with unit of an axis that shows the endpoint."""
    if endpoint.by_trainer:
        return " or ".join(dict.fromkeys(map(axis_title, endpoint.each)))
    unit = endpoint.declared.unit
    return endpoint.declared.axis or f"{endpoint.declared.words}{_coordinates(endpoint)}{f' ({unit})' if unit else ''}"


def _coordinates(endpoint: Endpoint) -> str:
    return "".join(f", {name.replace('_', ' ')} {value}" for name, value in endpoint.coordinates)


def bounds_of(endpoint: Endpoint) -> Bounds:
    """Return the bounds of the endpoint's metric, as measured; the widest where trainers have several."""
    every = [one.declared for one in endpoint.each]
    return Bounds(min(one.least for one in every), max(one.most for one in every))


def why_not(trial: PlannedTrial, record: TrialRecord | None, what: str, step: int, at: str = "at") -> str:
    """Return why a trial has no `what` ("evaluation", "final pass", "probe", "reading of loss") `at` step `step`."""
    if record is None:
        return "not run"
    reached = record["step"]
    if record["status"] == "running":
        return f"running at step {reached}{f' of {trial.target}' if trial.target else ''}"
    if record["status"] == "failed":
        return "failed"
    if reached >= step:
        return f"no {what} {at} step {step}"
    if record["status"] == "done":
        return f"trained to step {reached} of {step}"
    return f"{record['status']} at step {reached}"


def _passed(record: TrialRecord, step: int) -> bool:
    """Return whether a trial can't measure again at or before `step`."""
    return record["step"] > step or record["done_step"] >= step > 0


def _why_no_reading(trial: PlannedTrial, record: TrialRecord, endpoint: Endpoint, step: int) -> str:
    if record["status"] in ("diverged", "interrupted") and record["step"] == step:
        return f"{record['status']} at step {step}"
    return why_not(trial, record, f"reading of {endpoint.name}", step, "at or before")
