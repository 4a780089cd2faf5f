"""The fused blocks against torch's own operations: values, first and second derivatives, and what isn't finite."""

import ctypes
import statistics
import subprocess
import sys
from fractions import Fraction

import numba
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch.autograd import gradcheck, gradgradcheck

from tests.budget import budget
from trainers.maml.adapt import Adaptation, adapt_to, graph_gradient
from trainers.maml.engines import kernel_cache
from trainers.maml.engines import kernels as fused_kernels
from trainers.maml.engines.engines import build, episode_model
from trainers.maml.engines.fused import encode_fused
from trainers.maml.episodes import gather, training_draw
from trainers.maml.networks import HEAD, encode, initial_params, native_norm
from trainers.maml.probes import probe

NETWORKS = [(network, order) for network in ("conv4_strided", "conv4_pooled") for order in ("relu_bn", "bn_relu")]


def plain(config, params, images):
    return encode(config, params, images, lambda *given: native_norm(*given, eps=config.bn_eps))


def drawn(config, *, images=5, seed=0):
    """Return parameters of which none is trivial, and images."""
    generator = torch.Generator().manual_seed(seed)
    start = {name: value for name, value in initial_params(config).items() if name not in HEAD}
    moved = {
        name: (v + 0.3 * torch.randn(v.shape, generator=generator, dtype=v.dtype)).requires_grad_()
        for name, v in start.items()
    }
    shown = torch.randn(images, 1, 28, 28, generator=generator, dtype=getattr(torch, config.dtype))
    return moved, shown


@pytest.mark.parametrize("eps", [1e-5, 0.5])
@pytest.mark.parametrize(("network", "order"), NETWORKS)
def test_features_and_both_derivatives_are_those_of_torch(tiny, network, order, eps):
    config = tiny(network=network, net_order=order, channels=3, bn_eps=eps)
    params, images = drawn(config)
    found, expected = encode_fused(config, params, images), plain(config, params, images)
    torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-12)
    weights = torch.randn(found.shape, generator=torch.Generator().manual_seed(1), dtype=found.dtype)
    both = []
    for features in (found, expected):
        first = torch.autograd.grad((features.sin() * weights).sum(), list(params.values()), create_graph=True)
        second = torch.autograd.grad(sum(value.square().sum() for value in first), list(params.values()))
        both.append((first, second))
    for ours, theirs in zip(*both, strict=True):
        whole = torch.cat([value.flatten() for value in theirs]).norm()
        for a, b in zip(ours, theirs, strict=True):
            assert (a - b).norm() <= 1e-10 * whole


