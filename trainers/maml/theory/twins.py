"""Small networks that replace Conv-4, each with an episode, and the losses whose slopes our gradients should be.

The smooth twin has a slope everywhere, so finite differences are precise. The kinked twin has ReLU and max-pooling, and
its second-order meta-loss jumps where an inner gradient jumps.
"""

import math
from collections.abc import Callable
from functools import reduce
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from trainers.maml.adapt import Adaptation, Objective, adapt_to, adapted_names, graph_gradient, query_outcome
from trainers.maml.config import Order
from trainers.maml.episodes import Episode
from trainers.maml.method_fields import Algorithm
from trainers.maml.methods.contrastive import Explicit, explicit_outcome
from trainers.maml.model import Model, one_hot
from trainers.maml.networks import Params, classify, native_norm

TWIN_LR = 0.1
"""The twins' inner learning rate: at Omniglot's 0.4, five steps curve so much that h = 1e-5 is too large."""


class Twin(NamedTuple):
    """A network, its parameters without gradients, and an episode."""

    model: Model
    params: Params
    episode: Episode

    def how(self, algorithm: Algorithm, order: Order, steps: int, lr: float = TWIN_LR) -> Adaptation:
        """Return the inner loop of `algorithm`."""
        return Adaptation(adapted_names(algorithm, self.params), steps, lr, graph_gradient(order))

    def meta_loss(self, how: Adaptation) -> Objective:
        """Return the query loss after adaptation as a function of the parameters before it."""
        cheap = how._replace(gradient=graph_gradient("first"))  # the order changes the gradient, never the loss
        return lambda params: query_outcome(self.model, params, self.episode, cheap).loss

    def meta_gradient(self, how: Adaptation) -> Params:
        """Return the outer gradient of our code."""
        return self.gradient(lambda params: query_outcome(self.model, params, self.episode, how).objective)

    def gradient(self, objective: Objective) -> Params:
        """Return the gradient of `objective` at the case's parameters, by autograd."""
        leaves = {name: value.detach().requires_grad_() for name, value in self.params.items()}
        return dict(zip(leaves, torch.autograd.grad(objective(leaves), list(leaves.values())), strict=True))

    def displaced_loss(self, how: Adaptation) -> Objective:
        """Return the query loss at the parameters plus the inner loop's displacement, held constant."""
        adapted = adapt_to(self.model, self.params, self.episode, how)[-1]
        displacement = {name: (adapted[name] - value).detach() for name, value in self.params.items()}

        def loss(params: Params) -> Tensor:
            moved = {name: value + displacement[name] for name, value in params.items()}
            return self.model.loss(self.model.query_logits(moved, self.episode), self.episode.query_labels)

        return loss

    def explicit_gradient(self, how: Explicit) -> Params:
        """Return the outer gradient of our code by the explicit loss."""
        return self.gradient(lambda params: explicit_outcome(self.model, params, self.episode, how).objective)

    def frozen_explicit_loss(self, how: Explicit) -> Objective:
        """Return Eq. 7 or 8 as a function of the encoder; its stopped parts come once from a real inner loop."""
        model, episode = self.model, self.episode
        inner = self.how("anil", "first", how.steps)
        path = [{n: v.detach() for n, v in fast.items()} for fast in adapt_to(model, self.params, episode, inner)]
        target = one_hot(episode.support_labels, model.support_logits(path[0], episode))
        answers = one_hot(episode.query_labels, model.query_logits(path[0], episode))
        residual = F.softmax(model.query_logits(path[-1], episode), dim=1) - answers
        support = model.support_features(self.params, episode)
        gaps = [target - F.softmax(model.support_logits(fast, episode), dim=1) for fast in path[:-1]]
        gap = reduce(torch.add, gaps)

        def loss(params: Params) -> Tensor:
            query = model.query_features(params, episode)
            shown = support if how.order == "first" else model.support_features(params, episode)
            own_gap = target - F.softmax(classify(params, shown), dim=1) if how.form == "exact" else gap
            weights = (gap if how.order == "first" else own_gap) @ residual.T
            interference = (residual * classify(params, query)).sum(dim=1).mean()
            return interference + how.lr * (weights * (shown @ query.T + 1)).mean()

        return loss

    def slope_errors(self, gradient: Params, loss: Objective, *, h: float, directions: int = 8) -> list[float]:
        """Return the relative errors of `gradient` against central differences of `loss` at the case's parameters.

        One for the direction of the gradient itself, then one for each of `directions` random ones in the space of
        `gradient`; relative to the slope, or to 1e-3 of the gradient's norm where the slope is smaller than that.
        NaN for a gradient of zero, which has no direction.
        """
        if not _norm(gradient):
            return [math.nan]
        errors = []
        for towards in _directions(gradient, directions):
            step = {name: h / _norm(towards) * part for name, part in towards.items()}
            ahead = loss(self.params | {name: self.params[name] + part for name, part in step.items()})
            behind = loss(self.params | {name: self.params[name] - part for name, part in step.items()})
            exact = sum(float((gradient[name] * part).sum()) for name, part in step.items()) / h
            error = abs(float(ahead - behind) / (2 * h) - exact)
            errors.append(error / max(abs(exact), 1e-3 * _norm(gradient)))
        return errors

    def jumps(self, gradient: Params, loss: Objective, *, within: float, directions: int = 8) -> list[float]:
        """Return by how much `loss` changes over the last of 40 halvings of -`within` to `within`, a direction each.

        Each time, the half over which the loss changes more is kept. Where the loss is continuous, rounding is left.
        """
        found = []
        for towards in _directions(gradient, directions):
            unit = {name: part / _norm(towards) for name, part in towards.items()}

            def at(t: float, unit: Params = unit) -> tuple[float, float]:
                return t, float(loss(self.params | {name: self.params[name] + t * part for name, part in unit.items()}))

            low, high = at(-within), at(within)
            for _ in range(40):
                middle = at((low[0] + high[0]) / 2)
                left = abs(middle[1] - low[1]) > abs(high[1] - middle[1])
                low, high = (low, middle) if left else (middle, high)
            found.append(abs(high[1] - low[1]))
        return found


