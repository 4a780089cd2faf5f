"""Fixtures for tests of every package."""

import os
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.places import ROOT
from trainers.data import strokes
from trainers.data.datasets import STROKES_SEED


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Return the folder of the real data sets, or skip the test where there is none."""
    beside = ROOT.parent / "shared" / "data"
    folder = Path(os.environ.get("SWEEPER_DATA", beside))
    if not folder.is_dir():
        pytest.skip(f"no real data in {folder}: set SWEEPER_DATA, or put it into {beside}")
    return folder


@pytest.fixture(scope="session")
def characters() -> NDArray[np.uint8]:
    """Return the synthetic characters, drawn once; they can't be written to."""
    drawn = strokes.make(STROKES_SEED)
    drawn.flags.writeable = False
    return drawn


@pytest.fixture
def drawn_before(characters: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `strokes.make` return the characters that are drawn already: drawing takes a second of a CPU."""
    monkeypatch.setattr(strokes, "make", {STROKES_SEED: characters}.__getitem__)
