"""The pull of an outer step on features: gradients against Eqs. 8 to 10, displacements against hand-made steps."""

import json

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from trainers.maml.adapt import Adaptation, graph_gradient
from trainers.maml.engines.engines import build
from trainers.maml.episodes import Episode, gather, probe_draw
from trainers.maml.methods.contrastive import (
    Explicit,
    contrastive_loss,
    extended,
    head_of,
    head_path,
    interference_loss,
)
from trainers.maml.methods.feature_pull import STEP, displacements, feature_gradients
from trainers.maml.model import Model, build_model, one_hot
from trainers.maml.networks import HEAD, Params, initial_params, zero_head
from trainers.maml.probes import probe


def head_alone(config, order) -> Adaptation:
    names = HEAD if config.head_bias else HEAD[:1]
    return Adaptation(names, config.inner_steps, config.inner_lr, graph_gradient(order))


def looked_at(config, pixels, params: Params) -> tuple[Model, Params, Episode]:
    leaves = {name: value.clone().requires_grad_() for name, value in params.items()}
    return build_model(config, vectorised=False), leaves, gather(probe_draw(config), pixels, config).at(0)


def class_terms(config, model: Model, params: Params, episode: Episode) -> tuple[Tensor, Tensor, Tensor]:
    """Return phi(s), phi(q) and q_t - 1{t=u} (S, T) after one step of a zero head, written out."""
    support, query = model.support_features(params, episode), model.query_features(params, episode)
    target = one_hot(episode.support_labels, torch.zeros(len(support), config.ways, dtype=support.dtype))
    head = config.inner_lr * (target - 1 / config.ways).T @ support / len(support)
    q = F.softmax(query @ head.T, dim=1) - one_hot(episode.query_labels, query @ head.T)
    return support.detach(), query.detach(), q[:, episode.support_labels].T.detach()


@pytest.mark.parametrize("bias", [True, False])
def test_from_a_zero_head_first_order_pulls_the_query_by_eq_9_and_the_support_not_at_all(tiny, noise, bias):
    config = tiny(inner_steps=1, head_bias=bias)
    model, params, episode = looked_at(config, noise, zero_head(initial_params(config)))
    on_support, on_query = feature_gradients(model, params, episode, head_alone(config, "first"))
    support, query, terms = class_terms(config, model, params, episode)
    expected = config.inner_lr * terms.T @ support / len(support) / len(query)
    assert torch.equal(on_support, torch.zeros_like(support))
    torch.testing.assert_close(on_query, expected, rtol=1e-12, atol=1e-16)


def test_from_a_zero_head_second_order_pulls_both_by_eq_10(tiny, noise):
    config = tiny(inner_steps=1)
    model, params, episode = looked_at(config, noise, zero_head(initial_params(config)))
    on_support, on_query = feature_gradients(model, params, episode, head_alone(config, "second"))
    support, query, terms = class_terms(config, model, params, episode)
    scale = config.inner_lr / len(support) / len(query)
    torch.testing.assert_close(on_query, scale * terms.T @ support, rtol=1e-12, atol=1e-16)
    torch.testing.assert_close(on_support, scale * terms @ query, rtol=1e-12, atol=1e-16)
    assert on_support.norm() > 0


@pytest.mark.parametrize("order", ["first", "second"])
def test_after_many_steps_the_gradient_is_taken_at_the_last_head(tiny, noise, order):
    config = tiny(inner_steps=3, head_bias=False)
    model, params, episode = looked_at(config, noise, initial_params(config))
    found = feature_gradients(model, params, episode, head_alone(config, order))
    support = model.support_features(params, episode).detach().requires_grad_()
    query = model.query_features(params, episode).detach().requires_grad_()
    head = params["head.weight"].detach()
    for _ in range(3):
        error = F.softmax(support @ head.T, dim=1) - F.one_hot(episode.support_labels)
        slope = error.T @ support / len(support)
        head = head - config.inner_lr * (slope.detach() if order == "first" else slope)
    loss = F.cross_entropy(query @ head.T, episode.query_labels)
    expected = torch.autograd.grad(loss, (support, query), materialize_grads=True)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-15)


def test_from_a_random_head_second_order_is_the_gradient_of_the_exact_explicit_loss(tiny, noise):
    config = tiny(inner_steps=1)
    model, params, episode = looked_at(config, noise, initial_params(config))
    found = feature_gradients(model, params, episode, head_alone(config, "second"))
    features = [f(params, episode).detach().requires_grad_() for f in (model.support_features, model.query_features)]
    support, query = (extended(each, params) for each in features)
    head = head_of(params).detach()
    path = head_path(support.detach(), query.detach(), head, episode.support_labels, 1, config.inner_lr)
    residual = path.residual(episode.query_labels)
    how = Explicit("second", 1, config.inner_lr)
    loss = contrastive_loss(support, head, query, episode.support_labels, residual, path, how)
    expected = torch.autograd.grad(loss + interference_loss(head, query, residual), features)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-15)


@pytest.fixture
def toy() -> tuple[Model, Params, Episode]:
    """A linear encoder phi(x) = W x of seven pixels to five features."""
    rng = torch.Generator().manual_seed(3)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=rng, dtype=torch.float64)

    model = Model(
        lambda params, episode: episode.support_images @ params["conv1.weight"].T,
        lambda params, episode: episode.query_images @ params["conv1.weight"].T,
        F.cross_entropy,
    )
    params = {"conv1.weight": normal(5, 7), "head.weight": torch.zeros(2, 5, dtype=torch.float64)}
    labels = torch.tensor([0, 0, 1, 1])
    return model, params, Episode(normal(4, 7), labels, normal(6, 7), torch.tensor([0, 0, 0, 1, 1, 1]))


