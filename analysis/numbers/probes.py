"""Numbers out of a record's probes: one a probe for every metric of `PROBES`, and what else figures show of them.

Reads what `trainers.maml.probes.Probe` writes; None stands there for a number that isn't finite, and stays None here.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from analysis.contract.record import Metric, TrialRecord

Probe = Mapping[str, Any]


class Title(NamedTuple):
    """How a metric is called on an axis with its unit, and in a sentence; `scale` makes the unit of a number."""

    axis: str
    words: str
    scale: float


TITLES: Mapping[Metric, Title] = {
    "support_query_gap": Title(
        "cosine gap, query to support",
        "Mean cosine similarity of query and support features, same class minus other classes",
        1.0,
    ),
    "query_query_gap": Title(
        "cosine gap, query to query",
        "Mean cosine similarity of query features, same class (self-pairs included) minus other classes",
        1.0,
    ),
    "positive_share": Title(
        "positive coefficients (% of pairs)",
        "Share of (support, query) pairs with a positive contrastive coefficient",
        100.0,
    ),
    "support_moved": Title(
        "support displacement (relative)",
        "Displacement of support features along query features by one outer step, same class minus other classes, in "
        "own lengths per length of the encoder",
        1.0,
    ),
    "query_moved": Title(
        "query displacement (relative)",
        "Displacement of query features along support features by one outer step, same class minus other classes, in "
        "own lengths per length of the encoder",
        1.0,
    ),
}


class Pairs(NamedTuple):
    """A mean over pairs of images of one class, and one over pairs of two."""

    same: float
    other: float

    @property
    def gap(self) -> float:
        """Same class minus other class."""
        return self.same - self.other


class Number(NamedTuple):
    """A number, or NaN with the reason why there is none."""

    value: float
    reason: str


def blocks(probe: Probe) -> np.ndarray | None:
    """Return the cosines of the N query classes (N, 2N): to the N support classes, then to the N query classes."""
    cosine = probe["cosine"]
    if any(value is None for row in cosine for value in row):
        return None
    return np.array(cosine[len(cosine) // 2 :])


def support_query(block: np.ndarray) -> Pairs:
    """Return the mean cosine of a query class and a support class, from `blocks`."""
    return _pairs(block[:, : len(block)])


def query_query(block: np.ndarray, queries: int | None = None) -> Pairs:
    """Return the mean cosine of two query classes, from `blocks`.

    Of one class that is over all pairs, an image with itself included, as in the paper's Fig. 2. Given the number of
    `queries` of a class, self-pairs, whose cosine is 1, are left out (NaN for one query).
    """
    same, other = _pairs(block[:, len(block) :])
    if queries is None:
        return Pairs(same, other)
    return Pairs((queries * same - 1) / (queries - 1) if queries > 1 else float("nan"), other)


def moved(probe: Probe, order: str, who: str) -> Pairs | None:
    """Return how far features of `who` ("support" or "query") move in `order` along those of the other set."""
    pull = probe["feature_pull"][order][who]
    return None if pull["same"] is None or pull["other"] is None else Pairs(pull["same"], pull["other"])


def probe_number(record: TrialRecord, probe: Probe, metric: Metric) -> Number:
    """Return `metric` of one of `record`'s probes.

    Cosine gaps are between -2 and 2, shares fractions, and displacements in own lengths of the feature per own length
    of the encoder, of the trial's own order.
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
        found = blocks(probe)
        return None if found is None else kind(found).gap

    return number


def _moved_of(who: str) -> Callable[[TrialRecord, Probe], float | None]:
    def number(record: TrialRecord, probe: Probe) -> float | None:
        found = moved(probe, record["config"]["order"], who)
        return None if found is None else found.gap

    return number


_NUMBERS: Mapping[Metric, Callable[[TrialRecord, Probe], float | None]] = {
    "support_query_gap": _gap_of(support_query),
    "query_query_gap": _gap_of(query_query),
    "positive_share": lambda record, probe: float(np.mean(probe["positive"])),
    "support_moved": _moved_of("support"),
    "query_moved": _moved_of("query"),
}
