"""A Ray cluster for tests that leave it as it was; and which tests are for `make cluster-test` alone."""

import os
from collections.abc import Iterator

import pytest

from tests.cluster.lab import Cluster


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """Return a cluster of a head without CPUs, with no node yet."""
    found = Cluster()
    try:
        yield found
    finally:
        found.close()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if not os.environ.get("SWEEPER_CLUSTER_FULL"):
        skip = pytest.mark.skip(reason="minutes of waiting for Ray; `make cluster-test` runs it")
        for item in items:
            if item.get_closest_marker("cluster"):
                item.add_marker(skip)
