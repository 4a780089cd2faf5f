"""A worker sees the GPUs that Ray has allotted to it and no other; Ray counts GPUs that it is told of, there or not.

That a run on its own Ray shows a worker on CPUs none is in test_run.
"""

import shutil

import pytest

from tests.sweeper.command import environment, sweeper
from tests.sweeper.tiny import TINY

pytestmark = pytest.mark.slow

PEEKING = """
import os, pathlib, sweeper.executors.ray.tune

class Peeking(sweeper.executors.ray.tune._Trainable):
    def setup(self, config):
        super().setup(config)
        import torch
        found = os.environ["CUDA_VISIBLE_DEVICES"], torch.cuda.device_count()
        pathlib.Path("FOLDER", str(os.getpid())).write_text(" ".join(map(str, found)))

sweeper.executors.ray.tune._Trainable = Peeking
from sweeper.cli import main
main()
"""


@pytest.fixture
def seen(tmp_path):
    """Return a function that runs the tiny sweep and returns what its workers saw, a (variable, count) each."""
    (tmp_path / "tiny.yaml").write_text(TINY, encoding="utf-8")

    def run(device, *words, **extra):
        folder = tmp_path / device
        folder.mkdir()
        words = ("--device", device, "--pack", "1", "--results", f"of-{device}", "--tracking-uri", "none", *words)
        ended = sweeper(
            "run", "tiny.yaml", *words, cwd=tmp_path, program=PEEKING.replace("FOLDER", str(folder)), **extra
        )
        assert "Traceback" not in ended.err
        return sorted(path.read_text().rpartition(" ")[0] for path in folder.iterdir()), ended

    return run


@pytest.mark.cluster
def test_on_a_cluster_a_worker_sees_one_gpu_of_its_own_or_none(cluster, seen):
    cluster.add(2, more=("--num-gpus", "2"), CUDA_VISIBLE_DEVICES="4,7").wait()
    there = ("--address", cluster.address)
    found, ended = seen("cuda", *there, RAY_AUTH_TOKEN=cluster.token)
    assert "4 to run on cuda (room for 2 workers on 1 nodes" in ended.err
    assert set(found) == {"4", "7"}, ended.err
    found, ended = seen("cpu", *there, RAY_AUTH_TOKEN=cluster.token)
    assert ended.code == 0, ended.err
    assert set(found) == {""}


@pytest.mark.skipif(shutil.which("nvidia-smi") is None, reason="no NVIDIA GPU here (no nvidia-smi)")
def test_with_a_real_gpu_torch_counts_what_was_allotted(seen, tmp_path):
    assert "CUDA_VISIBLE_DEVICES" not in environment()
    for device, count in (("cpu", "0"), ("cuda", "1")):
        _, ended = seen(device)
        assert ended.code == 0, ended.err
        assert {path.read_text().rpartition(" ")[2] for path in (tmp_path / device).iterdir()} == {count}
