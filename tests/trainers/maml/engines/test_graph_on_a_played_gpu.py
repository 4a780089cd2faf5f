"""What the graph engine does on a GPU, told by the calls that it makes, and its results against the eager engine's."""

import pytest
import torch

from tests.trainers.played_gpu import PlayedGpu, played_gpu
from tests.trainers.trained import same_bits
from trainers.maml.engines.captured import WARM_UP
from trainers.maml.engines.engines import VmapEngine
from trainers.maml.train import train

pytestmark = pytest.mark.slow

CAPTURED = ["side waits for main", "on side", *["step"] * WARM_UP, "on main", "main waits for side", "graph made",
            "capture", "step", "captured", "replay"]  # fmt: skip
VARIANTS = {
    "zeroing": {"zero_head_every": 2},
    "after the update": {"zero_head_every": 1, "zero_head_when": "after_update"},
    "second order": {"order": "second"},
}


@pytest.fixture
def gpu(monkeypatch):
    """Play a GPU, on whose list of calls each outer gradient is a "step"."""
    honest = VmapEngine.meta_gradient
    with played_gpu(monkeypatch) as gpu:

        def noted(self, *given):
            gpu.calls.append("step")
            return honest(self, *given)

        monkeypatch.setattr(VmapEngine, "meta_gradient", noted)
        yield gpu


def configs_of(tiny, count=2, **values):
    small = {"order": "first", "inner_steps": 1, "meta_batch_size": 1, "outer_steps": 4, "eval_every": 3}
    return [tiny(seed=seed, **small | {"eval_episodes": 2} | values) for seed in range(count)]


def seen(chunks):
    """Return the states of each chunk, with what its runs report."""
    return [(chunk.states(), [(run.status, run.message, run.records) for run in chunk.runs]) for chunk in chunks]


def assert_same(found, wanted):
    assert [runs for _, runs in found] == [runs for _, runs in wanted]
    for (states, _), (others, _) in zip(found, wanted, strict=True):
        assert all(map(same_bits, states, others))


@pytest.mark.parametrize(
    "variant",
    [pytest.param(value, id=name) for name, value in VARIANTS.items()],
)
def test_a_training_warms_up_captures_once_replays_each_step_and_ends_as_the_eager_one(
    tiny, noise, monkeypatch, variant
):
    """Each step has other inputs, and each chunk's state must outlive the next replay."""
    configs = configs_of(tiny, **variant)
    wanted = seen(list(train(configs, noise, engine="vmap", chunk_s=0)))
    honest, calls = VmapEngine.meta_gradient, []
    with played_gpu(monkeypatch) as gpu:

        def noted(self, *given):
            gpu.calls.append("step")
            return honest(self, *given)

        monkeypatch.setattr(VmapEngine, "meta_gradient", noted)
        chunks = list(train(configs, noise, engine="graph", chunk_s=0))
        calls = list(gpu.calls)
        found = seen(chunks)
    assert_same(found, wanted)
    assert calls == [*CAPTURED, *["replay"] * 3]


def test_each_pack_captures_its_own_graph_and_no_graph_outlives_its_pack(tiny, noise, gpu):
    """A worker trains pack after pack, so what a pack holds must be free before the next one begins."""
    before = gpu.used_bytes
    for count in (1, 2, 2):
        gpu.calls.clear()
        for chunk in train(configs_of(tiny, count), noise, engine="graph", chunk_s=60):
            assert [run.status for run in chunk.runs] == ["done"] * count
            assert len(gpu.graphs) == 1
            assert gpu.used_bytes > before
        del chunk
        assert gpu.calls == [*CAPTURED, *["replay"] * 3]
        assert len(gpu.graphs) == 0
        assert gpu.used_bytes == before


def test_a_resumed_pack_captures_again_and_goes_on_as_if_it_had_not_stopped(tiny, noise, gpu):
    configs = configs_of(tiny, outer_steps=5)
    *_, whole = train(configs, noise, engine="graph", chunk_s=60)
    first = train(configs, noise, engine="graph", chunk_s=0)
    states = [next(first) for _ in range(2)][-1].states()
    assert {state.step for state in states} == {2}
    first.close()
    gpu.calls.clear()
    *_, resumed = train(configs, noise, engine="graph", states=states, chunk_s=60)
    assert gpu.calls == [*CAPTURED, *["replay"] * 2]
    assert all(map(same_bits, resumed.states(), whole.states()))


def test_a_run_that_breaks_between_two_looks_at_the_gpu_is_reported_as_on_a_cpu(tiny, noise, monkeypatch):
    """The host reads results of a GPU only where it records them, so it hears of a divergence later."""
    wild = {"outer_steps": 9, "eval_every": 0}
    configs = [*configs_of(tiny, 1, **wild), *configs_of(tiny, 1, inner_lr=1e200, **wild)]
    wanted = seen(list(train(configs, noise, engine="vmap", chunk_s=60)))
    with played_gpu(monkeypatch):
        found = seen(list(train(configs, noise, engine="graph", chunk_s=60)))
    assert_same(found, wanted)
    assert found[-1][1][1][1].startswith("diverged at step 1: ")


def test_the_played_gpu_sees_inputs_that_are_not_where_the_graph_reads_and_a_capture_that_lasts(monkeypatch):
    """The stand-in itself: a graph knows its tensors, not their names, and computes nothing until it is replayed."""
    with played_gpu(monkeypatch):
        x, total = torch.ones(3), torch.zeros(3)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            total += 2 * x
        assert total.tolist() == [0, 0, 0]
        graph.replay()
        assert total.tolist() == [2, 2, 2]
        kept, x = x, torch.full((3,), 5.0)
        graph.replay()
        assert total.tolist() == [4, 4, 4]
        kept.copy_(x)
        graph.replay()
        assert total.tolist() == [14, 14, 14]


def test_the_played_gpu_counts_what_is_in_use_and_refuses_more_than_it_has(monkeypatch):
    with played_gpu(monkeypatch, total_bytes=1000) as gpu:
        held = torch.zeros(100, dtype=torch.uint8, device="cuda")
        assert held.is_cuda
        assert (gpu.used_bytes, held[:50].device.type) == (100, "cuda")
        del held
        assert (gpu.used_bytes, gpu.peak_bytes) == (0, 100)
        with pytest.raises(torch.cuda.OutOfMemoryError):
            torch.zeros(1001, dtype=torch.uint8)
        assert isinstance(gpu, PlayedGpu)
