"""What an episode's maths asks of a network: whose statistics normalise, in which order, and by which loss."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from trainers.maml.engines.engines import build
from trainers.maml.episodes import Episode, evaluation_draw, gather, training_draw
from trainers.maml.layout import BLOCKS
from trainers.maml.model import build_model, half_squared_error
from trainers.maml.networks import initial_params
from trainers.maml.train import train

VARIANTS = [(network, order) for network in BLOCKS for order in ("relu_bn", "bn_relu")]


@pytest.fixture
def episode(tiny, noise) -> Episode:
    """Return one episode of 6 support and 9 query images."""
    return gather(training_draw(tiny(), 0), noise, tiny()).at(0)


def lively(config) -> dict[str, Tensor]:
    """Return initial parameters whose scales and shifts are not ones and zeros, so that they show."""
    generator = torch.Generator().manual_seed(0)

    def shaken(value: Tensor) -> Tensor:
        return value + 0.3 * torch.randn(value.shape, generator=generator, dtype=value.dtype)

    return {
        name: shaken(value) if name.startswith("norm") or name.endswith("bias") else value
        for name, value in initial_params(config).items()
    }


def by_hand(config, params, images: Tensor, reference: int | None) -> Tensor:
    """Forward pass with every mean, variance and maximum spelt out.

    `reference` is how many leading images give the statistics; None is all of them.
    """
    x = images
    for n, block in enumerate(BLOCKS[config.network], start=1):
        x = F.conv2d(x, params[f"conv{n}.weight"], params[f"conv{n}.bias"], block.stride, block.padding)
        if config.net_order == "relu_bn":
            x = x.clamp(min=0)
        seen = x[:reference].transpose(0, 1).flatten(1)  # (C, images and positions)
        mean = seen.sum(1) / seen.shape[1]
        variance = ((seen - mean[:, None]) ** 2).sum(1) / seen.shape[1]
        channels = []
        for c in range(config.channels):
            unit = (x[:, c] - mean[c]) / (variance[c] + config.bn_eps) ** 0.5
            channels.append(unit * params[f"norm{n}.weight"][c] + params[f"norm{n}.bias"][c])
        x = torch.stack(channels, dim=1)
        if config.net_order == "bn_relu":
            x = x.clamp(min=0)
        if block.pool:
            side = x.shape[-1] // 2 * 2
            x = x[:, :, :side, :side].unflatten(3, (-1, 2)).unflatten(2, (-1, 2)).amax(dim=(3, 5))
    return x.flatten(1)


@pytest.mark.parametrize("vectorised", [False, True])
@pytest.mark.parametrize(("network", "net_order"), VARIANTS)
def test_transductive_features_equal_a_forward_pass_by_hand(tiny, episode, network, net_order, vectorised):
    config = tiny(network=network, net_order=net_order, bn_eps=1e-2)
    params, model = lively(config), build_model(config, vectorised=vectorised)
    support, query = model.support_features(params, episode), model.query_features(params, episode)
    exact = {"rtol": 1e-10, "atol": 1e-10}
    torch.testing.assert_close(support, by_hand(config, params, episode.support_images, None), **exact)
    torch.testing.assert_close(query, by_hand(config, params, episode.query_images, None), **exact)


@pytest.mark.parametrize("vectorised", [False, True])
@pytest.mark.parametrize(("network", "net_order"), VARIANTS)
def test_inductive_query_features_are_normalised_by_the_support_set(tiny, episode, network, net_order, vectorised):
    config = tiny(network=network, net_order=net_order, batch_norm="inductive", bn_eps=1e-2)
    params, model = lively(config), build_model(config, vectorised=vectorised)
    images = torch.cat([episode.support_images, episode.query_images])
    expected = by_hand(config, params, images, reference=6)
    exact = {"rtol": 1e-10, "atol": 1e-10}
    torch.testing.assert_close(model.query_features(params, episode), expected[6:], **exact)
    torch.testing.assert_close(model.support_features(params, episode), expected[:6], **exact)


@pytest.mark.parametrize("batch_norm", ["inductive", "transductive"])
def test_one_querys_features_depend_on_the_other_queries_only_if_transductive(tiny, episode, batch_norm):
    config = tiny(batch_norm=batch_norm)
    params, model = initial_params(config), build_model(config, vectorised=False)
    others = episode._replace(query_images=torch.cat([episode.query_images[:1], 1 - episode.query_images[1:]]))
    before, after = (model.query_features(params, found)[0] for found in (episode, others))
    gap = float((before - after).norm() / before.norm())
    assert gap < 1e-12 if batch_norm == "inductive" else gap > 1e-2


def test_inductive_queries_depend_on_the_support_images_and_support_features_on_no_query(tiny, episode):
    config = tiny(batch_norm="inductive")
    params, model = initial_params(config), build_model(config, vectorised=False)
    plain = build_model(tiny(), vectorised=False)
    assert torch.equal(model.support_features(params, episode), plain.support_features(params, episode))
    others = episode._replace(support_images=1 - episode.support_images)
    assert (model.query_features(params, episode) - model.query_features(params, others)).abs().max() > 1e-2


def test_features_are_never_negative_exactly_when_the_activation_comes_last(tiny, episode):
    for net_order in ("relu_bn", "bn_relu"):
        config = tiny(net_order=net_order)
        features = build_model(config, vectorised=False).query_features(initial_params(config), episode)
        assert bool((features >= 0).all()) == (net_order == "bn_relu")
        assert (features > 0).any()


def test_bn_eps_is_added_to_the_variance(tiny, episode):
    """At unit scale v / (v + eps) is what remains of a variance v; here v is what the last convolution hands over."""
    remaining = {}
    for eps in (1e-5, 0.1):
        config = tiny(bn_eps=eps)
        features = build_model(config, vectorised=False).support_features(initial_params(config), episode)
        remaining[eps] = features.var(0, correction=0)
    live = remaining[1e-5] > 0
    assert live.any()
    assert (remaining[1e-5][live] > 0.99).all()
    assert (remaining[0.1][live] < 0.95).all()


def test_half_squared_error_is_half_the_sum_over_images_and_classes():
    logits = torch.tensor([[1.0, 2.0, 0.0], [0.5, -1.0, 3.0]], dtype=torch.float64, requires_grad=True)
    loss = half_squared_error(logits, torch.tensor([1, 2]))
    assert loss.item() == ((1 + 1 + 0) + (0.25 + 1 + 4)) / 2
    loss.backward()
    assert logits.grad.tolist() == [[1.0, 1.0, 0.0], [0.5, -1.0, 2.0]]


def test_one_squared_error_step_from_a_zero_head_makes_the_head_of_the_motivating_example(tiny, noise):
    """w_k = eta * sum of the support features of class k, so a query's logit is eta times the sum of its products."""
    config = tiny(algorithm="anil", loss="squared_error", inner_steps=1, head_scale=0.0, head_bias=False)
    episodes = gather(training_draw(config, 0), noise, config)
    params, model = initial_params(config), build_model(config, vectorised=False)
    stacked = {name: value[None] for name, value in params.items()}
    rate = torch.tensor([config.inner_lr], dtype=torch.float64)
    losses = []
    for e in range(2):
        episode = episodes.at(e)
        support, query = model.support_features(params, episode), model.query_features(params, episode)
        logits = config.inner_lr * torch.stack(
            [(query @ support[episode.support_labels == k].T).sum(1) for k in range(3)], dim=1
        )
        losses.append(half_squared_error(logits, episode.query_labels))
    found = build("loop", config).meta_gradient(stacked, [episodes], rate, [True])
    assert float(found.loss[0]) == pytest.approx(float(sum(losses)) / 2, rel=1e-12)