def _directions(gradient: Params, count: int) -> list[Params]:
    """Return `gradient` and `count` random directions, always the same, of any length."""
    generator = torch.Generator().manual_seed(2)
    drawn = [
        {name: torch.randn(g.shape, generator=generator, dtype=g.dtype) for name, g in gradient.items()}
        for _ in range(count)
    ]
    return [gradient, *drawn]


def noise_episode(size: int) -> Episode:
    """Return a 5-way 1-shot episode of normal noise, 3 queries a class, `size` x `size` pixels, always the same."""
    labels, generator = torch.arange(5), torch.Generator().manual_seed(1)
    images = torch.randn(20, 1, size, size, generator=generator, dtype=torch.float64)
    return Episode(images[:5], labels, images[5:], labels.repeat(3))


def smooth_twin(episode: Episode) -> Twin:
    """Return three blocks of strided convolution, softplus and batch norm on `episode` (at least 15x15 pixels)."""

    def features(params: Params, images: Tensor) -> Tensor:
        for n in (1, 2, 3):
            x = F.conv2d(images, params[f"conv{n}.weight"], params[f"conv{n}.bias"], stride=2)
            images = native_norm(F.softplus(x), params[f"norm{n}.weight"], params[f"norm{n}.bias"], eps=1e-5)
        return images.flatten(1)

    return _case(features, episode, blocks=3, channels=4)


def kinked_twin() -> Twin:
    """Return two blocks of ReLU, batch norm and max-pooling, 8 channels, on 12x12 noise, with biases that aren't zero.

    Zero biases under a zero background would stand exactly on the kinks.
    """

    def features(params: Params, images: Tensor) -> Tensor:
        for n in (1, 2):
            x = F.conv2d(images, params[f"conv{n}.weight"], params[f"conv{n}.bias"], padding=1)
            x = native_norm(F.relu(x), params[f"norm{n}.weight"], params[f"norm{n}.bias"], eps=1e-5)
            images = F.max_pool2d(x, 2)
        return images.flatten(1)

    return _case(features, noise_episode(12), blocks=2, channels=8)


def _case(features: Callable[[Params, Tensor], Tensor], episode: Episode, *, blocks: int, channels: int) -> Twin:
    generator = torch.Generator().manual_seed(0)

    def draw(*shape: int, scale: float = 0.1) -> Tensor:
        return scale * torch.randn(shape, generator=generator, dtype=torch.float64)

    params: Params = {}
    inputs, ways = episode.support_images.shape[1], int(episode.support_labels.max()) + 1
    for n in range(1, blocks + 1):
        params[f"conv{n}.weight"] = draw(channels, inputs, 3, 3, scale=(2 / (9 * inputs)) ** 0.5)
        params[f"conv{n}.bias"] = draw(channels)
        params[f"norm{n}.weight"] = 1 + draw(channels)
        params[f"norm{n}.bias"] = draw(channels)
        inputs = channels
    width = features(params, episode.support_images).shape[1]
    params["head.weight"], params["head.bias"] = draw(ways, width, scale=width**-0.5), draw(ways)
    model = Model(
        lambda given, shown: features(given, shown.support_images),
        lambda given, shown: features(given, shown.query_images),
        F.cross_entropy,
    )
    return Twin(model, params, episode)


def _norm(params: Params) -> float:
    return float(torch.stack([value.norm() for value in params.values()]).norm())
