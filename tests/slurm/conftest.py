"""A real Slurm, where it is installed and root may start it; elsewhere its tests are skipped with the reason."""

import subprocess

import pytest

from tests.slurm.cluster import Cluster, NotStartedError, why_not


@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    """Return a Slurm of two idle nodes that lives as long as the tests of this process."""
    if reason := why_not():
        pytest.skip(reason)
    found = Cluster(tmp_path_factory.mktemp("slurm"))
    try:
        try:
            found.start()
        except (OSError, subprocess.SubprocessError, NotStartedError) as error:
            pytest.skip(f"Slurm's daemons can't be started here: {error}")
        yield found
    finally:
        found.stop()
