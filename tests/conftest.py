"""Fixtures for tests of every package."""

import os
from pathlib import Path

import pytest

from tests.places import ROOT


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Return the folder of the real data sets, or skip the test where there is none."""
    beside = ROOT.parent / "shared" / "data"
    folder = Path(os.environ.get("SWEEPER_DATA", beside))
    if not folder.is_dir():
        pytest.skip(f"no real data in {folder}: set SWEEPER_DATA, or put it into {beside}")
    return folder
