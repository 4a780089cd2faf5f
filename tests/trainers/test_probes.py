"""Probes: every number against a closed form or another computation; and that looking leaves no trace."""

import json
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from trainers import checkpoint
from trainers.engines import LoopEngine, build
from trainers.episodes import Episode, gather, probe_draw, training_draw
from trainers.maml import Adaptation, adapt_to, adapted_names, graph_gradient
from trainers.model import build_model
from trainers.networks import BLOCKS, HEAD, Params, initial_params, zero_head
from trainers.probes import Probe, probe
from trainers.train import train

LAYERS = ["conv1", "norm1", "conv2", "norm2", "conv3", "norm3", "conv4", "norm4", "head"]


def probed(config, pixels, params: Params | None = None) -> tuple[Probe, Params, Episode]:
    """Return a probe at the start, and what it looked at."""
    params = initial_params(config) if params is None else params
    episodes = gather(probe_draw(config), pixels, config)
    return probe(config, params, episodes), params, episodes


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
        *_, chunk = train([config], noise)
        assert chunk.runs[0].status == "diverged"
        checkpoint.save(tmp_path / "x.ckpt", chunk.states()[0])


def test_a_probe_neither_moves_parameters_nor_leaves_gradients_on_them(tiny, noise):
    config = tiny()
    before = initial_params(config)
    _, params, _ = probed(config, noise)
    assert all(torch.equal(before[name], params[name]) for name in before)
    assert not any(value.requires_grad or value.grad is not None for value in params.values())


def whole(config, pixels, states=None, **options):
    """Return every record and the last state of one run."""
    records, chunk = [], None
    for chunk in train([config], pixels, states=states, **options):
        records += chunk.runs[0].records
    return records, chunk.states()[0]


def probes_of(records) -> list[int]:
    return [record.step for record in records if record.key == "probe"]


@pytest.mark.parametrize("engine", ["loop", "vmap"])
@pytest.mark.parametrize("values", [{}, {"zero_head_every": 2, "zero_head_adam": "reset"}, {"episode_pool": 5}])
def test_training_with_probes_has_the_bits_of_training_without(tiny, noise, engine, values):
    states = {}
    for every in (0, 1, 3):
        records, states[every] = whole(
            tiny(probe_every=every, probe_episodes=2, outer_steps=4, dtype="float32", **values), noise, engine=engine
        )
        assert probes_of(records) == {0: [], 1: [0, 1, 2, 3, 4], 3: [0, 3]}[every]
    for every in (1, 3):
        for found, expected in zip(
            (states[every].params, *states[every].moments), (states[0].params, *states[0].moments), strict=True
        ):
            assert all(torch.equal(found[name], expected[name]) for name in expected)
        others = [record for record in states[every].records if record.key != "probe"]
        assert others == list(states[0].records)


def test_probes_begin_at_probe_first_and_train_the_same_bits(tiny, noise):
    """Fig. 2 looks after updates 1, 11, 21, ..., so between the multiples of ten."""
    states = {}
    for first, expected in ((0, [0, 3, 6]), (1, [1, 4, 7]), (2, [2, 5]), (4, [4, 7]), (9, [])):
        values = {"probe_every": 3, "probe_first": first, "probe_episodes": 1, "outer_steps": 7}
        records, states[first] = whole(tiny(**values), noise)
        assert probes_of(records) == expected
    for state in states.values():
        assert all(torch.equal(state.params[name], states[0].params[name]) for name in state.params)


def test_stopped_at_any_chunk_and_resumed_a_run_has_each_probe_once(tiny, noise, tmp_path):
    config = tiny(outer_steps=4, probe_every=2, probe_episodes=2, eval_every=2, eval_episodes=2, zero_head_every=2)
    records, last = whole(config, noise)
    assert probes_of(records) == [0, 2, 4]
    assert len({(record.step, record.key) for record in records}) == len(records)
    stops = 0
    for chunk in train([config], noise, chunk_s=0):
        checkpoint.save(tmp_path / "x.ckpt", chunk.states()[0])
        resumed, end = whole(config, noise, states=[checkpoint.read(tmp_path / "x.ckpt")])
        assert resumed == records
        assert all(torch.equal(end.params[name], last.params[name]) for name in last.params)
        stops += 1
    assert stops == 4 + 3 + 2 * 2  # steps, probes and slices of evaluations


