"""All engines give the same gradients and scores, for every variant, in float64; and the test can fail."""

import random
from collections.abc import Sequence
from functools import lru_cache, partial
from itertools import product

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import trainers.maml.model
import trainers.maml.theory.engines
from tests.budget import budget
from tests.trainers.small import tiny_config
from trainers.maml.adapt import QueryOutcome
from trainers.maml.engines.engines import LoopEngine, VmapEngine, build, episode_model, mean_gradient
from trainers.maml.engines.table import EngineName, cannot_treat
from trainers.maml.episodes import Episode, evaluation_draw, gather, training_draw
from trainers.maml.networks import encode, initial_params, native_norm
from trainers.maml.theory.claim import Setting
from trainers.maml.theory.engines import CLAIMS, agreement, difference

VARIANTS = [
    {"order": order, "algorithm": algorithm, "network": network, "head_bias": bias}
    for order in ("first", "second")
    for algorithm in ("maml", "anil")
    for network in ("conv4_strided", "conv4_pooled")
    for bias in (True, False)
]
OPTIONS = [
    {"order": order, **options}
    for order in ("first", "second")
    for options in (
        {"net_order": "bn_relu"},
        {"batch_norm": "inductive"},
        {"loss": "squared_error"},
        {"net_order": "bn_relu", "batch_norm": "inductive", "loss": "squared_error", "algorithm": "anil"},
        {"inner_steps": 0},
        {"bn_eps": 0.1},
        *({"algorithm": "contrastive", "inner_steps": 1} | own for own in (
            {},
            {"head_bias": False},
            {"interference": False, "coefficient": "reduced"},
            {"second_order_form": "printed"},
            {"head_update": "released", "batch_norm": "inductive"},
        )),
    )
]  # fmt: skip


def stacked(configs, pixels):
    runs = [initial_params(config) for config in configs]
    params = {name: torch.stack([run[name] for run in runs]) for name in runs[0]}
    episodes = [gather(training_draw(config, 0), pixels, config) for config in configs]
    rates = torch.tensor([config.inner_lr for config in configs], dtype=torch.float64)
    return params, episodes, rates


all_variants = trainers.maml.theory.engines.variants


def label(variant):
    return "-".join(map(str, variant.values()))


@lru_cache(maxsize=4)
def expected_of(configs, pixels):
    """Return what the loop gives: once for each variant, since the engines come one after the other."""
    return build("loop", configs[0]).meta_gradient(*stacked(configs, pixels), [True] * len(configs))


OTHER_NETWORKS = [
    {"order": order, "network": network, "batch_norm": batch_norm, "channels": 2, "inner_steps": 1}
    for network in ("resnet12", "mlp")
    for order in ("first", "second")
    for batch_norm in ("transductive", "inductive")
]
IN_A_MINUTE = [
    *VARIANTS[::5],
    *OPTIONS[::5],
    {"order": "second", "network": "resnet12", "batch_norm": "inductive", "channels": 2, "inner_steps": 1},
    *(variant for variant in OTHER_NETWORKS if variant["network"] == "mlp"),
]


@pytest.mark.parametrize(
    ("variant", "engine"),
    [
        pytest.param(v, engine, marks=() if v in IN_A_MINUTE else pytest.mark.slow, id=f"{label(v)}-{engine}")
        for v, engine in product(VARIANTS + OPTIONS + OTHER_NETWORKS, ("vmap", "unfold", "fused", "compiled"))
        if not cannot_treat(engine, tiny_config(**v), "cpu")
    ],
)
def test_every_engine_equals_the_loop(tiny, noise, variant, engine):
    configs = [tiny(seed=seed, inner_lr=rate, **variant) for seed, rate in ((0, 0.1), (1, 0.3))]
    params, episodes, rates = stacked(configs, noise)
    alive = [True, True]
    loop = expected_of(tuple(configs), noise)
    other = build(engine, configs[0]).meta_gradient(params, episodes, rates, alive)
    assert difference(configs[0], other.gradient, loop.gradient) < 1e-10
    torch.testing.assert_close(other.loss, loop.loss, rtol=1e-12, atol=0)
    assert torch.equal(other.accuracy.round(decimals=12), loop.accuracy.round(decimals=12))


