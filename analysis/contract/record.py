"""The contract of the tracked record: every name that sweeper writes to a tracking store and analysis reads back.

Accuracies are fractions in [0, 1]. `head` is the linear head at the start of adaptation: "trained" as training left
it, or "zeroed". `inner_step` is the number of inner steps before scoring, from 0.
"""

from typing import Any, Literal, NotRequired, TypedDict

from analysis.contract.lifecycle import Status

SCHEMA_VERSION = 1

ARTIFACT = "trial.json.gz"
"""The artefact of a trial's run that is read back: a gzipped `TrialRecord` with all measurements."""

TAG_SCHEMA = "sweeper.schema"
TAG_KIND = "sweeper.kind"  # "trial" or "cell"
TAG_SWEEP = "sweeper.sweep"
TAG_TRIAL_ID = "trial_id"
TAG_POINT = "point"
TAG_CELL = "cell"
TAG_SEED = "seed"
TAG_STATUS = "status"

Head = Literal["trained", "zeroed"]


class Training(TypedDict):
    """Training curve: four lists of equal length. Loss (nats) and accuracy of the query sets after adaptation."""

    step: list[int]
    time_ms: list[int]
    query_loss: list[float]
    query_accuracy: list[float]


class Reading(TypedDict):
    """The numbers that any trainer measured after `step` steps, by name: `accuracy`, or `accuracy/val`."""

    step: int
    time_ms: int
    values: dict[str, float]


class Evaluation(TypedDict):
    """One pass over the fixed episode list after `step` outer steps.

    `accuracy[head][k]` is the mean over `episodes` query sets after k inner steps. `sd[head][k]` is the standard
    deviation over those episodes (ddof 1; 0 for one episode). Both are None for a k that was not scored, and a head
    that was not scored has no entry.
    """

    step: int
    time_ms: int
    split: Literal["val", "test"]
    episodes: int
    accuracy: dict[Head, list[float | None]]
    sd: dict[Head, list[float | None]]


class Scores(TypedDict):
    """Scores of the last pass: `correct[head][k][e]` of `queries` query images of episode e were right."""

    step: int
    queries: int
    correct: dict[Head, list[list[int]]]


class TrialRecord(TypedDict):
    """All measurements and facts of one trial.

    `step` is the step reached, `target` the last one asked for (0: no length), and `done_step` the furthest target that
    was completed (0 for none). MAML's record has a training curve, evaluations, probes and scores. `finals` are the
    separate last passes, one for each target reached; a record without such passes may lack the key. Each entry of
    `probes` is a `trainers.maml.probes.Probe` with its `step` and `time_ms`. The record of any other trainer has the
    name of its `trainer` and its `readings` in order of their steps; all of the former are empty, and `scores` is None.
    """

    schema: int
    trial_id: str
    point: str
    cell: str
    seed: int
    status: Status
    message: str
    step: int
    target: int
    done_step: int
    config: dict[str, Any]
    trainer: NotRequired[str]
    readings: NotRequired[list[Reading]]
    training: Training
    evaluations: list[Evaluation]
    finals: NotRequired[list[Evaluation]]
    probes: list[dict[str, Any]]
    scores: Scores | None
    attempts: list[dict[str, Any]]


def passes(record: TrialRecord) -> list[Evaluation]:
    """Return the evaluations made during training, then the separate last passes."""
    return [*record["evaluations"], *record.get("finals", [])]


def dataset_of(record: TrialRecord) -> str:
    """Return the name of the data set that a trial was trained with, "" for none."""
    return record["config"]["dataset"] if "trainer" not in record else record["attempts"][-1]["dataset"]


def metric_key(head: Head, inner_step: str, split: str = "test") -> str:
    """Return the tracked name of an accuracy; `inner_step` is "step_0", "step_1", "inner_steps" or "last_step"."""
    return f"{split}_accuracy/{head}/{inner_step}"
