"""Reptile's minibatches and its outer gradient."""

import pytest
import torch

from tests.trainers.maml.each_method import METHODS
from trainers.maml.adapt import graph_gradient
from trainers.maml.engines.engines import build
from trainers.maml.engines.outcomes import outcome_of
from trainers.maml.episodes import Episode, gather, training_draw
from trainers.maml.methods.reptile import minibatch
from trainers.maml.model import build_model
from trainers.maml.train import begun


def test_minibatches_pass_through_all_images_of_each_class_and_begin_again():
    """Two ways, two shots and three queries: an image is its class times ten plus its number."""
    support, query = torch.tensor([0, 1, 10, 11]), torch.tensor([2, 3, 4, 12, 13, 14])
    episode = Episode(support, torch.tensor([0, 0, 1, 1]), query, torch.tensor([0, 0, 0, 1, 1, 1]))
    seen = [minibatch(episode, step, ways=2, shots=2) for step in range(4)]
    assert [batch.support_images.tolist() for batch in seen] == [
        [0, 1, 10, 11], [2, 3, 12, 13], [4, 0, 14, 10], [1, 2, 11, 12],
    ]  # fmt: skip
    assert all(batch.support_labels.tolist() == [0, 0, 1, 1] for batch in seen)
    assert all(torch.equal(batch.query_images, query) for batch in seen)


def test_one_inner_step_is_a_step_on_the_first_minibatch(tiny, noise):
    """With k = 1 the gradient is that of joint training on the support set (Nichol et al. 2018, section 2)."""
    config = tiny(algorithm="reptile", order="first", inner_steps=1)
    params, episode = begun(config).params, gather(training_draw(config, 0), noise, config).at(0)
    model = build_model(config, vectorised=False)
    leaves = {name: value.clone().requires_grad_() for name, value in params.items()}
    objective = outcome_of(config, model, graph_gradient)(leaves, episode, config.inner_lr).objective
    found = torch.autograd.grad(objective, list(leaves.values()))
    expected = torch.autograd.grad(model.support_loss(leaves, episode), list(leaves.values()))
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-11, atol=1e-13)


def test_the_inner_rate_divides_the_way_so_that_small_rates_give_gradients_of_one_size(tiny, noise):
    norms = []
    for rate in (1e-4, 1e-6):
        config = tiny(inner_lr=rate, **METHODS["reptile"])
        episodes = gather(training_draw(config, 0), noise, config)
        stacked = {name: value[None] for name, value in begun(config).params.items()}
        lr = torch.tensor([rate], dtype=torch.float64)
        found = build("loop", config).meta_gradient(stacked, [episodes], lr, [True]).gradient
        norms.append(float(torch.cat([value.flatten() for value in found.values()]).norm()))
    assert norms[0] == pytest.approx(norms[1], rel=0.05)