def test_native_affine_batch_norm_under_vmap_is_caught(tiny, noise, monkeypatch):
    config = tiny(order="second")
    params, episodes, rates = stacked([config], noise)
    loop = build("loop", config).meta_gradient(params, episodes, rates, [True])
    monkeypatch.setattr(trainers.maml.model, "split_norm", native_norm)
    wrong = build("vmap", config).meta_gradient(params, episodes, rates, [True])
    assert difference(config, wrong.gradient, loop.gradient) > 1e-6


def some_variants(algorithm, order, *, seed=0):
    """Return a few variants every day, all of them in `make test-long`."""
    every = list(all_variants(algorithm, order))
    return random.Random(f"{seed} {algorithm} {order}").sample(every, budget(5, len(every)))


@pytest.mark.slow
@pytest.mark.parametrize("claims_of", CLAIMS, ids=lambda claims_of: claims_of.__name__)
def test_every_claim_about_engines_comes_out_as_expected(tiny, noise, monkeypatch, claims_of):
    monkeypatch.setattr(trainers.maml.theory.engines, "variants", some_variants)
    setting = Setting(name="small", config=tiny(), pixels=noise)
    assert [claim.row() for claim in claims_of(setting) if not claim.as_expected] == []


def test_native_affine_batch_norm_turns_the_verdict_on_second_order(tiny, noise, monkeypatch):
    monkeypatch.setattr(trainers.maml.theory.engines, "variants", lambda algorithm, order: [{"inner_steps": 1}])
    assert agreement(Setting(name="small", config=tiny(), pixels=noise), "maml", "second", "vmap").verdict == "holds"
    monkeypatch.setattr(trainers.maml.model, "split_norm", native_norm)
    claim = agreement(Setting(name="small", config=tiny(), pixels=noise), "maml", "second", "vmap")
    assert claim.verdict == "does not hold"


def test_a_wrong_kernel_turns_the_verdict_on_fused_blocks(tiny, noise, monkeypatch):
    from trainers.maml.engines import kernels as fused_kernels

    monkeypatch.setattr(trainers.maml.theory.engines, "variants", lambda algorithm, order: [{"inner_steps": 1}])
    setting = Setting(name="small", config=tiny(), pixels=noise)
    assert agreement(setting, "maml", "second", "fused").verdict == "holds"
    honest = fused_kernels.product

    def off(u, gradient, count, mean):
        honest(u, gradient, count, mean)
        mean *= 1 + 1e-6

    monkeypatch.setattr(fused_kernels, "product", off)
    assert agreement(setting, "maml", "second", "fused").verdict == "does not hold"


def test_a_bias_that_should_be_idle_is_seen_when_it_moves(tiny):
    config = tiny(net_order="bn_relu")
    gradient = {"conv1.bias": torch.full((4,), 1e-17), "norm1.weight": torch.ones(4)}
    rounding = gradient | {"conv1.bias": torch.full((4,), -3e-17)}
    wrong = gradient | {"conv1.bias": torch.full((4,), 1e-3)}
    assert difference(config, rounding, gradient) < 1e-15
    assert difference(config, wrong, gradient) == pytest.approx(1e-3)


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
    assert difference(config, mean, whole.gradient) < 1e-12


def test_second_order_differs_from_first_on_the_real_network(tiny, noise):
    gradients = {}
    for order in ("first", "second"):
        config = tiny(order=order)
        params, episodes, rates = stacked([config], noise)
        gradients[order] = build("loop", config).meta_gradient(params, episodes, rates, [True]).gradient
    assert difference(config, gradients["first"], gradients["second"]) > 0.05


