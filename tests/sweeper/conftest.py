"""A tiny sweep on synthetic characters, and the parts of a run around it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from sweeper.planning.expand import expand
from sweeper.planning.trial_spec import TrialSpec
from sweeper.results.paths import Results
from sweeper.sweepfile.sweep import load
from tests.sweeper.tiny import TINY


@pytest.fixture
def write_sweep(tmp_path: Path) -> Callable[..., Path]:
    """Return a writer of the tiny sweep into tmp_path, with the line of the same key replaced by each given."""

    def write(*lines: str) -> Path:
        text = TINY
        for line in lines:
            key = line.strip().partition(":")[0]
            old = next(found for found in TINY.splitlines() if found.strip().startswith(f"{key}:"))
            text = text.replace(old, line)
        path = tmp_path / "tiny.yaml"
        path.write_text(text)
        return path

    return write


@pytest.fixture
def specs(write_sweep: Callable[..., Path]) -> tuple[TrialSpec, ...]:
    """Return the four trials of the tiny sweep."""
    return expand(load(write_sweep()))


@pytest.fixture
def results(tmp_path: Path) -> Results:
    """Return an empty results folder."""
    return Results.at(tmp_path / "results")
