"""Slots on a real Slurm: submitted, preempted, queued again, found again, stopped. One cluster, few jobs."""

import json

import pytest

from tests.chaos.program import Size
from tests.slurm.lab import Lab, undisturbed
from tests.waiting import wait_until

pytestmark = [pytest.mark.slurm, pytest.mark.slow]

SIZE = Size(300, 100, 150, 5)


@pytest.fixture
def lab(tmp_path, cluster):
    found = Lab(tmp_path, cluster, size=SIZE)
    yield found
    cluster.run("scancel", "--user=root", check=False)
    found.until_idle()


def test_a_preempted_sweep_ends_with_the_bits_of_an_undisturbed_one(lab, cluster, tmp_path_factory):
    done = lab.run()
    assert done.code == 0, done.err
    assert "submitted 4 trials to 2 slots" in done.err
    lab.until(0.2)
    status = json.loads(lab.told("status", "slurm.yaml", "--json").out)
    assert status["slurm"]["running"] + status["slurm"]["queued"] + status["done"] == 4
    words = ["sbatch", "--parsable", "--partition=high", "--array=0-1", "--output=/dev/null", "--wrap=sleep 1"]
    cluster.run(*words)
    wait_until(lambda: "is queued again" in lab.story() or lab.done() == 4, "the preemption")
    lab.until_idle()
    assert "Traceback" not in lab.story()
    lab.finish()
    assert lab.assert_ended_as(undisturbed(tmp_path_factory.mktemp("inline"), SIZE)) == (0, 0)
    assert not lab.slots()
    again = lab.run()
    assert "4 done; 0 to run" in again.err, again.err