@pytest.mark.parametrize("variant", VARIANTS[: 8 : budget(3, 1)], ids=label)
def test_engines_score_the_same_queries_right(tiny, noise, variant):
    configs = [tiny(seed=seed, **variant) for seed in (0, 1)]
    params, _, rates = stacked(configs, noise)
    episodes = [gather(evaluation_draw(config, 0, 4), noise, config) for config in configs]

    def counts(name: EngineName, scored: Sequence[int]) -> Tensor:
        return build(name, configs[0]).correct(params, episodes, rates, [True, True], scored)

    every = counts("loop", range(4))
    assert every.shape == (2, 4, 4)
    assert torch.equal(every, counts("vmap", range(4)))
    assert torch.equal(every[..., [1, 3]], counts("loop", (1, 3)))


def test_a_dead_run_leaves_its_neighbour_alone(tiny, noise):
    configs = [tiny(seed=0), tiny(seed=1)]
    params, episodes, rates = stacked(configs, noise)
    engine = build("loop", configs[0])
    both = engine.meta_gradient(params, episodes, rates, [True, True])
    one = engine.meta_gradient(params, episodes, rates, [False, True])
    assert all(torch.equal(one.gradient[name][1], both.gradient[name][1]) for name in params)
    assert all(not one.gradient[name][0].any() for name in params)
    assert not engine.correct(params, episodes, rates, [False, True], (0, 1))[0].any()


@pytest.mark.parametrize(
    ("name", "kind"),
    [("loop", LoopEngine), ("fused", LoopEngine), ("vmap", VmapEngine), ("graph", VmapEngine), ("unfold", VmapEngine)],
)
def test_a_name_stands_for_one_kind_of_engine(tiny, name, kind):
    assert type(build(name, tiny())) is kind


def test_the_compiled_engine_has_one_kind_for_the_paper_and_one_for_the_methods_beyond_it(tiny, monkeypatch):
    monkeypatch.setattr("trainers.maml.engines.compiled.methods.MethodsEngine", lambda config: "beyond")
    monkeypatch.setattr("trainers.maml.engines.compiled.engine.CompiledEngine", lambda config: "paper's")
    assert [build("compiled", tiny(algorithm=name)) for name in ("maml", "boil")] == ["paper's", "beyond"]


def test_the_convolution_that_a_vectorised_engine_is_given_is_the_one_it_uses(tiny, noise):
    config, calls = tiny(inner_steps=0, meta_batch_size=1), []

    def counted(*given):
        calls.append(given)
        return F.conv2d(*given)

    params, episodes, rates = stacked([config], noise)
    VmapEngine(config, counted).meta_gradient(params, episodes, rates, [True])
    assert len(calls) == 4


@pytest.mark.parametrize("name", ["loop", "vmap", "graph", "unfold", "fused", "compiled"])
def test_one_episode_is_encoded_by_the_fused_blocks_or_to_the_bits_of_native_batch_norm(tiny, noise, monkeypatch, name):
    config = tiny()
    params, episode = initial_params(config), gather(training_draw(config, 0), noise, config).at(0)
    params = {key: value * 0.7 if key.startswith("norm") else value for key, value in params.items()}
    monkeypatch.setattr("trainers.maml.engines.fused.encode_fused", lambda config, params, images: "fused")
    found = episode_model(name, config).support_features(params, episode)
    if name in ("fused", "compiled"):
        assert found == "fused"
    else:
        norm = partial(native_norm, eps=config.bn_eps)
        assert torch.equal(found, encode(config, params, episode.support_images, norm))


def test_a_mean_gradient_is_that_of_its_episodes_and_leaves_no_trace_on_the_parameters():
    """Of the objective lr x^2 y, whose loss and accuracy are told apart; z has no part in it."""
    params = {name: torch.tensor(value, dtype=torch.float64) for name, value in (("x", 2.0), ("z", 5.0))}
    ys = torch.tensor([3.0, 5.0], dtype=torch.float64)

    def outcome(at, episode, lr):
        y = episode.query_images
        return QueryOutcome(lr * at["x"] ** 2 * y, y, y / 10)

    found = mean_gradient(outcome, params, Episode(ys, ys, ys, ys), 0.5)
    assert {name: float(value) for name, value in found.gradient.items()} == {"x": 2 * 2.0 * 0.5 * 4, "z": 0}
    assert (float(found.loss), float(found.accuracy)) == (4.0, 0.4)
    assert not any(value.requires_grad for value in params.values())
