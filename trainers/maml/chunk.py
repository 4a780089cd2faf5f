"""The data that a training yields and resumes from: records, chunks and states."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

from trainers.maml.engines.adam import Moments
from trainers.maml.networks import Params

RunStatus = Literal["running", "done", "diverged"]


class Record(NamedTuple):
    """One thing measured after `step` outer steps; (step, key) is unique in a trial.

    `key` is "training" (query_loss in nats and query_accuracy of that step's meta-batch), "evaluation" (split,
    episodes, and per head and inner step the mean accuracy and its standard deviation over episodes, None where it was
    not scored), "final" (the same of a trial's separate last pass), "scores" (the last of these passes, query images
    right in each episode) or "probe" (a `trainers.maml.probes.Probe`).
    """

    step: int
    key: str
    value: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class RunState:
    """Everything needed to go on with one run as if it had never stopped.

    `correct` (heads, n, scored) holds the n episodes scored so far in the pass that is under way at `step`, of which
    the records have nothing yet; see `trainers.maml.evaluation`.
    """

    step: int
    params: Params
    moments: Moments
    correct: np.ndarray
    records: tuple[Record, ...]


@dataclass(frozen=True)
class RunChunk:
    """News of one run; `message` says why it diverged."""

    records: tuple[Record, ...]
    status: RunStatus
    message: str


@dataclass(frozen=True)
class Chunk:
    """News of a pack since the last chunk; `states()` is the whole resumable state at this boundary."""

    step: int
    runs: tuple[RunChunk, ...]
    states: Callable[[], tuple[RunState, ...]]