def test_the_probe_at_the_end_is_not_taken_again_when_the_target_grows(tiny, noise):
    values = {"probe_every": 1, "probe_episodes": 2, "eval_episodes": 2}
    _, at_two = whole(tiny(outer_steps=2, **values), noise)
    grown, _ = whole(tiny(outer_steps=4, **values), noise, states=[at_two])
    at_once, _ = whole(tiny(outer_steps=4, **values), noise)
    assert probes_of(grown) == [0, 1, 2, 3, 4]
    taken = [[record for record in records if record.key == "probe"] for records in (grown, at_once)]
    assert taken[0] == taken[1]


def test_a_probe_sees_the_head_that_the_next_inner_loop_starts_from(tiny, noise):
    """With zeroing every second step that is a zero head at steps 0, 2 and 4, whenever it is set to zero."""
    for when in ("before_inner_loop", "after_update"):
        config = tiny(outer_steps=4, probe_every=1, probe_episodes=1, zero_head_every=2, zero_head_when=when)
        records, _ = whole(config, noise)
        norms = {record.step: record.value["head_norm"] for record in records if record.key == "probe"}
        assert [step for step, size in norms.items() if size == 0] == [0, 2, 4]


def test_each_member_of_a_pack_is_probed_as_if_alone_and_a_diverged_one_no_more(tiny, noise):
    values = {"outer_steps": 3, "probe_every": 1, "probe_episodes": 2}
    configs = [tiny(seed=0, inner_lr=1e200, **values), tiny(seed=1, **values)]
    records: list[list] = [[], []]
    for chunk in train(configs, noise):
        for run in (0, 1):
            records[run] += chunk.runs[run].records
    assert probes_of(records[0]) == [0]
    solo, _ = whole(configs[1], noise)
    assert [record for record in records[1] if record.key == "probe"] == [r for r in solo if r.key == "probe"]


@pytest.mark.parametrize("first", [0, 1])
def test_states_from_before_and_after_a_probe_go_on_together_with_each_probe_once(tiny, noise, first):
    """Runs trained alone may have stopped at one step, one before its probe and one after it."""
    values = {"outer_steps": 3, "probe_every": 1, "probe_episodes": 1}
    alone = [[chunk.states()[0] for chunk in train([tiny(seed=s, **values)], noise, chunk_s=0)] for s in (0, 1)]
    states = [alone[0][1], alone[1][2]]
    assert [state.step for state in states] == [1, 1]
    assert [probes_of(state.records) for state in states] == [[0], [0, 1]]
    order = (first, 1 - first)
    *_, chunk = train([tiny(seed=s, **values) for s in order], noise, states=[states[s] for s in order])
    for seed, state in zip(order, chunk.states(), strict=True):
        assert state.records == alone[seed][-1].records


def test_a_probe_is_taken_of_the_episodes_it_is_said_to_be_of(tiny, noise):
    config = tiny(outer_steps=1, probe_every=1, probe_episodes=2, zero_head_every=1, episode_pool=5)
    records, _ = whole(config, noise, engine="loop")
    expected, *_ = probed(config, noise, zero_head(initial_params(config)))
    assert next(record.value for record in records if record.key == "probe") == expected
    elsewhere = probe(config, zero_head(initial_params(config)), gather(training_draw(config, 0), noise, config))
    assert elsewhere != expected


def test_training_goes_on_when_a_probe_has_nothing_finite_to_say(tiny, noise, monkeypatch):
    """Divergence is the training's to find, not the probe's."""
    honest = LoopEngine.meta_gradient
    calls = []

    def tame(self, params, episodes, inner_lr, alive):
        calls.append(1)
        return honest(self, params, episodes, torch.full_like(inner_lr, 0.1), alive)

    monkeypatch.setattr(LoopEngine, "meta_gradient", tame)
    config = tiny(outer_steps=2, inner_lr=1e200, probe_every=1, probe_episodes=1)
    records, _ = whole(config, noise)
    assert probes_of(records) == [0, 1, 2]
    assert len(calls) == 2
