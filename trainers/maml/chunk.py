"""The data that a training yields and resumes from: records, chunks and states. Stores nothing."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

from trainers.maml.engines.adam import Moments
from trainers.maml.networks import Params

RunStatus = Literal["running", "done", "diverged"]


class Record(NamedTuple):
    """One measurement after `step` outer steps; (step, key) is unique in a trial.

    `key` is "training" (query_loss in nats and query_accuracy of that step's meta-batch), "evaluation" (split,
    episodes, and per head and inner step the mean accuracy and its standard deviation over episodes, None where not
    scored), "final" (the same for a trial's separate last pass), "scores" (correct query images of each episode in the
    last of these passes) or "probe" (a `trainers.maml.probes.Probe`).
    """

    step: int
    key: str
    value: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class RunState:
    """Everything needed to continue one run as if it had never stopped.

    `correct` (heads, n, scored) has the n episodes scored so far in the unfinished pass at `step`, which the records
    don't have yet; see `trainers.maml.evaluation`.
    """

    step: int
    params: Params
    moments: Moments
    correct: np.ndarray
    records: tuple[Record, ...]


@dataclass(frozen=True)
class RunChunk:
    """News of one run; `message` says why it diverged, and is empty otherwise."""

    records: tuple[Record, ...]
    status: RunStatus
    message: str


@dataclass(frozen=True)
class Chunk:
    """News of a pack since the last chunk; `states()` returns each run's resumable state at this boundary."""

    step: int
    runs: tuple[RunChunk, ...]
    states: Callable[[], tuple[RunState, ...]]
