"""Slots on a real Slurm: submitted, preempted, queued again, found again, stopped. One cluster, few jobs."""

import os
import shutil

import pytest

from tests.chaos.program import Size
from tests.slurm.lab import Lab, undisturbed
from tests.waiting import wait_until

pytestmark = [pytest.mark.slurm, pytest.mark.slow]

SIZE = Size(400, 1, 1, 1)
"""Less than two seconds a trial, which are slept."""


@pytest.fixture
def lab(tmp_path, cluster):
    found = Lab(tmp_path, cluster, size=SIZE, program=True)
    yield found
    cluster.run("scancel", "--user=root", check=False)
    found.until_idle()


def test_what_sbatch_refuses_is_told_and_a_command_that_dies_in_it_has_its_job_found_again(lab, cluster, tmp_path):
    """The slots never begin: the partition is down."""
    refused = lab.run("--slurm", "partition=nowhere")
    assert refused.code == 2
    assert "sbatch: error: invalid partition specified: nowhere" in refused.err
    assert not list(lab.results.slurm.glob("0*"))
    cluster.run("scontrol", "update", "partitionname=low", "state=down")
    try:
        deadly = tmp_path / "deadly"
        deadly.mkdir()
        (deadly / "sbatch").write_text(f'#!/bin/bash\n{shutil.which("sbatch")} "$@" && kill -9 $PPID\n')
        (deadly / "sbatch").chmod(0o755)
        lab.extra["PATH"] = f"{deadly}:{os.environ['PATH']}"
        assert lab.run().code == -9
        del lab.extra["PATH"]
        again = lab.run()
        assert again.code == 0, again.err
        assert "is found again by its name sweeper-" in again.err
        assert "nothing to submit" in again.err
        assert len(cluster.jobs("PENDING")) == 2
        assert "reason PartitionDown" in lab.told("plan", "slurm.yaml").out
        stopped = lab.told("stop")
        assert "2 jobs have left Slurm" in stopped.err, stopped.err
        assert not cluster.jobs()
    finally:
        cluster.run("scontrol", "update", "partitionname=low", "state=up")


def test_a_preempted_sweep_ends_with_the_bits_of_an_undisturbed_one(tmp_path, cluster, tmp_path_factory):
    """Slurm takes its time for a preemption, so the trials wait in their middle until both slots are preempted."""
    lab = Lab(tmp_path, cluster, size=SIZE, program=True, held=True)
    try:
        done = lab.run()
        assert done.code == 0, done.err
        assert "submitted 4 trials to 2 slots" in done.err
        lab.until(0.2)
        assert " on a (job " in lab.told("status", "slurm.yaml").out
        words = ["sbatch", "--parsable", "--partition=high", "--array=0-1", "--output=/dev/null", "--wrap=sleep 1"]
        cluster.run(*words)
        wait_until(lambda: lab.story().count("DUE TO PREEMPTION") >= 2, lambda: f"two preemptions\n{cluster.story()}")
        lab.let_go()
        lab.until_idle()
        assert "Traceback" not in lab.story() and "failed" not in lab.story(), lab.story()
        lab.finish()
        inline = undisturbed(tmp_path_factory.mktemp("inline"), SIZE, program=True, held=True)
        assert lab.assert_ended_as(inline) == (0, 0)
        assert not lab.slots()
        again = lab.run()
        assert "4 done; 0 to run" in again.err, again.err
    finally:
        cluster.run("scancel", "--user=root", check=False)
        lab.until_idle()
