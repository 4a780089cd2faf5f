"""Converts the authors' stored runs to planned trials and records, so that a report works on their data unchanged."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from analysis.contract.question import PlannedTrial
from analysis.contract.record import SCHEMA_VERSION, Evaluation, Head, TrialRecord
from analysis.errors import AnalysisError
from analysis.paper.authors.cosine import SWEEP as COSINE_SWEEP
from analysis.paper.authors.cosine import matrices
from analysis.paper.authors.families import AXES, FAMILIES, SOURCES, in_order
from analysis.paper.authors.raw import Run, read_raw
from analysis.paper.authors.values import of_source, outer_steps

DATASETS = {"mini-ImageNet": "mini_imagenet", "Omniglot": "omniglot"}
COSINE_EVERY = 10
COSINE_QUERIES, QUERIES = 20, 15


class AuthorsRuns(NamedTuple):
    """A plan and its records by trial id, the input of a report. Every planned trial has a record with status done."""

    plan: tuple[PlannedTrial, ...]
    records: dict[str, TrialRecord]


def as_records(raw_path: Path, sweep: str, axes: Sequence[str] | None = None, until: int | None = None) -> AuthorsRuns:
    """Return the authors' complete runs of a sweep, labelled by `axes`; None takes all axes of these runs.

    A record has only what was stored: evaluations of the test split, with an empty list for a head that wasn't tested.
    `sd` is NaN, because the spread over episodes wasn't kept. There are no scores and no training curve. For
    cosine_similarity, probes have `cosine` only. A run ends at its last evaluation, or at the last one at or before
    outer step `until`; that step is its `target`. `config` has order, data set, ways, shots, queries and inner steps.

    Raises AnalysisError if the file can't be used, if the authors have no such sweep or axis, or if `axes` don't
    distinguish their cells.
    """
    if sweep not in AXES:
        raise AnalysisError(f"The authors' raw results have no runs for sweep {sweep!r}; they have {', '.join(AXES)}")
    axes = AXES[sweep] if axes is None else tuple(axes)
    unknown = [axis for axis in axes if axis not in AXES[sweep]]
    if unknown:
        raise AnalysisError(
            f"The authors' runs of sweep {sweep} have no axis {', '.join(map(repr, unknown))}; they have "
            f"{', '.join(AXES[sweep])}"
        )
    raw = read_raw(raw_path)
    if sweep == COSINE_SWEEP:
        pairs = [_probed(one.labels, one.seed, one.updates, one.cosine, sweep, axes) for one in matrices(raw)]
    else:
        runs = [run for source in SOURCES[sweep] for run in of_source(raw, source)]
        together: dict[tuple[str, int], list[Run]] = {}
        for run in runs:
            together.setdefault((_cell(run, AXES[sweep]), run.seed), []).append(run)
        pairs = [_evaluated(heads, sweep, axes, until) for heads in together.values()]
    _refuse_merged(pairs, sweep, axes)
    plan = tuple(trial for trial, _ in sorted(pairs, key=lambda pair: (in_order(pair[0].labels, axes), pair[0].seed)))
    return AuthorsRuns(plan, {trial.trial_id: record for trial, record in pairs})


def _evaluated(
    heads: Sequence[Run], sweep: str, axes: Sequence[str], until: int | None
) -> tuple[PlannedTrial, TrialRecord]:
    one = heads[0]
    steps = outer_steps(one)
    if any(not np.array_equal(outer_steps(run), steps) for run in heads):
        raise AnalysisError(f"{one.file} and its test with the other head differ in their steps; give the whole file")
    steps = steps[: np.searchsorted(steps, until, side="right")] if until is not None else steps
    if not len(steps):
        raise AnalysisError(f"{one.file} has no evaluation at or before outer step {until}; give a later step")
    trial = _trial(one.labels, one.seed, int(steps[-1]), FAMILIES[one.family].eval_every, sweep, axes)
    by_head = {run.head: run.accuracy for run in heads}
    episodes = FAMILIES[one.family].episodes
    evaluations = [_evaluation(int(step), index, by_head, episodes) for index, step in enumerate(steps)]
    return trial, _record(trial, evaluations, [])


def _evaluation(step: int, index: int, by_head: dict[Head, np.ndarray], episodes: int) -> Evaluation:
    heads: tuple[Head, ...] = ("trained", "zeroed")
    accuracy: dict[Head, list[float | None]] = {
        head: by_head[head][index].tolist() if head in by_head else [] for head in heads
    }
    unknown: dict[Head, list[float | None]] = {head: [math.nan] * len(scores) for head, scores in accuracy.items()}
    return {"step": step, "time_ms": 0, "split": "test", "episodes": episodes, "accuracy": accuracy, "sd": unknown}


def _probed(
    labels: Mapping[str, str], seed: int, updates: np.ndarray, cosine: np.ndarray, sweep: str, axes: Sequence[str]
) -> tuple[PlannedTrial, TrialRecord]:
    trial = _trial(labels, seed, int(updates[-1]), COSINE_EVERY, sweep, axes)
    probes = [
        {"step": int(step), "time_ms": 0, "cosine": matrix.tolist()}
        for step, matrix in zip(updates, cosine, strict=True)
    ]
    return trial, _record(trial, [], probes)


def _trial(
    labels: Mapping[str, str], seed: int, target: int, eval_every: int, sweep: str, axes: Sequence[str]
) -> PlannedTrial:
    shown = {axis: labels[axis] for axis in axes}
    cell = " · ".join(shown.values())
    dataset, _, episode = labels["task"].rpartition(" ")
    ways, shots = episode.removesuffix("s").split("w")
    return PlannedTrial(
        trial_id=f"authors {sweep} {' · '.join(labels[axis] for axis in AXES[sweep])} · s{seed}",
        cell=cell,
        seed=seed,
        trainer="maml",
        length="outer_steps",
        target=target,
        labels=shown,
        config={
            "dataset": DATASETS[dataset],
            "order": labels["order"],
            "ways": int(ways),
            "shots": int(shots),
            "queries": COSINE_QUERIES if sweep == COSINE_SWEEP else QUERIES,
            "inner_steps": int(labels["inner_steps"]),
            "eval_every": eval_every,
        },
    )


def _record(trial: PlannedTrial, evaluations: list[Evaluation], probes: list[dict[str, Any]]) -> TrialRecord:
    return {
        "schema": SCHEMA_VERSION,
        "trial_id": trial.trial_id,
        "point": "",
        "cell": trial.cell,
        "seed": trial.seed,
        "status": "done",
        "message": "",
        "step": trial.target,
        "target": trial.target,
        "done_step": trial.target,
        "config": dict(trial.config),
        "training": {"step": [], "time_ms": [], "query_loss": [], "query_accuracy": []},
        "evaluations": evaluations,
        "probes": probes,
        "scores": None,
        "attempts": [],
    }


def _cell(run: Run, axes: Sequence[str]) -> str:
    return " · ".join(run.labels[axis] for axis in axes)


def _refuse_merged(pairs: Sequence[tuple[PlannedTrial, TrialRecord]], sweep: str, axes: Sequence[str]) -> None:
    seen: set[tuple[str, int]] = set()
    for trial, _ in pairs:
        if (trial.cell, trial.seed) in seen:
            missing = ", ".join(axis for axis in AXES[sweep] if axis not in axes)
            raise AnalysisError(
                f"The axes {', '.join(axes)} don't distinguish the authors' runs of sweep {sweep}: {trial.cell}, seed "
                f"{trial.seed} occurs twice; add one of {missing}"
            )
        seen.add((trial.cell, trial.seed))
