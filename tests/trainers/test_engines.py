"""All engines give the same gradients and scores, for every variant, in float64; and the test can fail."""

import pytest
import torch

import trainers.model
from trainers.engines import build
from trainers.episodes import evaluation_draw, gather, training_draw
from trainers.networks import initial_params, native_norm

VARIANTS = [
    {"order": order, "algorithm": algorithm, "network": network, "head_bias": bias}
    for order in ("first", "second")
    for algorithm in ("maml", "anil")
    for network in ("conv4_strided", "conv4_pooled")
    for bias in (True, False)
]


def stacked(configs, pixels):
    runs = [initial_params(config) for config in configs]
    params = {name: torch.stack([run[name] for run in runs]) for name in runs[0]}
    episodes = [gather(training_draw(config, 0), pixels, config) for config in configs]
    rates = torch.tensor([config.inner_lr for config in configs], dtype=torch.float64)
    return params, episodes, rates


def largest_difference(a, b):
    """Return the largest relative difference of a tensor; NaN if any is NaN."""
    return float(torch.stack([(a[name] - b[name]).norm() / b[name].norm().clamp(min=1e-6) for name in b]).max())


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: "-".join(map(str, variant.values())))
def test_vectorised_equals_loop(tiny, noise, variant):
    configs = [tiny(seed=seed, inner_lr=rate, **variant) for seed, rate in ((0, 0.1), (1, 0.3))]
    params, episodes, rates = stacked(configs, noise)
    alive = [True, True]
    loop = build("loop", configs[0]).meta_gradient(params, episodes, rates, alive)
    vmap = build("vmap", configs[0]).meta_gradient(params, episodes, rates, alive)
    assert largest_difference(vmap.gradient, loop.gradient) < 1e-10
    torch.testing.assert_close(vmap.loss, loop.loss, rtol=1e-12, atol=0)
    assert torch.equal(vmap.accuracy.round(decimals=12), loop.accuracy.round(decimals=12))


def test_native_affine_batch_norm_under_vmap_is_caught(tiny, noise, monkeypatch):
    config = tiny(order="second")
    params, episodes, rates = stacked([config], noise)
    loop = build("loop", config).meta_gradient(params, episodes, rates, [True])
    monkeypatch.setattr(trainers.model, "split_norm", native_norm)
    wrong = build("vmap", config).meta_gradient(params, episodes, rates, [True])
    assert largest_difference(wrong.gradient, loop.gradient) > 1e-6


@pytest.mark.parametrize("order", ["first", "second"])
def test_two_episodes_give_the_mean_of_the_single_ones(tiny, noise, order):
    config = tiny(order=order)
    params, (both,), rates = stacked([config], noise)
    engine = build("loop", config)
    whole = engine.meta_gradient(params, [both], rates, [True])
    halves = []
    for e in range(2):
        one = type(both)(*(part[e : e + 1] for part in both))
        halves.append(engine.meta_gradient(params, [one], rates, [True]))
    mean = {name: (halves[0].gradient[name] + halves[1].gradient[name]) / 2 for name in params}
    assert largest_difference(mean, whole.gradient) < 1e-12


def test_second_order_differs_from_first_on_the_real_network(tiny, noise):
    gradients = {}
    for order in ("first", "second"):
        config = tiny(order=order)
        params, episodes, rates = stacked([config], noise)
        gradients[order] = build("loop", config).meta_gradient(params, episodes, rates, [True]).gradient
    assert largest_difference(gradients["first"], gradients["second"]) > 0.05


@pytest.mark.parametrize("variant", VARIANTS[:8], ids=lambda variant: "-".join(map(str, variant.values())))
def test_engines_score_the_same_queries_right(tiny, noise, variant):
    configs = [tiny(seed=seed, **variant) for seed in (0, 1)]
    params, _, rates = stacked(configs, noise)
    episodes = [gather(evaluation_draw(config, 0, 4), noise, config) for config in configs]
    counts = [build(name, configs[0]).correct(params, episodes, rates, [True, True], 3) for name in ("loop", "vmap")]
    assert counts[0].shape == (2, 4, 4)
    assert torch.equal(*counts)


def test_a_dead_run_leaves_its_neighbour_alone(tiny, noise):
    configs = [tiny(seed=0), tiny(seed=1)]
    params, episodes, rates = stacked(configs, noise)
    engine = build("loop", configs[0])
    both = engine.meta_gradient(params, episodes, rates, [True, True])
    one = engine.meta_gradient(params, episodes, rates, [False, True])
    assert all(torch.equal(one.gradient[name][1], both.gradient[name][1]) for name in params)
    assert all(not one.gradient[name][0].any() for name in params)
