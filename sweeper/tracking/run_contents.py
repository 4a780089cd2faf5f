"""What a tracked run shows: pure functions from a `TrialRecord` to params, tags, points and the artefact.

Does not send them to a store; `sweeper.tracking.mlflow_tracker` does.
"""

import gzip
import hashlib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from analysis.contract.lifecycle import Status
from analysis.contract.record import (
    SCHEMA_VERSION,
    TAG_CELL,
    TAG_KIND,
    TAG_POINT,
    TAG_SCHEMA,
    TAG_SEED,
    TAG_STATUS,
    TAG_SWEEP,
    TAG_TRIAL_ID,
    TrialRecord,
    passes,
)
from sweeper.results.trial_summary import in_one_line
from sweeper.tracking.notes import NOTE
from trainers.trainer import Point, Trainer

Kind = Literal["trial", "cell", "sweep"]

IDENTITY_TAGS: Mapping[Kind, str] = {"trial": TAG_TRIAL_ID, "cell": TAG_CELL, "sweep": TAG_SWEEP}
"""The tag by which a run of each kind is found again."""

RUN_STATUS: Mapping[Status, str] = {
    "running": "RUNNING",
    "done": "FINISHED",
    "diverged": "FAILED",
    "failed": "FAILED",
    "interrupted": "KILLED",
}

TAG_DATA_DIGEST = "data_digest"
TAG_MESSAGE = "message"
TAG_SHOWN = "sweeper.shown"
"""Hash of all that a run shows, empty while its trial runs. It is written last: an equal hash means nothing to do."""
TAG_NAME = "sweeper.run_name"
"""The last name that we gave the run. If the run has another one, a person renamed it."""
TAG_PAGE = "sweeper.page"
"""Hash of what a run has only for the pages of MLflow: its name there, its endpoint and its description."""
TAG_SOURCE = "mlflow.source.name"
TAG_SOURCE_KIND = "mlflow.source.type"
TAG_SOURCE_COMMIT = "mlflow.source.git.commit"
TAG_PARENT = "mlflow.parentRunId"
TAG_SAVED = "sweeper.view"
"""Hash of the view that we last saved for an experiment. If the present one has another hash, it is a person's."""
TAG_FILES = "sweeper.files"
"""Hash of the artefacts of a sweep's run."""
PAGE_FORM = 2
"""Raised when all pages change, so that a sync brings the runs of earlier versions to the new form."""
METRICS_OF_MAML = ("train_", "test_accuracy/", "val_accuracy/", "final_accuracy/", "probe_")
"""How the names of a trial's metrics begin. Others are a person's."""
LONGEST_MESSAGE = 500
FIELDS_OF_MAML = (
    "dataset", "ways", "shots", "inner_steps", "zero_head_every", "head_scale", "order", "algorithm", "seed",
)  # fmt: skip
"""The fields that people filter by. Of any other trainer a run shows every field but the length, which may grow."""
FACT_TAGS = (TAG_POINT, TAG_CELL, TAG_SEED, TAG_DATA_DIGEST)
"""Tags that never change while a trial is the same one."""
ATTEMPT_TAGS = ("attempt", "recipe", "engine", "pack", "threads", "device", "commit", "dirty", "trainer", "code")


class Readout(NamedTuple):
    """What a sweep reads from one record: points of its endpoint, and a description of the trial in Markdown."""

    points: tuple[Point, ...] = ()
    note: str = ""


def nothing_read(_: TrialRecord) -> Readout:
    """Return an empty readout."""
    return Readout()


@dataclass(frozen=True, kw_only=True)
class TrackedTrial:
    """A trial as one sweep shows it: its full `name`, and `labels`, the label of its value on each axis.

    `short` is the run's name in the store, if it is not the full one, and `source` the name of the sweep file. `read`
    reads the sweep's endpoint. `trainer` says which points the run shows.
    """

    trial_id: str
    name: str
    sweep: str
    labels: Mapping[str, str]
    trainer: Trainer
    short: str = ""
    source: str = ""
    read: Callable[[TrialRecord], Readout] = nothing_read

    @property
    def run_name(self) -> str:
        """The name of the trial's run."""
        return self.short or self.name

    def readout(self, record: TrialRecord) -> Readout:
        """Return what the sweep reads from `record`; nothing while the trial runs."""
        return Readout() if record["status"] == "running" else self.read(record)


