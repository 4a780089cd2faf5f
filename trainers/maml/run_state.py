"""The state from which a training resumes. Stores nothing."""

from dataclasses import dataclass

import numpy as np

from trainers.maml.engines.adam import Moments
from trainers.maml.networks import Params
from trainers.trainer import Record


@dataclass(frozen=True, kw_only=True)
class RunState:
    """Everything needed to continue one run as if it had never stopped.

    `correct` (rows, n, scored) has the n episodes scored so far in the unfinished pass at `step`, which the records
    don't have yet; see `trainers.maml.evaluation`.
    """

    step: int
    params: Params
    moments: Moments
    correct: np.ndarray
    records: tuple[Record, ...]
