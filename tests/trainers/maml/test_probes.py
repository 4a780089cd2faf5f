"""Probes: every number against a closed form or another computation; and that looking leaves no trace."""

import json
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from tests.trainers.trained import probed
from trainers.maml.adapt import Adaptation, adapt_to, adapted_names, graph_gradient
from trainers.maml.checkpoints import checkpoint
from trainers.maml.engines.engines import build
from trainers.maml.episodes import Episode
from trainers.maml.layout import BLOCKS
from trainers.maml.methods.feature_pull import feature_gradients
from trainers.maml.model import build_model
from trainers.maml.networks import HEAD, Params, initial_params, zero_head
from trainers.maml.train import train

LAYERS = ["conv1", "norm1", "conv2", "norm2", "conv3", "norm3", "conv4", "norm4", "head"]


def meta_gradient(config, params: Params, episodes: Episode, e: int) -> Params:
    """Return the engine's outer gradient of episode `e` alone."""
    stacked = {name: value.detach()[None] for name, value in params.items()}
    one = Episode(*(part[e : e + 1] for part in episodes))
    rate = torch.tensor([config.inner_lr], dtype=torch.float64)
    found = build("loop", config).meta_gradient(stacked, [one], rate, [True])
    return {name: value[0] for name, value in found.gradient.items()}


def norm(gradient: Params, names) -> float:
    return math.sqrt(sum(float(gradient[name].square().sum()) for name in names))


def encoder_of(params: Params) -> list[str]:
    return [name for name in params if name not in HEAD]


