"""A tiny sweep on synthetic characters, and the parts of a run around it."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from sweeper.planning.expand import expand
from sweeper.planning.trial_spec import TrialSpec
from sweeper.results.paths import Results
from sweeper.sweepfile.sweep import load
from tests.sweeper.stores import real_server
from tests.sweeper.tiny import write_tiny


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Return the port of one real MLflow server, which nobody ends; each test has an experiment of its own there."""
    with real_server(tmp_path_factory.mktemp("server")) as port:
        yield port


@pytest.fixture
def write_sweep(tmp_path: Path) -> Callable[..., Path]:
    """Return a writer of the tiny sweep into tmp_path, with the line of the same key replaced by each given."""
    return partial(write_tiny, tmp_path)


@pytest.fixture
def specs(write_sweep: Callable[..., Path]) -> tuple[TrialSpec, ...]:
    """Return the four trials of the tiny sweep."""
    return expand(load(write_sweep()))


@pytest.fixture
def results(tmp_path: Path) -> Results:
    """Return an empty results folder."""
    return Results.at(tmp_path / "results")
