"""Endpoints of MAML's metrics as a sweep file declares them, for tests that make one by hand."""

from typing import Any

from analysis.contract.question import Endpoint
from trainers.maml.measured import METRICS

PROBED = sorted(name for name, metric in METRICS.items() if metric.measured == "probes")


def endpoint_of(metric: str, *, at: Any = "last", window: int = 1, **coordinates: Any) -> Endpoint:
    """Return the endpoint of a metric of MAML; an accuracy takes `head` and `steps`."""
    return Endpoint.of(metric, vars(METRICS[metric]), coordinates, at=at, window=window)


def read_otherwise(endpoint: Endpoint, **changed: Any) -> Endpoint:
    """Return `endpoint` with another metric, head, steps, `at` or window."""
    kept = {"metric": endpoint.metric, "at": endpoint.at, "window": endpoint.window} | dict(endpoint.coordinates)
    return endpoint_of(**kept | changed)