@dataclass(frozen=True, kw_only=True)
class CellSummary:
    """A cell's endpoint over its `n` finished seeds of `planned`. What n seeds don't define (sd of one) is NaN.

    `low` and `high` are the ends of the 95 % interval of the mean. Accuracies are fractions in [0, 1]. `short`,
    `source` and `note` are as in a trial; `trials` are the ids of its trials.
    """

    cell: str
    name: str
    labels: Mapping[str, str]
    n: int
    planned: int
    mean: float
    sd: float
    low: float
    high: float
    short: str = ""
    source: str = ""
    note: str = ""
    trials: tuple[str, ...] = ()

    @property
    def run_name(self) -> str:
        """The name of the cell's run."""
        return self.short or self.name

    def points(self, time_ms: int) -> list[Point]:
        """Return a point at `time_ms` for n and for every finite number."""
        return [Point(name, value, time_ms, 0) for name, value in self._values().items()]

    def _values(self) -> dict[str, float]:
        numbers = {"n": float(self.n), "mean": self.mean, "sd": self.sd, "low": self.low, "high": self.high}
        return {name: value for name, value in numbers.items() if math.isfinite(value)}

    def tags(self, sweep: str) -> dict[str, str]:
        """Return the summary run's tags."""
        return {
            TAG_SCHEMA: str(SCHEMA_VERSION),
            TAG_KIND: "cell",
            TAG_SWEEP: sweep,
            TAG_CELL: self.cell,
            "n": str(self.n),
            "planned": str(self.planned),
            TAG_SHOWN: _hash([self.name, self.planned, self._values()]),
            TAG_PAGE: _hash([PAGE_FORM, self.run_name, self.note]),
            **_source(self.source),
        }


@dataclass(frozen=True, kw_only=True)
class SweepAnswer:
    """What the one run of a whole sweep shows: a description in Markdown (empty: as it is) and `files` by name.

    Without files, those that it has stay.
    """

    note: str
    source: str
    files: Mapping[str, bytes] = field(default_factory=dict)

    def tags(self, sweep: str) -> dict[str, str]:
        """Return the run's tags."""
        files = {name: hashlib.sha256(content).hexdigest() for name, content in self.files.items()}
        return {
            TAG_SCHEMA: str(SCHEMA_VERSION),
            TAG_KIND: "sweep",
            TAG_SWEEP: sweep,
            **({TAG_FILES: _hash(files)} if files else {}),
            **_source(self.source),
        }


@dataclass(kw_only=True)
class Shown:
    """What one run shows, as far as this process knows. `sent` and `archived` cover only what it sent itself."""

    run_id: str
    name: str
    status: str
    start_ms: int
    params: dict[str, str]
    tags: dict[str, str]
    artifact_uri: str
    metrics: set[str] = field(default_factory=set)
    archived: tuple[int, Status, int] | None = None
    sent: set[tuple[str, int]] = field(default_factory=set)
    compared: bool = False
    """Whether its points were compared with the journal, or are all from this process."""

    def is_whole(self, tags: Mapping[str, str]) -> bool:
        """Return whether the run once showed all that `tags` stand for."""
        return tags[TAG_SHOWN] != "" and self.tags.get(TAG_SHOWN) == tags[TAG_SHOWN]

    def is_untouched(self, tags: Mapping[str, str], params: Mapping[str, str], metrics: set[str], status: str) -> bool:
        """Return whether a whole run still has all of that: nobody has changed it by hand."""
        same = all(self.tags.get(tag, "") == value for tag, value in tags.items())
        return same and self.status == status and params.keys() <= self.params.keys() and metrics <= self.metrics

    @property
    def was_renamed(self) -> bool:
        """Whether a person gave the run another name."""
        return self.tags.get(TAG_NAME, self.name) != self.name


def params(record: TrialRecord, trial: TrackedTrial) -> dict[str, str]:
    """Return the swept axes by label, and fields of the config. An axis replaces a field of the same name."""
    if "trainer" not in record:
        config = trial.trainer.resolve(record["config"])  # an older record lacks newer fields
        return {field: str(getattr(config, field)) for field in FIELDS_OF_MAML} | dict(trial.labels)
    length = record["attempts"][-1]["length"]  # MLflow can't change a param
    return {field: str(value) for field, value in record["config"].items() if field != length} | dict(trial.labels)


