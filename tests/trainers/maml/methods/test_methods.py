"""Each method of the trainer against a second implementation, finite differences, and the trainer's own promises."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.trainers.maml.by_hand import logits
from tests.trainers.maml.each_method import (
    METHODS,
    SECOND_ORDER,
    away_from_the_start,
    error_of_differences,
    error_of_second_implementation,
    largest_error,
    outer_gradient,
)
from tests.trainers.maml.smooth import flat
from tests.trainers.small import noise_pixels
from tests.trainers.trained import same_bits, whole
from trainers.maml.adapt import adapted_names
from trainers.maml.engines.engines import build
from trainers.maml.episodes import evaluation_draw, gather
from trainers.maml.networks import HEAD
from trainers.maml.rates import is_rate
from trainers.maml.train import begun, train
from trainers.maml.trainer import MAML
from trainers.testing import check_resume
from trainers.trainer import Data

BOUND = 1e-11
"""Of a second implementation's gradient, of each tensor relative to its norm; docs/trainer.md has what was measured."""


@pytest.mark.slow
@pytest.mark.parametrize("name", METHODS)
def test_the_outer_gradient_is_that_of_a_second_implementation(tiny, noise, name):
    assert error_of_second_implementation(tiny(**METHODS[name]), noise) < BOUND


@pytest.mark.parametrize("name", SECOND_ORDER)
def test_the_outer_gradient_is_the_finite_difference_of_the_outer_loss(tiny, name):
    assert error_of_differences(tiny(inner_steps=3, **METHODS[name])) < 1e-7


@pytest.mark.parametrize("engine", ["vmap", "fused", "compiled"])
@pytest.mark.parametrize("name", METHODS)
def test_engines_that_treat_a_method_equal_the_loop(tiny, noise, engine, name):
    config = tiny(**METHODS[name])
    expected, *_ = outer_gradient(config, noise)
    assert largest_error(outer_gradient(config, noise, engine)[0], expected) < 1e-10


@pytest.mark.slow
def test_inductive_batch_norm_pools_and_another_network_change_no_agreement(tiny, noise):
    for name in ("reptile", "imaml", "maml++"):
        config = tiny(network="conv4_pooled", batch_norm="inductive", net_order="bn_relu", **METHODS[name])
        expected, *_ = outer_gradient(config, noise)
        for engine in ("vmap", "fused", "compiled"):
            found, *_ = outer_gradient(config, noise, engine)
            gap = sum(float((found[key] - value).square().sum()) for key, value in expected.items()) ** 0.5
            assert gap / float(flat(expected).norm()) < 1e-10, (name, engine)


@pytest.mark.parametrize("name", ["boil", "maml++", "reptile", "imaml"])
def test_a_network_of_another_kind_has_the_methods_too(tiny, noise, name):
    config = tiny(network="mlp", **METHODS[name])
    expected, params, _ = outer_gradient(config, noise)
    assert largest_error(outer_gradient(config, noise, "vmap")[0], expected) < 1e-10
    layers = {key.rpartition(".")[0] for key in params if not is_rate(key)}
    assert {key for key in params if is_rate(key)} == ({f"rate:{one}" for one in layers} if name == "maml++" else set())


def test_boil_leaves_the_head_alone_in_the_inner_loop_and_learns_it_in_the_outer(tiny, noise):
    config = tiny(algorithm="boil")
    found, params, _ = outer_gradient(config, noise)
    assert set(adapted_names("boil", params)) == params.keys() - set(HEAD)
    assert all(found[name].any() for name in HEAD)
    assert adapted_names("anil", params) == HEAD


def test_rates_begin_at_inner_lr_have_their_shapes_and_are_learned(tiny, noise):
    for kind in ("per_parameter", "per_layer_per_step"):
        config = tiny(inner_rates=kind, inner_lr=0.07)
        start, end = begun(config).params, whole(config, noise)[1].params
        rates = {name: value for name, value in start.items() if is_rate(name)}
        network = start.keys() - rates.keys()
        assert all((value == 0.07).all() for value in rates.values())
        if kind == "per_parameter":
            assert {name.removeprefix("rate:"): value.shape for name, value in rates.items()} == {
                name: start[name].shape for name in network
            }
        else:
            assert rates.keys() == {f"rate:{kind}{n}" for kind in ("conv", "norm") for n in range(1, 5)} | {"rate:head"}
            assert all(value.shape == (2,) for value in rates.values())
        assert all(not torch.equal(end[name], value) for name, value in rates.items())
    assert not any(is_rate(name) for name in begun(tiny()).params)


