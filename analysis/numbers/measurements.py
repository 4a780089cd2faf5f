"""The measurements of a record that count for an endpoint, and the number in each, by the part of the record.

An evaluation counts if it is on the trial's schedule (a positive multiple of `eval_every`) or at the step that is read.
So a trial gives the same number whether it was trained in one go, stopped at a shorter target before, or was trained
further by another sweep. Every probe counts: the schedule of probes is part of a trial's identity. A reading counts if
it has the number. Computes no means.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from analysis.contract.question import Endpoint, Measured, PlannedTrial
from analysis.contract.record import TrialRecord
from analysis.numbers.probes import Number, probe_number

Entry = Mapping[str, Any]
"""One evaluation, final pass, probe or reading of a record, with its `step` and `time_ms`."""


class Measurement(NamedTuple):
    """How a part of a record is read, and its words: `one` and `many` in a sentence, `absent` where a trial lacks it.

    `step` is what the trainer calls a step. If `exact`, a number needs a measurement at the very step that is read;
    otherwise a trial that has passed that step is enough. `entries` returns those that count up to a step, in order.
    """

    one: str
    many: str
    absent: str
    step: str
    exact: bool
    entries: Callable[[PlannedTrial, TrialRecord, Endpoint, int], list[Entry]]
    number: Callable[[PlannedTrial, TrialRecord, Endpoint, Entry], Number]


def measurement_of(endpoint: Endpoint) -> Measurement:
    """Return how `endpoint` is read; where trainers are read differently, the words that fit all of them."""
    kinds = dict.fromkeys(one.declared.measured for one in endpoint.each)
    if len(kinds) > 1:
        return SEVERAL
    return _BY_PART[endpoint.declared.measured]


def any_reading(endpoint: Endpoint) -> bool:
    """Return whether some of the numbers are readings, whose size is not known in advance."""
    return any(one.declared.measured == "readings" for one in endpoint.each)


def measured(trial: PlannedTrial, record: TrialRecord, endpoint: Endpoint, step: int) -> list[Entry]:
    """Return the measurements that count for `endpoint` up to step `step`, in order of their steps."""
    endpoint = endpoint.of_trainer(trial.trainer)
    return measurement_of(endpoint).entries(trial, record, endpoint, step)


def number_of(trial: PlannedTrial, record: TrialRecord, endpoint: Endpoint, entry: Entry) -> Number:
    """Return the value of `endpoint` in one entry of `measured`."""
    endpoint = endpoint.of_trainer(trial.trainer)
    return measurement_of(endpoint).number(trial, record, endpoint, entry)


def _readings(trial: PlannedTrial, record: TrialRecord, endpoint: Endpoint, step: int) -> list[Entry]:
    name = endpoint.name
    return [one for one in record.get("readings", ()) if one["step"] <= step and name in one["values"]]


def _value(trial: PlannedTrial, record: TrialRecord, endpoint: Endpoint, entry: Entry) -> Number:
    return Number(entry["values"][endpoint.name], "")


def _evaluations(trial: PlannedTrial, record: TrialRecord, endpoint: Endpoint, step: int) -> list[Entry]:
    split, every = endpoint.metric.removesuffix("_accuracy"), trial.config["eval_every"]

    def counts(at: int) -> bool:
        return at == step or (every > 0 and 0 < at < step and at % every == 0)

    usable: list[Entry] = [one for one in record["evaluations"] if one["split"] == split and counts(one["step"])]
    return sorted(usable, key=lambda entry: entry["step"])


def _finals(trial: PlannedTrial, record: TrialRecord, endpoint: Endpoint, step: int) -> list[Entry]:
    return [one for one in record.get("finals", ()) if one["step"] == step]


def _score(trial: PlannedTrial, record: TrialRecord, endpoint: Endpoint, entry: Entry) -> Number:
    head, steps = endpoint.scoring
    inner_step = trial.config["inner_steps"] if steps == "inner_steps" else steps
    scores = entry["accuracy"].get(head)
    if scores is None:
        return Number(math.nan, f"head {head} not scored")
    if inner_step >= len(scores) or scores[inner_step] is None:
        return Number(math.nan, f"inner step {inner_step} not scored")
    return Number(scores[inner_step], "")


def _probes(trial: PlannedTrial, record: TrialRecord, endpoint: Endpoint, step: int) -> list[Entry]:
    return sorted((one for one in record["probes"] if one["step"] <= step), key=lambda entry: entry["step"])


def _probed(trial: PlannedTrial, record: TrialRecord, endpoint: Endpoint, entry: Entry) -> Number:
    return probe_number(record, entry, endpoint.metric)


EVALUATIONS = Measurement("one evaluation", "evaluations", "evaluation", "outer step", True, _evaluations, _score)
_BY_PART: Mapping[Measured, Measurement] = {
    "readings": Measurement("one reading", "readings", "reading", "step", False, _readings, _value),
    "evaluations": EVALUATIONS,
    "finals": Measurement("one evaluation", "evaluations", "final pass", "outer step", True, _finals, _score),
    "probes": Measurement("one probe", "probes", "probe", "outer step", True, _probes, _probed),
}
SEVERAL = Measurement("one measurement", "measurements", "measurement", "step", False, measured, number_of)
"""Trainers whose numbers are in different parts of their records."""
