"""A played Slurm on PATH, for tests that submit and run slots without one."""

import os

import pytest

from tests.slurm.played import Played


@pytest.fixture
def played(tmp_path, monkeypatch):
    """Return a Slurm that starts nothing; its commands are first on PATH, also for processes that a test starts."""
    found = Played(tmp_path / "played")
    for name, value in found.environment.items():
        monkeypatch.setenv(name, value)
    for name in [name for name in os.environ if name.startswith(("SLURM_", "SBATCH_"))]:
        monkeypatch.delenv(name)
    return found
