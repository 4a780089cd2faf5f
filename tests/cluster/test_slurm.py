"""docs/slurm.sh with SLURM's commands played by the test: real Ray and a real run on two nodes of this machine."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from sweeper.results.fold import fold
from tests.chaos.program import sweep_text
from tests.cluster.lab import ROOT
from tests.sweeper.command import environment, sweeper
from tests.sweeper.tiny import TINY
from tests.waiting import HANG_S, wait_until

SCRIPT = ROOT / "docs/slurm.sh"
FAKES = {
    "scontrol": '[ "$*" = "show hostnames one,two" ] && printf "one\\ntwo\\n"',
    "srun": 'echo "$*" >> "$FAKE_LOG"; while [ "${1#--}" != "$1" ]; do shift; done; exec "$@"',
    "hostname": "echo 127.0.1.1 ::1",
    "ray": f'exec {sys.executable} -m ray.scripts.scripts "$@"',
    "sweeper": f'exec {sys.executable} -m sweeper "$@"',
}


def test_the_script_is_well_formed():
    subprocess.run(["bash", "-n", str(SCRIPT)], check=True)


@pytest.fixture
def submit(tmp_path):
    """Return a function that runs the script as SLURM's batch shell would, on two nodes of one CPU."""
    fakes = tmp_path / "fakes"
    fakes.mkdir()
    for name, body in FAKES.items():
        (fakes / name).write_text(f"#!/bin/bash\n{body}\n")
        (fakes / name).chmod(0o755)
    started = []

    def run(*words):
        job = {
            "SLURM_JOB_ID": str(os.getpid() + len(started)),  # its last four digits are the port's
            "SLURM_JOB_NODELIST": "one,two",
            "SLURM_JOB_NUM_NODES": "2",
            "SLURM_CPUS_PER_TASK": "1",
        }
        own = {"PATH": f"{fakes}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT), "RAY_TMPDIR": "/tmp"}
        started.append(
            subprocess.Popen(
                [str(SCRIPT), *words, "--device", "cpu", "--tracking-uri", "none"],
                cwd=tmp_path,
                env=environment(FAKE_LOG=str(tmp_path / "srun.log"), **own) | job,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
        )
        return started[-1]

    yield run
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(HANG_S)


@pytest.mark.slow
@pytest.mark.cluster
def test_it_starts_ray_on_every_node_runs_the_sweep_and_leaves_its_exit_code(submit, tmp_path):
    (tmp_path / "tiny.yaml").write_text(TINY, encoding="utf-8")
    process = submit("tiny.yaml")
    said, _ = process.communicate(timeout=HANG_S)
    assert process.returncode == 0, said
    assert "4 planned: 4 done" in said
    first, *_, head, other = (tmp_path / "srun.log").read_text().splitlines()
    assert first.startswith("--nodes=1 --ntasks=1 --nodelist=one bash -c ")
    assert head.startswith("--nodes=1 --ntasks=1 --nodelist=one ray start --head --block --port=")
    assert other.startswith("--nodes=1 --ntasks=1 --exclude=one ray start --block --address=127.0.0.1:")
    told = sweeper("status", "tiny.yaml", "--json", cwd=tmp_path)
    assert json.loads(told.out)["done"] == 4
    assert submit("nowhere.yaml").wait(HANG_S) == 2


@pytest.mark.slow
@pytest.mark.cluster
def test_slurms_warning_saves_and_leaves(submit, tmp_path):
    (tmp_path / "long.yaml").write_text(sweep_text("long", 2).replace("outer_steps: 500", "outer_steps: 20000"))
    process = submit("long.yaml")
    journals = tmp_path / "results/trials"
    wait_until(lambda: list(journals.glob("*/a1/trial.log")), "the first trial")
    time.sleep(1)
    os.kill(process.pid, signal.SIGTERM)
    said, _ = process.communicate(timeout=HANG_S)
    assert process.returncode == 143, said
    assert "Stopped; everything is saved." in said
    assert {fold(path)["status"] for path in journals.glob("*/journal.jsonl")} == {"interrupted"}
