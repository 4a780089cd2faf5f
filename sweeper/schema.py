"""The tracked record's contract: every name that sweeper writes to a tracking store and analysis reads back.

Accuracies are fractions in [0, 1]. `head` is how the linear head was when adaptation began: "trained" as training
left it, "zeroed" set to zero. `inner_step` counts the adaptation steps taken before scoring, from 0.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NotRequired, TypedDict

SCHEMA_VERSION = 1

ARTIFACT = "trial.json.gz"
"""The one artefact of a trial's run: a gzipped `TrialRecord` with everything measured."""

TAG_SCHEMA = "sweeper.schema"
TAG_KIND = "sweeper.kind"  # "trial" or "cell"
TAG_SWEEP = "sweeper.sweep"
TAG_TRIAL_ID = "trial_id"
TAG_POINT = "point"
TAG_CELL = "cell"
TAG_SEED = "seed"
TAG_STATUS = "status"

Status = Literal["running", "done", "diverged", "failed", "interrupted"]
Head = Literal["trained", "zeroed"]
Metric = Literal[
    "test_accuracy",
    "val_accuracy",
    "final_accuracy",
    "support_query_gap",
    "query_query_gap",
    "positive_share",
    "support_moved",
    "query_moved",
]
PROBES: frozenset[Metric] = frozenset(
    ("support_query_gap", "query_query_gap", "positive_share", "support_moved", "query_moved")
)
"""The metrics that are read from probes, by `analysis.probes`."""


class Training(TypedDict):
    """Training curve: four lists of one length. Loss in nats, accuracy of the query sets after adaptation."""

    step: list[int]
    time_ms: list[int]
    query_loss: list[float]
    query_accuracy: list[float]


class Evaluation(TypedDict):
    """One pass over the fixed episode list after `step` outer steps.

    `accuracy[head][k]` is the mean over `episodes` query sets after k inner steps and `sd[head][k]` the standard
    deviation over those episodes (ddof 1; 0 for one episode); None where nothing was scored, and no entry for a head
    that no episode began with.
    """

    step: int
    time_ms: int
    split: Literal["val", "test"]
    episodes: int
    accuracy: dict[Head, list[float | None]]
    sd: dict[Head, list[float | None]]


class Scores(TypedDict):
    """Per-episode scores of the last pass: `correct[head][k][e]` of `queries` query images were right."""

    step: int
    queries: int
    correct: dict[Head, list[list[int]]]


class TrialRecord(TypedDict):
    """All that is known of one trial.

    `step` is the outer step reached, `target` the one last asked for, and `done_step` the furthest target reached
    whole, evaluation included (0 if none was). `finals` are the separate last passes, one for each target reached;
    records without one may lack it. Each entry of `probes` is a `trainers.probes.Probe` with its `step` and
    `time_ms`.
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
    training: Training
    evaluations: list[Evaluation]
    finals: NotRequired[list[Evaluation]]
    probes: list[dict[str, Any]]
    scores: Scores | None
    attempts: list[dict[str, Any]]


def passes(record: TrialRecord) -> list[Evaluation]:
    """Return the evaluations along the training, then the separate last passes."""
    return [*record["evaluations"], *record.get("finals", [])]


def metric_key(head: Head, inner_step: str, split: str = "test") -> str:
    """Return the tracked name of an accuracy; `inner_step` is "step_0", "step_1", "inner_steps" or "last_step"."""
    return f"{split}_accuracy/{head}/{inner_step}"


@dataclass(frozen=True, kw_only=True)
class PlannedTrial:
    """What a report needs to know of one planned trial; `labels` maps each axis, in file order, to a value's name.

    `config` is complete, `origins` says where each of its fields came from, and `paper` is the config of the paper's
    own cell with these labels, None where the sweep file names none.
    """

    trial_id: str
    cell: str
    seed: int
    target: int
    inner_steps: int
    eval_every: int
    labels: Mapping[str, str]
    config: Mapping[str, Any] = field(default_factory=dict)
    origins: Mapping[str, str] = field(default_factory=dict)
    paper: Mapping[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """The number a sweep is about, declared before it runs.

    `steps` is the number of inner steps before scoring, or "inner_steps" for as many as the trial trained with; `head`
    and `steps` are None just when `metric` is a probe's. `at` is "last" (the trial's planned length) or the outer steps
    to read. `window` evaluations or probes, the last at or before that step included, are averaged.
    """

    metric: Metric
    head: Head | None
    steps: int | Literal["inner_steps"] | None
    at: tuple[int, ...] | Literal["last"]
    window: int


@dataclass(frozen=True, kw_only=True)
class Side:
    """One number of a contrast: the cell with these `labels` (an axis of one value may be left out), read so."""

    labels: Mapping[str, str]
    endpoint: Endpoint


@dataclass(frozen=True, kw_only=True)
class ClaimSpec:
    """One sentence of the paper as a contrast, declared before the sweep runs: `of` minus `minus`, paired by seed.

    An interaction is that contrast less another, `less[0]` minus `less[1]`. An equivalence says that the contrast is
    smaller than a margin that is fixed beforehand, and than half the published contrast of `reference`, if given.
    `primary` claims of one sweep share the adjustment for their number.
    """

    says: str
    source: str
    kind: Literal["effect", "equivalence", "interaction"]
    of: Side
    minus: Side
    less: tuple[Side, Side] | None
    reference: tuple[Side, Side] | None
    expected: Literal["positive", "negative"] | None
    primary: bool


@dataclass(frozen=True, kw_only=True)
class TableSpec:
    """Axes of a table; every axis of the sweep with more than one value is in `rows` or is `columns`.

    `endpoint` is what is read where that isn't the sweep's own.
    """

    rows: tuple[str, ...]
    columns: str
    endpoint: Endpoint | None = None


FORMATS = ("csv", "md", "tex", "png", "pdf", "svg", "html")
"""What a report can be written as, by the ends of its files' names."""

FigureKind = Literal["inner_steps", "curves", "cosine", "shares", "feature_space"]


@dataclass(frozen=True, kw_only=True)
class FigureSpec:
    """Axes of a figure: `x` along the abscissa, `hue` one line a value, `facets` one panel a combination.

    Only "inner_steps" has an `x` of its own; "curves" and "shares" go along the outer step, "cosine" and
    "feature_space" show each outer step of the endpoint by itself. `endpoint` is as in a table.
    """

    kind: FigureKind
    x: str | None
    hue: str | None
    facets: tuple[str, ...]
    endpoint: Endpoint | None = None