def evaluated(config, params, pixels, steps: int = 3) -> Tensor:
    """Return how many queries are right in 12 test episodes, (1, 12, steps + 1)."""
    stacked = {name: value[None] for name, value in params.items()}
    rate = torch.tensor([config.inner_lr], dtype=torch.float64)
    episodes = [gather(evaluation_draw(config, 0, 12), pixels, config)]
    return build("loop", config).correct(stacked, episodes, rate, [True], range(steps + 1))


def test_evaluation_adapts_what_eval_adapts_says_whatever_was_trained(tiny, noise):
    params = initial_params(tiny())
    maml, anil = tiny(inner_lr=0.5), tiny(algorithm="anil", inner_lr=0.5)
    explicit = tiny(algorithm="contrastive", order="first", inner_lr=0.5)
    of_all, of_head = evaluated(maml, params, noise), evaluated(anil, params, noise)
    assert not torch.equal(of_all, of_head)
    assert torch.equal(evaluated(explicit, params, noise), of_head)
    for trained in (maml, anil, explicit):
        for adapts, expected in (("all", of_all), ("head", of_head)):
            config = trained.model_copy(update={"eval_adapts": adapts})
            assert torch.equal(evaluated(config, params, noise), expected)


def test_eval_adapts_does_not_touch_training(tiny, noise):
    states = []
    for adapts in (None, "head"):
        *_, chunk = train([tiny(outer_steps=2, eval_adapts=adapts)], noise)
        states.append(chunk.states()[0])
    assert all(torch.equal(states[0].params[name], states[1].params[name]) for name in states[0].params)


@pytest.mark.parametrize("order", ["first", "second"])
@pytest.mark.parametrize("algorithm", ["maml", "anil"])
@pytest.mark.parametrize("engine", ["loop", "vmap"])
def test_no_inner_step_is_plain_training_on_the_query_sets(tiny, noise, engine, algorithm, order):
    config = tiny(algorithm=algorithm, order=order, inner_steps=0)
    episodes = gather(training_draw(config, 0), noise, config)
    params = {name: value.requires_grad_() for name, value in initial_params(config).items()}
    model = build_model(config, vectorised=False)
    losses = [F.cross_entropy(model.query_logits(params, ep), ep.query_labels) for ep in map(episodes.at, range(2))]
    expected = dict(zip(params, torch.autograd.grad(sum(losses) / 2, list(params.values())), strict=True))
    stacked = {name: value.detach()[None] for name, value in params.items()}
    rate = torch.tensor([config.inner_lr], dtype=torch.float64)
    found = build(engine, config).meta_gradient(stacked, [episodes], rate, [True])
    for name, gradient in expected.items():
        torch.testing.assert_close(found.gradient[name][0], gradient, rtol=1e-10, atol=1e-12)


def test_a_run_without_inner_steps_is_scored_once_for_each_head(tiny, noise):
    *_, chunk = train([tiny(inner_steps=0, outer_steps=1)], noise, chunk_s=60)
    (accuracy,) = [record.value["accuracy"] for record in chunk.runs[0].records if record.key == "evaluation"]
    assert chunk.runs[0].status == "done"
    assert [len(accuracy[head]) for head in ("trained", "zeroed")] == [1, 1]
    assert accuracy["zeroed"] == [pytest.approx(1 / 3)]
