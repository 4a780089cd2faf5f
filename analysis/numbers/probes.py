"""Numbers from the probes of a record: each metric that MAML reads from them, and the other quantities of figures.

Reads the format of `trainers.maml.probes.Probe`, in which None is a number that isn't finite; it stays None here.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from analysis.contract.record import TrialRecord

Probe = Mapping[str, Any]


class Pairs(NamedTuple):
    """Two means over pairs of images: of the same class, and of different classes."""

    same: float
    other: float

    @property
    def gap(self) -> float:
        """Same class minus other classes."""
        return self.same - self.other


class Number(NamedTuple):
    """A number, or NaN with the reason why there is none."""

    value: float
    reason: str


def blocks(probe: Probe) -> np.ndarray | None:
    """Return the mean cosines (N, 2N) of N query classes with N support, then N query classes; None if not finite."""
    cosine = probe["cosine"]
    if any(value is None for row in cosine for value in row):
        return None
    return np.array(cosine[len(cosine) // 2 :])


def support_query(block: np.ndarray) -> Pairs:
    """Return the mean cosines between query and support features, from `blocks`."""
    return _pairs(block[:, : len(block)])


def query_query(block: np.ndarray, queries: int | None = None) -> Pairs:
    """Return the mean cosines between query features, from `blocks`.

    The mean of the same class includes the self-pairs of images, whose cosine is 1, as in the paper's Fig. 2. Given
    `queries`, the number of query images per class, it leaves them out (NaN for one query).
    """
    same, other = _pairs(block[:, len(block) :])
    if queries is None:
        return Pairs(same, other)
    return Pairs((queries * same - 1) / (queries - 1) if queries > 1 else float("nan"), other)


def moved(probe: Probe, order: str, features: str) -> Pairs | None:
    """Return the displacement of `features` ("support" or "query") along those of the other set in `order`."""
    pull = probe["feature_pull"][order][features]
    return None if pull["same"] is None or pull["other"] is None else Pairs(pull["same"], pull["other"])


def probe_number(record: TrialRecord, probe: Probe, metric: str) -> Number:
    """Return `metric` of one of `record`'s probes.

    Displacements are relative, (change / norm of the feature) per (step / norm of the encoder), for the trial's own
    order.
    """
    if metric in ("support_moved", "query_moved") and "feature_pull" not in probe:
        return Number(float("nan"), f"probe at step {probe['step']} is of a version without feature_pull")
    value = _NUMBERS[metric](record, probe)
    if value is None:
        return Number(float("nan"), f"{metric} at step {probe['step']} is not finite")
    return Number(value, "")


def _pairs(matrix: np.ndarray) -> Pairs:
    same = np.eye(len(matrix), dtype=bool)
    return Pairs(float(matrix[same].mean()), float(matrix[~same].mean()))


def _gap_of(kind: Callable[[np.ndarray], Pairs]) -> Callable[[TrialRecord, Probe], float | None]:
    def number(record: TrialRecord, probe: Probe) -> float | None:
        block = blocks(probe)
        return None if block is None else kind(block).gap

    return number


def _moved_of(features: str) -> Callable[[TrialRecord, Probe], float | None]:
    def number(record: TrialRecord, probe: Probe) -> float | None:
        pairs = moved(probe, record["config"]["order"], features)
        return None if pairs is None else pairs.gap

    return number


_NUMBERS: Mapping[str, Callable[[TrialRecord, Probe], float | None]] = {
    "support_query_gap": _gap_of(support_query),
    "query_query_gap": _gap_of(query_query),
    "positive_share": lambda record, probe: float(np.mean(probe["positive"])),
    "support_moved": _moved_of("support"),
    "query_moved": _moved_of("query"),
}
