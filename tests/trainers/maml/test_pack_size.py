"""How large packs are: by what was measured, within the memory, no larger than pays."""

import json
import os
import sys

import pytest
import torch

from tests.forks import fork
from tests.places import ROOT
from tests.trainers.played_gpu import played_gpu
from tests.waiting import HANG_S
from trainers.data.datasets import prepare
from trainers.maml import pack_size
from trainers.maml.engines.captured import WARM_UP
from trainers.maml.pack_size import OF_MEMORY, Measured, best, measure, work
from trainers.maml.train import train


def test_the_size_that_makes_most_steps_is_best_and_of_nearly_equal_ones_the_smallest():
    assert (
        best([Measured(1, 1.0, None), Measured(2, 1.1, None), Measured(4, 1.5, None), Measured(8, 3.0, None)], None)
        == 4
    )
    assert best([Measured(1, 1.0, None), Measured(2, 1.0, None), Measured(4, 1.98, None)], None) == 2
    assert best([Measured(1, 1.0, None), Measured(2, 2.2, None)], None) == 1


def test_what_does_not_fit_is_not_taken_however_fast():
    sizes = [Measured(1, 1.0, 100), Measured(2, 1.0, 200), Measured(4, 1.0, 400)]
    assert best(sizes, 1000) == 4
    assert best(sizes, 499) == 2
    assert best(sizes, 10) == 1


@pytest.mark.slow
def test_growing_packs_are_tried_until_one_does_not_fit(tiny, noise, monkeypatch):
    assert [one.runs for one in measure(tiny(), noise, "loop", 5)] == [1, 2, 4]

    def small(configs, *given, **named):
        if len(configs) > 1:
            raise torch.cuda.OutOfMemoryError
        return train(configs, *given, **named)

    monkeypatch.setattr("trainers.maml.train.train", small)
    assert [one.runs for one in measure(tiny(), noise, "loop", 5)] == [1]


def test_a_trial_that_probes_and_passes_is_measured_too(tiny, noise):
    config = tiny(probe_every=1, probe_first=1, final_episodes=3, final_steps=4, eval_every=1)
    (one,) = measure(config, noise, "loop", 1)
    assert 0 < one.step_s < 60
    assert one.peak_bytes > 2**20


def test_more_images_and_larger_ones_are_more_work(tiny):
    assert work(tiny()) < work(tiny(ways=4)) < work(tiny(ways=4, inner_steps=9))
    assert work(tiny()) < work(tiny(dataset="mini_imagenet", network="conv4_pooled"))


@pytest.fixture
def words(tmp_path, tiny):
    path = tmp_path / "config.json"
    path.write_text(json.dumps(tiny().model_dump()))
    return [str(path), "--most", "2", "--engine", "loop", "--device"]


@pytest.mark.slow
def test_the_command_prints_what_to_use(words):
    program = "import runpy; runpy.run_module('trainers.maml.pack_size', run_name='__main__')"
    process = fork(program, [*words, "cpu"], cwd=ROOT, env=os.environ)
    out, err = process.communicate(timeout=HANG_S)
    assert process.returncode == 0, err
    found = json.loads(out)
    assert found["runs"] in (1, 2)
    assert [one["runs"] for one in found["measured"]] == [1, 2]


@pytest.mark.skipif(torch.cuda.is_available(), reason="a CUDA device is here")
def test_the_command_says_that_there_is_no_gpu(words, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["pack_size", *words, "cuda"])
    assert pack_size.main() == 2
    printed, said = capsys.readouterr()
    assert printed == ""
    assert "torch sees no CUDA device here" in said


@pytest.fixture
def on_a_gpu(tmp_path, tiny, monkeypatch, capsys):
    """Return a function that measures with the command on a played GPU, where each step takes one second."""
    seconds = iter(range(10**6))
    monkeypatch.setattr(pack_size.time, "perf_counter", lambda: float(next(seconds)))
    monkeypatch.setattr(pack_size, "ROUNDS", WARM_UP)
    monkeypatch.setattr("trainers.data.datasets.data_root", lambda given: tmp_path)
    prepare("strokes", tmp_path)
    config = tmp_path / "config.json"
    config.write_text(json.dumps(tiny(order="first", inner_steps=1, meta_batch_size=1).model_dump()))

    def found(engine, most, total_bytes=2**40):
        words = [str(config), "--most", str(most), "--engine", engine, "--device", "cuda"]
        monkeypatch.setattr(sys, "argv", ["pack_size", *words])
        with played_gpu(monkeypatch, total_bytes) as gpu:
            code = pack_size.main()
            assert len(gpu.graphs) == 0
        printed, said = capsys.readouterr()
        return json.loads(printed) if code == 0 else (code, said)

    return found


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["graph", "vmap"])
def test_the_search_on_a_gpu_grows_keeps_to_the_memory_and_goes_back_after_out_of_memory(on_a_gpu, engine):
    roomy = on_a_gpu(engine, 3)
    assert [one["runs"] for one in roomy["measured"]] == [1, 2]
    assert roomy["runs"] == 2  # a step of any size takes one second here
    peaks = [one["peak_bytes"] for one in roomy["measured"]]
    assert 1.9 * peaks[0] < peaks[1] < 2.1 * peaks[0]  # nothing of the smaller pack is left

    tight = on_a_gpu(engine, 3, int(1.1 * peaks[1]))
    assert [one["peak_bytes"] for one in tight["measured"]] == pytest.approx(peaks, rel=1e-3)
    assert peaks[1] > OF_MEMORY * tight["free_bytes"] > peaks[0]
    assert tight["runs"] == 1

    small = on_a_gpu(engine, 3, int(0.9 * peaks[1]))
    assert [one["peak_bytes"] for one in small["measured"]] == pytest.approx(peaks[:1], rel=1e-3)
    assert small["runs"] == 1

    assert on_a_gpu(engine, 3, int(0.9 * peaks[0])) == (2, "one run alone does not fit into the memory of this GPU\n")