def test_cosines_are_the_mean_over_all_pairs_of_two_classes_self_pairs_included(tiny, noise):
    config = tiny(probe_episodes=2)
    found, params, episodes = probed(config, noise)
    model, episode = build_model(config, vectorised=False), episodes.at(0)
    groups = []
    for features, labels in (
        (model.support_features(params, episode), episode.support_labels),
        (model.query_features(params, episode), episode.query_labels),
    ):
        groups += [[row.numpy() for row, label in zip(features, labels, strict=True) if label == k] for k in range(3)]
    expected = np.zeros((6, 6))
    for a, rows in enumerate(groups):
        for b, others in enumerate(groups):
            each = [x @ y / (np.linalg.norm(x) * np.linalg.norm(y)) for x in rows for y in others]
            expected[a, b] = np.mean(each)
    np.testing.assert_allclose(found["cosine"], expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("steps", [0, 1])
def test_a_zero_head_has_shares_1_minus_1_over_n_and_1_over_n_and_no_interference(tiny, noise, steps):
    """Before the first step every softmax is uniform: a pair attracts if of one class and repels if not (Fig. 9)."""
    config = tiny(inner_steps=steps, probe_episodes=4)
    found, *_ = probed(config, noise, zero_head(initial_params(config)))
    assert found["positive"] == [pytest.approx(2 / 3, rel=1e-15)] * 4
    assert found["negative"] == [pytest.approx(1 / 3, rel=1e-15)] * 4
    assert found["interference_norm"] == [0.0] * 4
    assert min(found["contrastive_norm"]) > 0
    assert found["head_norm"] == 0.0


def test_a_random_head_adds_negative_pairs_and_interference(tiny, noise):
    found, *_ = probed(tiny(probe_episodes=4), noise)
    assert min(found["negative"]) >= 1 / 3
    assert max(found["negative"]) > 1 / 3
    assert all(p + n == pytest.approx(1) for p, n in zip(found["positive"], found["negative"], strict=True))
    assert min(found["interference_norm"]) > 0


def test_a_pair_whose_coefficient_is_0_neither_attracts_nor_repels(tiny, noise):
    """Without features a bias makes every softmax exactly class 0: q - 1{u} is (0, 0, 0), (1, -1, 0) or (1, 0, -1)."""
    config = tiny(probe_episodes=1, inner_steps=1, inner_lr=0.01)
    params = {name: torch.zeros_like(value) for name, value in initial_params(config).items()}
    params["head.bias"][0] = 1000.0
    found, *_ = probed(config, noise, params)
    # (1{t} - s) . (q - 1{u}) for t, u = 0..2: 0 0 0, 0 -2 -1 and 0 -1 -2
    assert found["positive"] == [0.0]
    assert found["negative"] == [pytest.approx(4 / 9, rel=1e-15)]


def test_head_norm_is_of_weight_and_bias(tiny, noise):
    config = tiny(probe_episodes=1)
    params = initial_params(config)
    params["head.weight"] = torch.zeros_like(params["head.weight"])
    params["head.weight"][0, 0], params["head.bias"][1] = 3.0, 4.0
    assert probed(config, noise, params)[0]["head_norm"] == 5.0
    unbiased = tiny(probe_episodes=1, head_bias=False)
    found, start, _ = probed(unbiased, noise)
    assert found["head_norm"] == pytest.approx(float(start["head.weight"].norm()), rel=1e-14)


@pytest.mark.parametrize("algorithm", ["maml", "anil"])
def test_gradient_norms_are_those_of_each_episodes_outer_gradient_in_both_orders(tiny, noise, algorithm):
    for trained in ("first", "second"):
        config = tiny(algorithm=algorithm, order=trained, probe_episodes=3)
        found, params, episodes = probed(config, noise)
        for order in ("first", "second"):
            one = tiny(algorithm=algorithm, order=order)
            expected = [norm(meta_gradient(one, params, episodes, e), params) for e in range(3)]
            assert found["gradient_norm"][order] == pytest.approx(expected, rel=1e-10)
        assert found["gradient_norm"]["first"] != pytest.approx(found["gradient_norm"]["second"], rel=1e-3)


@pytest.mark.parametrize("order", ["first", "second"])
def test_a_probe_of_its_own_order_is_the_other_one_without_the_other_order(tiny, noise, order):
    config = tiny(order=order, probe_episodes=2)
    both, *_ = probed(config, noise)
    own, *_ = probed(config.model_copy(update={"probe_orders": "own"}), noise)
    alone = {name: {order: both[name][order]} for name in ("gradient_norm", "feature_pull")}
    assert own == both | alone


def test_the_two_terms_are_what_contrastive_training_sums_in_the_encoder(tiny, noise):
    config = tiny(algorithm="contrastive", order="first", probe_episodes=3)
    found, params, episodes = probed(config, noise)
    for e in range(3):
        whole = meta_gradient(config, params, episodes, e)
        contrastive = meta_gradient(config.model_copy(update={"interference": False}), params, episodes, e)
        interference = {name: whole[name] - contrastive[name] for name in whole}
        encoder = encoder_of(params)
        assert found["contrastive_norm"][e] == pytest.approx(norm(contrastive, encoder), rel=1e-10)
        assert found["interference_norm"][e] == pytest.approx(norm(interference, encoder), rel=1e-10)


@pytest.mark.parametrize("steps", [0, 1])
def test_the_two_terms_are_of_at_least_one_inner_step_and_of_one_if_the_trial_has_one(tiny, noise, steps):
    found, params, episodes = probed(tiny(inner_steps=steps, probe_episodes=1), noise)
    one = tiny(algorithm="contrastive", order="first", inner_steps=1)
    contrastive = meta_gradient(one.model_copy(update={"interference": False}), params, episodes, 0)
    whole = meta_gradient(one, params, episodes, 0)
    interference = {name: whole[name] - contrastive[name] for name in whole}
    encoder = encoder_of(params)
    assert found["contrastive_norm"] == [pytest.approx(norm(contrastive, encoder), rel=1e-10)]
    assert found["interference_norm"] == [pytest.approx(norm(interference, encoder), rel=1e-10)]


@pytest.mark.parametrize(("steps", "taken"), [(0, 1), (1, 1), (3, 3)])
def test_feature_gradients_are_of_the_trials_inner_steps_and_of_at_least_one(tiny, noise, steps, taken):
    config = tiny(inner_steps=steps, probe_episodes=1)
    found, params, episodes = probed(config, noise)
    leaves = {name: value.clone().requires_grad_() for name, value in params.items()}
    model = build_model(config, vectorised=False)
    for order in ("first", "second"):
        how = Adaptation(HEAD, taken, config.inner_lr, graph_gradient(order))
        expected = [float(each.norm()) for each in feature_gradients(model, leaves, episodes.at(0), how)]
        pull = found["feature_pull"][order]
        assert [pull[who]["gradient"] for who in ("support", "query")] == pytest.approx(expected, rel=1e-12)


def distances(before: Params, after: Params) -> dict[str, float]:
    """Return how far each layer moved, relative to its size but for the head."""
    found = {}
    for layer in LAYERS:
        own = [name for name in before if name.startswith(f"{layer}.")]
        moved = norm({name: after[name] - before[name] for name in own}, own)
        found[layer] = moved if layer == "head" else moved / norm(before, own)
    return found


@pytest.mark.parametrize("algorithm", ["maml", "anil"])
def test_layer_and_feature_changes_are_those_of_adapting(tiny, noise, algorithm):
    config = tiny(algorithm=algorithm, probe_episodes=3, inner_steps=3)
    found, params, episodes = probed(config, noise)
    model = build_model(config, vectorised=False)
    layers, features = [], []
    for e in range(3):
        episode = episodes.at(e)
        how = Adaptation(adapted_names(algorithm, params), 3, config.inner_lr, graph_gradient("first"))
        adapted = {name: value.detach() for name, value in adapt_to(model, params, episode, how)[-1].items()}
        layers.append(distances(params, adapted))
        before, after = model.query_features(params, episode), model.query_features(adapted, episode)
        cosines = (before * after).sum(1) / (before.norm(dim=1) * after.norm(dim=1))
        features.append(1 - float(cosines.mean()))
    expected = {layer: sum(change[layer] for change in layers) / 3 for layer in LAYERS}
    assert found["layer_change"] == pytest.approx(expected, rel=1e-10, abs=1e-15)
    assert found["feature_change"] == pytest.approx(sum(features) / 3, rel=1e-9, abs=1e-14)


@pytest.mark.parametrize("algorithm", ["anil", "contrastive"])
def test_where_the_head_alone_adapts_no_other_layer_and_no_feature_changes(tiny, noise, algorithm):
    found, *_ = probed(tiny(algorithm=algorithm, order="first"), noise)
    assert [layer for layer, change in found["layer_change"].items() if change] == ["head"]
    assert found["feature_change"] == pytest.approx(0, abs=1e-12)


def variances_by_hand(config, params: Params, images: Tensor) -> list[Tensor]:
    """Return each block's variance before batch norm, of the support set."""
    found, x = [], images
    for n, block in enumerate(BLOCKS[config.network], start=1):
        x = F.conv2d(x, params[f"conv{n}.weight"], params[f"conv{n}.bias"], block.stride, block.padding)
        if config.net_order == "relu_bn":
            x = x.clamp(min=0)
        flat = x.transpose(0, 1).flatten(1)
        mean = flat.mean(1, keepdim=True)
        found.append(((flat - mean) ** 2).mean(1))
        unit = (flat - mean) / (found[-1][:, None] + config.bn_eps).sqrt()
        x = unit.view(x.shape[1], x.shape[0], *x.shape[2:]).transpose(0, 1)
        if config.net_order == "bn_relu":
            x = x.clamp(min=0)
        x = F.max_pool2d(x, 2) if block.pool else x
    return found


@pytest.mark.parametrize("net_order", ["relu_bn", "bn_relu"])
@pytest.mark.parametrize("batch_norm", ["transductive", "inductive"])
def test_variances_are_those_batch_norm_divides_by_in_the_support_set(tiny, noise, net_order, batch_norm):
    """One filter is dead after the ReLU, another of the last layer is almost flat: neither hides the other."""
    config = tiny(net_order=net_order, batch_norm=batch_norm, probe_episodes=2)
    params = initial_params(config)
    params["conv2.weight"][1], params["conv2.bias"][1] = 0.0, -1.0
    params["conv4.weight"][2] *= 1e-3
    params["conv4.bias"][2] = 1.0
    found, _, episodes = probed(config, noise, params)
    for e in range(2):
        variances = variances_by_hand(config, params, episodes.support_images[e])
        every = torch.cat(variances)
        live = every[every > 0]
        flat = sum(0 < float(v) < 1e-3 for v in variances[-1]) / config.channels
        assert found["smallest_variance"][e] == 0.0 == float(every.min())
        assert found["smallest_live_variance"][e] == pytest.approx(float(live.min()), rel=1e-9)
        assert found["flat_channels"][e] == flat
        assert flat >= 0.25


def test_a_channel_is_flat_only_below_the_bound(tiny, noise, monkeypatch):
    config = tiny(probe_episodes=1)
    params = initial_params(config)
    params["conv4.weight"] *= 1e-3  # the smallest variance is one of the last layer
    (least,) = probed(config, noise, params)[0]["smallest_live_variance"]
    for bound, share in ((least, 0.0), (math.nextafter(least, 1), 0.25)):
        monkeypatch.setattr("trainers.maml.probes.FLAT", bound)
        assert probed(config, noise, params)[0]["flat_channels"] == [share]


def test_where_every_channel_is_dead_there_is_no_smallest_live_variance(tiny, noise):
    config = tiny(probe_episodes=1)
    params = {name: torch.zeros_like(value) for name, value in initial_params(config).items()}
    found, *_ = probed(config, noise, params)
    assert found["smallest_variance"] == [0.0]
    assert found["smallest_live_variance"] == [None]
    assert found["flat_channels"] == [0.0]
    json.dumps(found, allow_nan=False)


def test_what_is_not_finite_is_none_and_the_record_stays_json(tiny, noise):
    found, *_ = probed(tiny(inner_lr=1e200, inner_steps=3, probe_episodes=2), noise)
    assert found["gradient_norm"]["first"] == [None, None]
    assert found["feature_change"] is None
    assert found["layer_change"]["conv1"] is None
    assert math.isfinite(found["head_norm"])
    assert json.loads(json.dumps(found, allow_nan=False)) == found


@pytest.mark.parametrize("broken", ["conv1.weight", "head.weight"])
def test_parameters_that_left_the_range_still_give_a_json_able_probe(tiny, noise, broken):
    config = tiny(probe_episodes=1)
    params = initial_params(config)
    params[broken] = params[broken] * 1e300
    found, *_ = probed(config, noise, params)
    json.dumps(found, allow_nan=False)


def test_a_run_that_leaves_the_range_of_numbers_diverges_with_probes_as_without(tiny, noise, tmp_path):
    for every in (0, 1):
        config = tiny(outer_lr=1e25, outer_steps=3, probe_every=every, probe_episodes=1, dtype="float32")
        *_, chunk = train([config], noise, engine="loop")
        assert chunk.runs[0].status == "diverged"
        checkpoint.save(tmp_path / "x.ckpt", chunk.states()[0])


def test_a_probe_neither_moves_parameters_nor_leaves_gradients_on_them(tiny, noise):
    config = tiny()
    before = initial_params(config)
    _, params, _ = probed(config, noise)
    assert all(torch.equal(before[name], params[name]) for name in before)
    assert not any(value.requires_grad or value.grad is not None for value in params.values())
