"""`ray job submit`: a driver on the cluster's head, which lives on when whoever submitted it has gone."""

import importlib.util
import subprocess
import sys

import pytest

from tests.cluster.lab import RAY, Cluster
from tests.sweeper.command import environment
from tests.sweeper.tiny import TINY
from tests.waiting import HANG_S, wait_until

SERVED = ("aiohttp_cors", "colorful", "opencensus", "virtualenv")
"""Of what `ray[default]` brings for the job server."""
MISSING = [name for name in SERVED if importlib.util.find_spec(name) is None]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(MISSING), reason=f"no {', '.join(MISSING)}: pip install '.[cluster]' for Ray's job server"),
]


@pytest.fixture
def cluster():
    found = Cluster(jobs=True)
    try:
        yield found
    finally:
        found.close()


def test_a_submitted_run_goes_on_without_its_submitter(cluster, tmp_path):
    (tmp_path / "tiny.yaml").write_text(TINY, encoding="utf-8")

    def job(verb, *words, **extra):
        shown = environment(RAY_AUTH_MODE="token") | {"RAY_AUTH_TOKEN": cluster.token} | extra
        command = [*RAY, "job", verb, "--address", f"http://{cluster.jobs}", *words]
        return subprocess.run(command, env=shown, capture_output=True, text=True, timeout=HANG_S, cwd=tmp_path)

    cluster.add(1).wait()
    wait_until(lambda: job("list").returncode == 0, cluster.head.said)
    refused = job("list", RAY_AUTH_TOKEN="another")
    assert refused.returncode != 0
    run = [sys.executable, "-m", "sweeper", "run", str(tmp_path / "tiny.yaml"), "--address", "auto", "--device", "cpu"]
    run += ["--results", str(tmp_path / "results"), "--tracking-uri", "none"]
    submitted = job("submit", "--no-wait", "--submission-id", "tiny", "--", *run)
    assert submitted.returncode == 0, submitted.stdout + submitted.stderr

    def over():
        told = job("status", "tiny")
        assert "failed" not in told.stdout + told.stderr, job("logs", "tiny").stdout
        return "succeeded" in told.stdout + told.stderr

    wait_until(over, cluster.head.said)
    assert "4 planned: 4 done" in job("logs", "tiny").stdout