@pytest.mark.parametrize("engine", ["loop", "vmap", "fused", "compiled"])
def test_at_evaluation_the_last_learned_rate_serves_every_further_step(tiny, noise, engine):
    config = tiny(inner_rates="per_layer_per_step", eval_steps=4, inner_lr=0.5)
    params = away_from_the_start(config)
    episodes = gather(evaluation_draw(config, 0, 3), noise, config)
    stacked = {name: value[None] for name, value in params.items()}
    rate = torch.tensor([config.inner_lr], dtype=torch.float64)
    found = build(engine, config).correct(stacked, [episodes], rate, [True], range(5))
    long = {
        name: torch.cat([value, value[-1:], value[-1:]]) if is_rate(name) else value for name, value in params.items()
    }
    for e in range(3):
        one, fast = episodes.at(e), {name: value for name, value in params.items() if not is_rate(name)}
        for taken in range(5):
            expected = int((logits(fast, one.query_images).argmax(1) == one.query_labels).sum())
            assert int(found[0, e, taken]) == expected, (e, taken)
            slope = torch.func.grad(lambda at, one=one: torch.nn.functional.cross_entropy(
                logits(at, one.support_images), one.support_labels))(fast)  # fmt: skip
            if taken < 4:
                fast = {
                    name: value - long[f"rate:{name.split('.')[0]}"][taken] * slope[name]
                    for name, value in fast.items()
                }


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Data:
    path = tmp_path_factory.mktemp("data") / "noise.npy"
    np.save(path, noise_pixels().numpy())
    return Data("strokes", path, "0" * 64)


SMALL = {
    "dataset": "strokes", "channels": 4, "ways": 3, "shots": 2, "queries": 3, "inner_steps": 2, "inner_lr": 0.1,
    "meta_batch_size": 1, "outer_steps": 6, "eval_episodes": 2, "eval_every": 3, "eval_heads": "trained",
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", ["meta-sgd", "boil", "maml++", "reptile", "imaml"])
def test_a_trial_grows_and_resumes_to_the_bit(data, noise, name):
    values = SMALL | METHODS[name]
    if "annealed_steps" in values:
        values["annealed_steps"] = 4  # within the longer training, and beyond the shorter one
    check_resume(MAML, values, data=data, at_most=8)
    shorter, longer = (MAML.resolve(values | {"outer_steps": steps}) for steps in (3, 6))
    records, state = whole(longer, noise)
    begun_records, begun_state = whole(shorter, noise)
    grown_records, grown_state = whole(longer, noise, states=[begun_state])
    ended = [record for record in begun_records if record.key == "scores"]  # of the shorter target's last pass
    assert [record for record in grown_records if record not in ended] == records
    assert same_bits(grown_state, replace(state, records=grown_state.records))


def test_runs_of_a_pack_learn_their_rates_as_they_would_alone(tiny, noise):
    values = METHODS["maml++"] | {"outer_steps": 3, "eval_episodes": 1}
    configs = [tiny(seed=seed, inner_lr=rate, **values) for seed, rate in ((0, 0.1), (1, 0.3))]
    for engine in ("compiled", "loop"):
        *_, chunk = train(configs, noise, engine=engine)
        for config, state in zip(configs, chunk.states(), strict=True):
            assert same_bits(state, whole(config, noise, engine=engine)[1])


def test_a_checkpoint_counts_learned_rates(tiny):
    plain = MAML.checkpoint_bytes(tiny())
    assert MAML.checkpoint_bytes(tiny(inner_rates="per_parameter")) == 2 * plain
    head, encoder = (
        MAML.checkpoint_bytes(tiny(inner_rates="per_parameter", algorithm=name)) - plain for name in ("anil", "boil")
    )
    assert head + encoder == plain
    assert 0 < head < encoder