def test_with_a_linear_encoder_a_feature_moves_by_minus_the_step_times_g_x(toy):
    model, params, episode = toy
    slope = torch.randn(5, 7, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    (s_same, s_other), (q_same, q_other) = displacements(
        model, params, episode, {"conv1.weight": slope, "head.weight": torch.ones(2, 5, dtype=torch.float64)}
    )
    weight, g = params["conv1.weight"].numpy(), slope.numpy()
    step = np.linalg.norm(weight) / np.linalg.norm(g) * g
    sets = [[(x, int(label)) for x, label in zip(images.numpy(), labels, strict=True)]
            for images, labels in (episode[:2], episode[2:4])]  # fmt: skip

    def component(own, others, alike):
        return np.mean([
            -(step @ x) @ (weight @ y) / np.linalg.norm(weight @ x) / np.linalg.norm(weight @ y)
            for x, t in own for y, u in others if (t == u) == alike
        ])  # fmt: skip

    found = [float(value) for value in (s_same, s_other, q_same, q_other)]
    support, query = sets
    expected = [component(*pair, alike) for pair in ((support, query), (query, support)) for alike in (True, False)]
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_only_the_direction_of_the_encoders_gradient_counts(toy):
    model, params, episode = toy
    slope = {name: torch.ones_like(value) for name, value in params.items()}
    far = {"conv1.weight": 1e5 * slope["conv1.weight"], "head.weight": -slope["head.weight"]}
    once, again = (displacements(model, params, episode, each) for each in (slope, far))
    torch.testing.assert_close(once, again, rtol=1e-12, atol=0)


@pytest.mark.parametrize("algorithm", ["maml", "anil"])
def test_a_probe_moves_the_encoder_along_the_trials_own_outer_gradient_and_averages_episodes(tiny, noise, algorithm):
    config = tiny(algorithm=algorithm, probe_episodes=2)
    params = initial_params(config)
    episodes = gather(probe_draw(config), noise, config)
    pull = probe(config, params, episodes)["feature_pull"]
    model = build_model(config, vectorised=False)
    for order in ("first", "second"):
        each = []
        for e in range(2):
            one = Episode(*(part[e : e + 1] for part in episodes))
            rate = torch.tensor([config.inner_lr], dtype=torch.float64)
            stacked = {name: value[None] for name, value in params.items()}
            engine = build("loop", tiny(algorithm=algorithm, order=order))
            whole = engine.meta_gradient(stacked, [one], rate, [True]).gradient
            each.append(displacements(model, params, episodes.at(e), {name: g[0] for name, g in whole.items()}))
        expected = np.mean(np.array([[list(map(float, pair)) for pair in found] for found in each]), axis=0)
        found = [[pull[order][who]["same"], pull[order][who]["other"]] for who in ("support", "query")]
        np.testing.assert_allclose(found, expected, rtol=1e-8)
    assert pull["first"]["support"]["gradient"] == 0.0 < pull["second"]["support"]["gradient"]


def test_without_inner_steps_the_gradient_is_of_one_and_stays_a_number(tiny, noise):
    config = tiny(inner_steps=0, probe_episodes=1)
    params = initial_params(config)
    episodes = gather(probe_draw(config), noise, config)
    pull = probe(config, params, episodes)["feature_pull"]
    one = probe(tiny(inner_steps=1, probe_episodes=1), params, episodes)["feature_pull"]
    assert [pull[order]["support"]["gradient"] for order in pull] == [
        one[order]["support"]["gradient"] for order in one
    ]
    assert pull["second"]["support"]["gradient"] > 0


def test_where_no_gradient_points_anywhere_there_is_no_displacement(tiny, noise):
    """A zero head that takes no step has no gradient on the encoder."""
    config = tiny(inner_steps=0, probe_episodes=1)
    params = zero_head(initial_params(config))
    pull = probe(config, params, gather(probe_draw(config), noise, config))["feature_pull"]
    assert [pull["first"][who]["same"] for who in ("support", "query")] == [None, None]
    assert json.loads(json.dumps(pull, allow_nan=False)) == pull


@pytest.mark.slow
def test_from_a_zero_head_first_order_moves_queries_to_their_class_and_the_support_hardly(tiny, pixels):
    """Fig. 6, with an encoder whose weights both sets share; second order moves both. Of 8 episodes, in float32."""
    config = tiny(algorithm="anil", inner_steps=1, channels=16, ways=5, shots=1, probe_episodes=8, dtype="float32")
    pull = probe(config, zero_head(initial_params(config)), gather(probe_draw(config), pixels, config))["feature_pull"]
    apart = {(order, who): found["same"] - found["other"] for order in pull for who, found in pull[order].items()}
    assert abs(apart["first", "support"]) < 0.1 * apart["first", "query"]
    assert apart["second", "support"] > 0.5 * apart["second", "query"] > 0


@pytest.mark.slow
def test_the_trial_step_is_so_small_that_a_tenth_of_it_gives_the_same(tiny, pixels, monkeypatch):
    config = tiny(algorithm="anil", inner_steps=1, channels=16, ways=5, probe_episodes=8, dtype="float32")
    params = zero_head(initial_params(config))
    episodes = gather(probe_draw(config), pixels, config)
    found = probe(config, params, episodes)["feature_pull"]["second"]["query"]["same"]
    monkeypatch.setattr("trainers.maml.methods.feature_pull.STEP", STEP / 10)
    assert probe(config, params, episodes)["feature_pull"]["second"]["query"]["same"] == pytest.approx(found, rel=0.03)