def is_metric_of(trial: TrackedTrial, record: TrialRecord, key: str) -> bool:
    """Return whether `key` names one of the metrics that a trial's run has from its record."""
    if "trainer" not in record:
        return key.startswith(METRICS_OF_MAML)
    return key.partition("/")[0] in trial.trainer.metrics


def began_again(record: TrialRecord, shown: Mapping[str, str]) -> bool:
    """Return whether the training has begun again from its start since a run with the tags `shown` was written."""
    if "trainer" not in record or record["attempts"][-1]["resumes"]:
        return False
    attempt = shown.get("attempt", "")
    return attempt.isdecimal() and int(attempt) < record["attempts"][-1]["attempt"]


def tags(record: TrialRecord, trial: TrackedTrial) -> dict[str, str]:
    """Return the run's tags, including the circumstances of the last attempt."""
    message = in_one_line(record["message"])
    shortened = len(message) > LONGEST_MESSAGE or message != record["message"].strip()
    return {
        TAG_SCHEMA: str(SCHEMA_VERSION),
        TAG_KIND: "trial",
        TAG_SWEEP: trial.sweep,
        TAG_TRIAL_ID: record["trial_id"],
        TAG_POINT: record["point"],
        TAG_CELL: record["cell"],
        TAG_SEED: str(record["seed"]),
        TAG_STATUS: record["status"],
        TAG_DATA_DIGEST: record["attempts"][-1]["digest"],
        TAG_MESSAGE: message[:LONGEST_MESSAGE] + (" (shortened)" if shortened else ""),
        TAG_SHOWN: ""
        if record["status"] == "running"
        else _hash([record, trial.name, trial.sweep, *trial.labels.items()]),
        TAG_PAGE: "" if record["status"] == "running" else _hash([PAGE_FORM, trial.run_name, trial.readout(record)]),
        **_source(trial.source),
        **_commit(record),
        **_circumstances(record),
    }


def is_of_a_person(tag: str) -> bool:
    """Return whether a person may have written `tag`: neither we nor MLflow do, apart from the run's description."""
    ours = (TAG_SCHEMA, TAG_KIND, TAG_SWEEP, TAG_TRIAL_ID, TAG_POINT, TAG_CELL, TAG_SEED, TAG_STATUS, *ATTEMPT_TAGS)
    if tag in ours or tag in (TAG_DATA_DIGEST, TAG_MESSAGE, "n", "planned"):
        return False
    return tag == NOTE or not tag.startswith(("sweeper.", "version.", "mlflow."))


def artifact(record: TrialRecord) -> bytes:
    """Return the record as gzipped JSON. Equal records give equal bytes."""
    text = json.dumps(record, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    return gzip.compress(text.encode(), mtime=0)


def last_time_ms(record: TrialRecord) -> int | None:
    """Return the time of the record of the highest step, in ms since 1970; None if there is none."""
    training = record["training"]
    measured = (*passes(record), *record["probes"], *record.get("readings", ()))
    stamped = [(found["step"], found["time_ms"]) for found in measured]
    last = max([*zip(training["step"], training["time_ms"], strict=True), *stamped], default=None)
    return None if last is None else last[1]


def starts_ms(record: TrialRecord) -> tuple[int, ...]:
    """Return when each attempt began, the first one first, in ms since 1970."""
    return tuple(attempt["time_ms"] for attempt in record["attempts"])


def _hash(shown: Any) -> str:
    return digest(json.dumps([SCHEMA_VERSION, shown], sort_keys=True))


def digest(text: str) -> str:
    """Return a hash of `text`, in 32 hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _source(name: str) -> dict[str, str]:
    """Return the tags that MLflow shows in its column Source."""
    return {TAG_SOURCE: name, TAG_SOURCE_KIND: "LOCAL"} if name else {}


def _commit(record: TrialRecord) -> dict[str, str]:
    commit = record["attempts"][-1].get("commit") if record["attempts"] else None
    return {TAG_SOURCE_COMMIT: commit} if isinstance(commit, str) and commit else {}


def _circumstances(record: TrialRecord) -> dict[str, str]:
    if not record["attempts"]:
        return {}
    attempt = record["attempts"][-1]
    found = {key: _plain(attempt[key]) for key in ATTEMPT_TAGS if key in attempt}
    versions = attempt.get("versions", {})
    return found | {f"version.{package}": str(version) for package, version in versions.items()}


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
