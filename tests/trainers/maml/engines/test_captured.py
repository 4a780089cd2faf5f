"""A captured outer step does what an eager one does, and holds nothing that a CUDA graph can't."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from tests.trainers.trained import same_bits, whole
from trainers.maml.engines.captured import CapturedMover
from trainers.maml.engines.engines import build
from trainers.maml.networks import initial_params
from trainers.maml.theory.engines import before_norm
from trainers.maml.train import train

NEEDS_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here: a graph can't be captured")
VARIANTS = {
    "first order, zeroing": {"order": "first", "zero_head_every": 2},
    "second order": {"order": "second"},
    "pooled": {"order": "second", "network": "conv4_pooled", "net_order": "bn_relu"},
    "anil": {"order": "second", "algorithm": "anil", "head_bias": False},
    "contrastive": {"order": "first", "algorithm": "contrastive", "interference": False},
    "inductive": {"order": "first", "batch_norm": "inductive", "loss": "squared_error", "inner_lr": 0.01},
    "after the update": {"order": "first", "zero_head_every": 1, "zero_head_when": "after_update"},
    "moments anew": {"order": "first", "zero_head_every": 3, "zero_head_adam": "reset"},
    "turned": {"order": "first", "rotations": True},
    "pool": {"order": "first", "episode_pool": 3},
}
variants = pytest.mark.parametrize("variant", VARIANTS.values(), ids=VARIANTS)


class Forbidden(TorchDispatchMode):
    """Refuses what waits for the device, comes from the host or has a shape that its values decide."""

    refused = frozenset((
        torch.ops.aten._local_scalar_dense.default, torch.ops.aten.nonzero.default, torch.ops.aten.lift_fresh.default,
        torch.ops.aten.masked_select.default, torch.ops.aten.is_nonzero.default, torch.ops.aten._unique2.default,
    ))  # fmt: skip

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        assert function not in self.refused, f"a graph can't hold {function}"
        masks = args[1] if function is torch.ops.aten.index.Tensor else ()
        assert not any(at is not None and at.dtype == torch.bool for at in masks), "a mask as an index"
        return function(*args, **(kwargs or {}))


@pytest.mark.slow
@variants
def test_the_captured_step_trains_to_the_bits_of_the_eager_one(tiny, noise, variant):
    config = tiny(outer_steps=4, eval_every=3, eval_episodes=1, probe_every=3, probe_episodes=1, **variant)
    records, last = whole(config, noise, engine="vmap")
    same, end = whole(config, noise, engine="graph")
    assert same == records
    assert same_bits(end, last)


@pytest.mark.slow
@variants
def test_a_step_holds_nothing_that_a_graph_can_not(tiny, noise, variant):
    mover = _mover([tiny(**variant), tiny(seed=1, **variant)], noise)
    mover.take(0, [True, True])  # what is made once is made
    with Forbidden():
        mover._once()


def test_what_a_graph_can_not_hold_is_seen(tiny, noise):
    mover = _mover([tiny()], noise)
    mover.take(0, [True])
    for forbidden in (lambda: float(noise[0, 0, 0, 0, 0]), lambda: torch.tensor(1.0), lambda: noise[noise > 3]):
        with pytest.raises(AssertionError), Forbidden():
            forbidden()


@pytest.mark.slow
def test_chunks_of_a_captured_training_keep_their_states(tiny, noise):
    config = tiny(outer_steps=4)
    eager = [chunk.states()[0] for chunk in train([config], noise, chunk_s=0, engine="vmap")]
    chunks = list(train([config], noise, chunk_s=0, engine="graph"))
    assert all(same_bits(chunk.states()[0], state) for chunk, state in zip(chunks, eager, strict=True))


@pytest.mark.slow
def test_a_run_that_breaks_in_a_captured_pack_stays_as_it_was_and_the_others_go_on(tiny, noise):
    sane, wild = tiny(outer_steps=6, order="first"), tiny(outer_steps=6, order="first", inner_lr=1e200, seed=1)
    found = {}
    for engine in ("vmap", "graph"):
        *_, chunk = train([sane, wild], noise, engine=engine)
        found[engine] = chunk.states(), [(run.status, run.message) for run in chunk.runs]
    assert found["graph"][1] == found["vmap"][1]
    assert found["graph"][1][1][1].startswith("diverged at step 1: ")
    assert all(map(same_bits, found["graph"][0], found["vmap"][0]))


def test_warming_up_leaves_a_pack_as_it_was(tiny, noise):
    """Every run counts as broken meanwhile, and then nothing of it moves."""
    mover = _mover([tiny(), tiny(seed=1)], noise)
    mover.take(0, [True, True])
    before = mover.kept()
    mover.carried.broken_at.fill_(1)
    mover._once()
    mover.carried.broken_at.zero_()
    after = mover.kept()
    for old, new in ((before.params, after.params), (before.moments.first, after.moments.first)):
        assert all(torch.equal(old[name], new[name]) for name in old)


@pytest.mark.gpu
@NEEDS_GPU
@variants
def test_a_replayed_step_is_the_eager_step_on_a_gpu(tiny, noise, variant):
    """In float64, each of 20 steps from the same state; weights after many steps would tell of chaos."""
    configs = [tiny(**variant), tiny(seed=1, **variant)]
    pixels = noise.cuda()
    assert_steps_agree(_mover(configs, pixels), _mover(configs, pixels, CapturedMover.__base__), steps=20)


@pytest.mark.slow
@pytest.mark.parametrize("variant", [VARIANTS["second order"], VARIANTS["pooled"]], ids=["strided", "pooled"])
def test_steps_that_only_round_otherwise_agree_and_others_do_not(tiny, noise, variant):
    """A device may sum a captured step in another order; here another engine does."""
    configs = [tiny(**variant), tiny(seed=1, **variant)]
    captured, eager = _mover(configs, noise), _mover(configs, noise, CapturedMover.__base__)
    eager._engine = build("loop", configs[0])
    assert_steps_agree(captured, eager, steps=2)
    eager.inner_lr = eager.inner_lr * (1 + 1e-6)
    with pytest.raises(AssertionError):
        assert_steps_agree(captured, eager, steps=1)


def assert_steps_agree(captured, eager, steps):
    """Both take each of `steps` from the state of `captured`, and come to the same one but for rounding.

    A convolution's bias right before batch norm has no gradient but rounding, which Adam divides by its own size. Two
    ways to round then differ by a hundred times the tolerance of what has a gradient.
    """
    config = captured._configs[0]
    for step in range(steps):
        eager.carried = captured.kept()
        captured.take(step, [True, True])
        eager.take(step, [True, True])
        for name, value in eager.carried.params.items():
            if not before_norm(config, name):
                torch.testing.assert_close(captured.carried.params[name], value, rtol=1e-9, atol=1e-12)
        torch.testing.assert_close(captured.seen.loss, eager.seen.loss, rtol=1e-10, atol=1e-12)


@pytest.mark.gpu
@NEEDS_GPU
def test_a_replay_waits_for_nothing(tiny, noise):
    mover = _mover([tiny()], noise.cuda())
    mover.take(0, [True])
    torch.cuda.set_sync_debug_mode("error")
    try:
        for step in range(1, 5):
            mover.take(step, [True])
    finally:
        torch.cuda.set_sync_debug_mode("default")


def _mover(configs, pixels, kind=CapturedMover):
    runs = [initial_params(config) for config in configs]
    params = {name: torch.stack([run[name] for run in runs]).to(pixels.device) for name in runs[0]}
    return kind(configs, pixels, build("graph", configs[0]), params)