def test_a_block_may_have_a_single_filter(tiny):
    config = tiny(channels=1)
    params, images = drawn(config)
    gradients = []
    for encoder in (encode_fused, plain):
        loss = encoder(config, params, images).sin().sum()
        gradients.append(torch.autograd.grad(loss, list(params.values())))
    torch.testing.assert_close(*gradients, rtol=1e-9, atol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize(("network", "order"), NETWORKS)
def test_derivatives_are_those_of_differences(tiny, network, order):
    """By `gradcheck`, which knows nothing of either implementation: of images, and of all parameters."""
    config = tiny(network=network, net_order=order, channels=2, bn_eps=0.1)
    params, images = drawn(config, images=2, seed=3)
    names = list(params)

    def features(*values):
        return encode_fused(config, dict(zip(names, values[1:], strict=True)), values[0])

    given = (images.requires_grad_(), *params.values())
    assert gradcheck(features, given, eps=1e-7, atol=1e-4, fast_mode=True)
    assert gradgradcheck(features, given, eps=1e-7, atol=1e-3, fast_mode=True)


def test_an_odd_row_and_column_are_in_no_window_and_still_in_the_statistics(tiny):
    config = tiny(network="conv4_pooled", channels=3)  # 28, 14, 7, 3: the last two are odd
    params, images = drawn(config)
    torch.testing.assert_close(encode_fused(config, params, images), plain(config, params, images))


def test_of_equal_entries_the_first_gets_the_gradient_as_in_torch(tiny):
    """After a ReLU many windows are all zero."""
    x = torch.zeros(1, 1, 4, 4, dtype=torch.float64)
    x[0, 0, 0, 1] = x[0, 0, 1, 0] = 2.0
    x.requires_grad_()
    F.max_pool2d(x, 2).sum().backward()
    top = torch.tensor([[2.0, 0.0], [0.0, 0.0]], dtype=torch.float64).view(1, 2, 2, 1)
    out, total = np.empty((1, 4, 4, 1)), np.zeros(1)
    pixels = x.detach().permute(0, 2, 3, 1).contiguous().numpy()
    only_gradient = np.array([[1.0], [0.0], [0.0], [0.0]])
    fused_kernels.spread_pooled(
        pixels, pixels, np.ones((1, 2, 2, 1)), top.numpy(), np.zeros(1), np.ones(1), only_gradient, -np.inf, out, total
    )
    assert np.array_equal(out[0, ..., 0], x.grad[0, 0].numpy())
    assert total == 4


@pytest.mark.parametrize(("network", "order"), NETWORKS)
def test_what_is_no_number_stays_none(tiny, network, order):
    config = tiny(network=network, net_order=order, channels=3)
    params, images = drawn(config)
    images[1, 0, 7, 7] = float("nan")
    assert not encode_fused(config, params, images).isfinite().any()


@pytest.mark.slow
@pytest.mark.parametrize(("network", "order"), NETWORKS)
@pytest.mark.parametrize("trained", ["first", "second"])
def test_float32_is_no_further_from_float64_than_three_times_the_loop(tiny, noise, network, order, trained):
    options = {"network": network, "net_order": order, "order": trained, "channels": 8, "meta_batch_size": 1}
    ratios = []
    for seed in range(budget(3, 8)):
        single, double = (tiny(seed=seed, dtype=dtype, **options) for dtype in ("float32", "float64"))
        params = {name: value[None] for name, value in initial_params(single).items()}
        episodes, lr = gather(training_draw(single, 0), noise, single), torch.tensor([single.inner_lr])
        wide = episodes._replace(
            support_images=episodes.support_images.double(), query_images=episodes.query_images.double()
        )
        exact = build("loop", double).meta_gradient(
            {name: value.double() for name, value in params.items()}, [wide], lr.double(), [True]
        ).gradient  # fmt: skip
        errors = []
        for engine in ("fused", "loop"):
            found = build(engine, single).meta_gradient(params, [episodes], lr, [True]).gradient
            gaps = torch.cat([(found[name].double() - exact[name]).flatten() for name in exact])
            errors.append(float(gaps.norm()))
        ratios.append(errors[0] / errors[1])
    assert float(np.median(ratios)) < 3


@pytest.mark.parametrize("order", ["first", "second"])
def test_a_head_that_moves_alone_sees_one_encoding_and_gets_the_same(tiny, noise, order):
    config = tiny(algorithm="anil", order=order, inner_steps=3)
    params = {name: value.requires_grad_() for name, value in initial_params(config).items()}
    episode = gather(training_draw(config, 0), noise, config).at(0)
    model, calls = episode_model("loop", config), []

    def counted(*given):
        calls.append(given)
        return model.support_features(*given)

    how = Adaptation(HEAD, 3, config.inner_lr, graph_gradient(order))
    found = adapt_to(model._replace(support_features=counted), params, episode, how)
    assert len(calls) == 1
    steps = [adapt_to(model, params, episode, how._replace(steps=1))[1]]
    for _ in range(2):
        steps.append(adapt_to(model, steps[-1], episode, how._replace(steps=1))[1])
    for ours, theirs in zip(found[1:], steps, strict=True):
        for name in HEAD:
            torch.testing.assert_close(ours[name], theirs[name], rtol=1e-12, atol=1e-14)


def test_probes_through_fused_blocks_say_the_same(tiny, noise):
    config = tiny(probe_episodes=2)
    params, episodes = initial_params(config), gather(training_draw(config, 0), noise, config)
    fused, loop = (probe(config, params, episodes, engine) for engine in ("fused", "loop"))
    assert fused.keys() == loop.keys()
    for order in ("first", "second"):
        assert fused["gradient_norm"][order] == pytest.approx(loop["gradient_norm"][order], rel=1e-9)
    assert np.allclose(fused["cosine"], loop["cosine"], atol=1e-10)


@pytest.mark.slow
def test_a_channel_that_hardly_varies_keeps_its_variance():
    """The mean of squares less the square of the mean would have lost half of its digits; torch loses two of them."""
    values = 1000 + 1e-4 * np.random.default_rng(0).standard_normal(20_000)
    x, mean, inverse = np.stack([values, values[::-1]], axis=1), np.empty(2), np.empty(2)
    fused_kernels.moments(x, -np.inf, 0.0, mean, inverse)
    exact = statistics.pvariance([Fraction(value) for value in values])
    assert inverse**-2 == pytest.approx(np.full(2, float(exact)), rel=1e-12)
    assert mean == pytest.approx(np.full(2, 1000 + np.mean(values - 1000)), rel=1e-15)


def test_kernels_work_where_nothing_can_be_kept_for_the_next_process(monkeypatch):
    usual = numba.njit

    def njit(function, **how):
        if how.get("cache"):
            raise RuntimeError("cannot cache function: no locator available")
        return usual(function, **how)

    def double(x):
        return 2 * x

    monkeypatch.setattr(numba, "njit", njit)
    assert kernel_cache.compiled(double)(3) == 6


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="this C library has no mallopt")
def test_a_process_that_keeps_its_memory_maps_none_anew():
    """Counted in a process of its own, since it can't be undone: page faults of ten arrays of 32 MiB, one by one."""
    code = (
        "import resource, sys, numpy as np\n"
        "from trainers.process.allocator import keep_freed_memory\n"
        "if sys.argv[1] == 'keep': assert keep_freed_memory()\n"
        "np.ones(2**23, np.float32)\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
        "for _ in range(10): np.ones(2**23, np.float32)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)\n"
    )
    faults = [
        int(subprocess.run([sys.executable, "-c", code, how], capture_output=True, text=True, check=True).stdout)
        for how in ("keep", "give")
    ]
    if faults[1] < 100:
        pytest.skip("huge pages here: even what is given back makes few faults")
    assert faults[0] < faults[1] / 5
