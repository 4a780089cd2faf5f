"""One trained sweep and its archive, for each module of tests."""

from contextlib import chdir
from pathlib import Path

import pytest
from click.testing import CliRunner

from sweeper.cli import main
from tests.sweeper.tiny import TINY

PASSWORD = "hunter2-is-secret"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Train the tiny sweep once, inline and without a store, under an environment with a secret in it."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "tiny.yaml").write_text(TINY)
    secret = {"MLFLOW_TRACKING_URI": f"http://me:{PASSWORD}@127.0.0.1:9", "MLFLOW_TRACKING_PASSWORD": PASSWORD}
    with chdir(folder), pytest.MonkeyPatch.context() as steady:
        steady.setattr("sweeper.worker.work.CHECKPOINT_EVERY_S", float("inf"))
        words = ["run", "tiny.yaml", "--executor", "inline", "--tracking-uri", "none"]
        ended = CliRunner().invoke(main, words, env=secret)
        assert ended.exit_code == 0, ended.stderr
        exported = CliRunner().invoke(main, ["export", "tiny.yaml"], env=secret)
    assert exported.exit_code == 0, exported.stderr
    assert exported.stdout == "tiny.zip\n"
    return folder


@pytest.fixture
def exported(trained) -> Path:
    return trained / "tiny.zip"
