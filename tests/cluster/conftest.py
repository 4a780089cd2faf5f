"""A Ray cluster for tests that leave it as it was."""

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
