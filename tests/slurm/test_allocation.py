"""docs/slurm.sh on a real Slurm: Ray on two nodes of one allocation, a sweep on both, and the warning of its limit.

It takes two minutes, so it runs with SWEEPER_LONG alone.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sweeper.results.fold import fold
from tests.budget import LONG
from tests.chaos.program import sweep_text
from tests.places import ROOT
from tests.sweeper.tiny import TINY
from tests.waiting import wait_until

pytestmark = [pytest.mark.slurm, pytest.mark.slow, pytest.mark.skipif(not LONG, reason="only with SWEEPER_LONG")]


@pytest.fixture
def submit(tmp_path, cluster):
    """Return a function that gives the script to sbatch for two nodes of one core, and returns the job."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, module in (("sweeper", "sweeper"), ("ray", "ray.scripts.scripts")):
        (programs / name).write_text(f'#!/bin/bash\nexec {sys.executable} -m {module} "$@"\n')
        (programs / name).chmod(0o755)
    own = {"PATH": f"{programs}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)} | cluster.environment

    def submit(*words, options=()):
        given = ["sbatch", "--parsable", "--nodes=2", "--cpus-per-task=1", f"--output={tmp_path}/job.log", *options]
        given += [str(ROOT / "docs/slurm.sh"), *words, "--device", "cpu", "--tracking-uri", "none"]
        done = subprocess.run(given, cwd=tmp_path, env=os.environ | own, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    yield submit
    cluster.run("scancel", "--user=root", check=False)
    wait_until(lambda: not cluster.jobs(), "an empty queue")


def told(folder: Path) -> str:
    path = folder / "job.log"
    return path.read_text(errors="replace") if path.exists() else ""


def test_ray_on_two_nodes_of_one_allocation_trains_the_sweep_and_goes(submit, cluster, tmp_path):
    (tmp_path / "tiny.yaml").write_text(TINY, encoding="utf-8")
    submit("tiny.yaml")
    wait_until(lambda: not cluster.jobs(), lambda: told(tmp_path))
    said = told(tmp_path)
    assert "4 planned: 4 done" in said, said
    journals = list((tmp_path / "results/trials").glob("*/journal.jsonl"))
    assert [fold(path)["status"] for path in journals] == ["done"] * 4
    left = subprocess.run(["pgrep", "-f", f"{tmp_path}"], capture_output=True, text=True, check=False).stdout.split()
    assert not left, left


def test_the_warning_before_the_time_limit_saves(submit, cluster, tmp_path):
    (tmp_path / "long.yaml").write_text(sweep_text("long", 2).replace("outer_steps: 500", "outer_steps: 200000"))
    submit("long.yaml", options=["--signal=B:TERM@60", "--time=3"])
    wait_until(lambda: not cluster.jobs(), lambda: told(tmp_path))
    said = told(tmp_path)
    assert "Stopped; everything is saved." in said, said
    journals = list((tmp_path / "results/trials").glob("*/journal.jsonl"))
    assert {fold(path)["status"] for path in journals} == {"interrupted"}
