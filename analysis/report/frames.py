"""A sweep's evidence as DataFrames: one row per trial, reading, evaluation, point, episode, cell or claim.

An axis has its own column, `NAME (axis)` where the frame has a column NAME itself. The axis of a field with numbers
holds numbers; another one holds its labels, as ordered categories in the order of the sweep file. Accuracies are
fractions in [0, 1], and NaN is a number that is not there. Reads no store, and computes no statistics of its own.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from analysis.contract.question import NOT_APPLICABLE, Endpoint, PlannedTrial
from analysis.contract.record import TrialRecord
from analysis.judging.claims import Judged
from analysis.judging.readings import Readings
from analysis.numbers.tables import Cell, Difference
from analysis.numbers.tidy import axis_column, axis_labels
from analysis.pages.claim_sentences import name_of
from analysis.raw_data import CURVE, MEASURED, READ, measured, read_off, shared_by_attempts, trained
from analysis.store import Loaded

_TRIALS = ("cell", "status", "step", "target", "attempts", "engine", "device", "message", "run_id")
_ENDPOINTS = ("cell", "at", "read_step", "value", "reason", "evaluations")
_EPISODES = ("step", "head", "inner_steps", "episode", "correct", "queries", "accuracy")
_CELLS = ("at", "n", "planned", "mean", "sd", "low", "high", "evaluations", "missing")
_DIFFERENCES = ("at", "contrast", "n", "difference", "low", "high", "p")
_CLAIMS = ("claim", "source", "contrast", "kind", "primary", "verdict", "n", "difference", "low", "high", "level", "p",
           "adjusted_p", "margin", "authors_n", "authors_difference")  # fmt: skip


def trials(plan: Sequence[PlannedTrial], loaded: Loaded, *, config: bool = False) -> pd.DataFrame:
    """Return one row per planned trial; `step` is the outer step reached, and `status` is "new" without a record.

    `engine` and `device` are empty if the trial's attempts differ in them. With `config`, each field of the config that
    has no column yet follows.
    """
    rows = [_facts(trial, loaded) for trial in plan]
    frame = _joined(plan, range(len(plan)), pd.DataFrame(rows, columns=list(_TRIALS)))
    return with_config(frame, plan) if config else frame


def _facts(trial: PlannedTrial, loaded: Loaded) -> list[Any]:
    record = loaded.records.get(trial.trial_id)
    if record is None:
        return [trial.cell, "new", 0, trial.target, 0, None, None, "", None]
    engine, device = (shared_by_attempts(record, name) for name in ("engine", "device"))
    attempts, run_id = len(record["attempts"]), loaded.run_ids.get(trial.trial_id)
    reached, message = record["step"], record["message"]
    return [trial.cell, record["status"], reached, trial.target, attempts, engine, device, message, run_id]


def with_config(frame: pd.DataFrame, plan: Sequence[PlannedTrial]) -> pd.DataFrame:
    """Return `frame`, one row per planned trial, with each field of the config that has no column yet.

    A field that a trial's trainer lacks is empty.
    """
    fields = dict.fromkeys(name for trial in plan for name in trial.config if name not in frame.columns)
    values = {name: [trial.config.get(name) for trial in plan] for name in fields}
    return pd.concat([frame, pd.DataFrame(values, index=frame.index)], axis=1)


def plan_frame(plan: Sequence[PlannedTrial], facts: Mapping[str, Sequence[Any]]) -> pd.DataFrame:
    """Return one row per planned trial: its id, seed and axes, then the columns of `facts`."""
    return _joined(plan, range(len(plan)), pd.DataFrame(facts))


def endpoints(readings: Readings, endpoint: Endpoint) -> pd.DataFrame:
    """Return one row per planned trial and `at`, as `analysis.numbers.endpoint.endpoint_values` says."""
    values = readings.frame(endpoint)
    return _joined(readings.plan, np.tile(np.arange(len(readings.plan)), len(endpoint.ats)), values[list(_ENDPOINTS)])


def curves(plan: Sequence[PlannedTrial], records: Mapping[str, TrialRecord]) -> pd.DataFrame:
    """Return one row per evaluation, head and number of inner steps, with the columns of `data.csv.gz` in raw data."""
    found = [(index, row) for index, record in _present(plan, records) for row in measured(record)]
    own = pd.DataFrame([row for _, row in found], columns=list(MEASURED))
    own = own.astype({"accuracy": float, "sd": float})
    return _joined(plan, [index for index, _ in found], own)


def readings(plan: Sequence[PlannedTrial], records: Mapping[str, TrialRecord]) -> pd.DataFrame:
    """Return one row per number of each reading, with the columns of `readings.csv.gz` in raw data."""
    found = [(index, row) for index, record in _present(plan, records) for row in read_off(record)]
    own = pd.DataFrame([row for _, row in found], columns=list(READ)).astype({"value": float})
    return _joined(plan, [index for index, _ in found], own)


def training(plan: Sequence[PlannedTrial], records: Mapping[str, TrialRecord]) -> pd.DataFrame:
    """Return one row per point of a training curve, with loss (nats) and accuracy of the query sets."""
    found = [(index, row) for index, record in _present(plan, records) for row in trained(record)]
    return _joined(plan, [index for index, _ in found], pd.DataFrame([row for _, row in found], columns=list(CURVE)))


def episodes(plan: Sequence[PlannedTrial], records: Mapping[str, TrialRecord]) -> pd.DataFrame:
    """Return one row per episode, head and scored number of inner steps, of each trial's last pass.

    `correct` of the `queries` query images of an episode were right; `accuracy` is their share.
    """
    which: list[int] = []
    parts: list[pd.DataFrame] = []
    for index, record in _present(plan, records):
        scores = record["scores"]
        if scores is None:
            continue
        for head, by_step in scores["correct"].items():
            for inner_steps, correct in enumerate(by_step):
                which += [index] * len(correct)
                numbers = {"episode": np.arange(len(correct)), "correct": correct, "queries": scores["queries"]}
                parts.append(pd.DataFrame({"step": scores["step"], "head": head, "inner_steps": inner_steps} | numbers))
    if not which:
        return _joined(plan, [], pd.DataFrame(columns=list(_EPISODES)))
    own = pd.concat([part for part in parts if len(part)], ignore_index=True)
    return _joined(plan, which, own.assign(accuracy=own["correct"] / own["queries"]))


def cells(plan: Sequence[PlannedTrial], found: Iterable[Cell | Difference]) -> pd.DataFrame:
    """Return one row per cell, or per difference of two cells, paired by seed.

    `low` and `high` are the ends of the 95 % t-interval over seeds. `n` of the `planned` seeds have a value, and
    `missing` names the others. `evaluations` is the smallest number that a value averages.
    """
    entries = list(found)
    columns = _DIFFERENCES if any(isinstance(entry, Difference) for entry in entries) else _CELLS
    own = pd.DataFrame([_numbers(entry) for entry in entries], columns=list(columns))
    return pd.concat([_axes(plan, [entry.labels for entry in entries], columns), own], axis=1)


def _numbers(entry: Cell | Difference) -> list[Any]:
    if isinstance(entry, Difference):
        paired = entry.paired
        return [entry.at, entry.contrast, len(paired.seeds), paired.mean, paired.low, paired.high, paired.p]
    stats = entry.summary
    missing = "; ".join(f"seed {miss.seed} ({miss.trial_id}): {miss.reason}" for miss in entry.missing)
    numbers = [stats.n, entry.planned, stats.mean, stats.sd, stats.low, stats.high, entry.evaluations]
    return [entry.at, *numbers, missing]


def claims(judged: Sequence[Judged]) -> pd.DataFrame:
    """Return one row per claim, with `difference` of its contrast in the endpoint's unit (accuracies: fractions).

    `low` and `high` are the ends of its interval at confidence `level`: 0.90 for an equivalence, else 0.95. `p` is not
    adjusted, `adjusted_p` is Holm's. `authors_difference` is the authors' own, over `authors_n` of their seeds.
    """
    return pd.DataFrame([_judged(one) for one in judged], columns=list(_CLAIMS))


def _judged(one: Judged) -> list[Any]:
    claim, ours, theirs = one.claim, one.contrast, one.published
    level = 0.90 if claim.kind == "equivalence" else 0.95
    n, difference, low, high = 0, np.nan, np.nan, np.nan
    if ours is not None and ours.by_seed:
        n, difference = len(ours.by_seed), ours.mean
        low, high = ours.interval_90 if claim.kind == "equivalence" else (ours.paired.low, ours.paired.high)
    authors = (0, np.nan) if theirs is None else (len(theirs.by_seed), theirs.mean)
    margin = np.nan if one.margin is None else one.margin
    told = [claim.says, claim.source, name_of(claim), claim.kind, claim.primary, one.word]
    return [*told, n, difference, low, high, level, one.p, one.adjusted_p, margin, *authors]


def _present(plan: Sequence[PlannedTrial], records: Mapping[str, TrialRecord]) -> list[tuple[int, TrialRecord]]:
    """Return the position in the plan, and the record, of each trial that has one."""
    return [(index, records[trial.trial_id]) for index, trial in enumerate(plan) if trial.trial_id in records]


def _joined(plan: Sequence[PlannedTrial], which: Sequence[int] | np.ndarray, own: pd.DataFrame) -> pd.DataFrame:
    """Return `own` with id, seed and axes of the trial before each row; row i is of `plan[which[i]]`."""
    ids = pd.DataFrame({"trial_id": [trial.trial_id for trial in plan], "seed": [trial.seed for trial in plan]})
    axes = _axes(plan, [trial.labels for trial in plan], ("trial_id", "seed", *own.columns))
    every = pd.concat([ids, axes], axis=1).iloc[list(which)].reset_index(drop=True)
    return pd.concat([every, own.reset_index(drop=True)], axis=1)


def _axes(plan: Sequence[PlannedTrial], rows: Sequence[Mapping[str, str]], taken: Collection[str]) -> pd.DataFrame:
    """Return a column for each axis that `rows`, the labels of each row, have; no column has a name in `taken`."""
    columns: dict[str, Any] = {}
    for axis, labels in axis_labels(plan).items():
        if rows and axis not in rows[0]:
            continue
        numbers = _numbers_of(plan, axis)
        given = [row[axis] for row in rows]
        columns[axis_column(axis, taken)] = (
            pd.Categorical(given, categories=labels, ordered=True)
            if numbers is None
            else [numbers[label] for label in given]
        )
    return pd.DataFrame(columns, index=range(len(rows)))


def _numbers_of(plan: Sequence[PlannedTrial], axis: str) -> dict[str, int | float] | None:
    """Return the number that each label of an axis stands for; None if the axis is no field with numbers alone."""
    values = {trial.labels[axis]: trial.config.get(axis) for trial in plan}
    numbers: dict[str, int | float] = {}
    for label, value in values.items():
        if label == NOT_APPLICABLE or isinstance(value, bool) or not isinstance(value, int | float):
            return None
        numbers[label] = value
    return numbers
