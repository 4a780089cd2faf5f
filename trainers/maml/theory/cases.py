"""What claims about formulas share: episodes, parameters with a chosen head, mean gradients, and their distance.

The true gradient is always that of `adapt.query_outcome` by autograd, with only the head updated in the inner loop.
"""

import math
from collections.abc import Callable, Iterable
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from trainers.maml.adapt import Adaptation, adapted_names, graph_gradient, query_outcome
from trainers.maml.config import Order, TrialConfig
from trainers.maml.episodes import Episode
from trainers.maml.methods.contrastive import Explicit, explicit_outcome
from trainers.maml.model import Model, build_model
from trainers.maml.networks import HEAD, Params, zero_head
from trainers.maml.rng import stream
from trainers.maml.theory.claim import Claim, Setting

EXACT = 1e-12
"""Relative error within which a float64 gradient counts as equal to its formula; equal ones give about 1e-15."""

WRONG = 1e-3
"""Relative error that a wrong formula must exceed to count as shown wrong."""

HeadStart = Literal["random", "zero", "bias alone"]
Biases = Literal["drawn", "initial"]
Objective = Callable[["Case", Episode], Tensor]


class Case(NamedTuple):
    """A config with its network, episodes and leaf parameters that need gradients."""

    config: TrialConfig
    model: Model
    params: Params
    episodes: list[Episode]

    def gradient(self, objective: Objective) -> Params:
        """Return the gradient at the parameters of the mean of `objective` over the episodes."""
        mean = torch.stack([objective(self, episode) for episode in self.episodes]).mean()
        leaves = list(self.params.values())
        grads = torch.autograd.grad(mean, leaves, allow_unused=True, materialize_grads=True)
        return dict(zip(self.params, grads, strict=True))


def case(setting: Setting, head: HeadStart, *, balanced: bool = True, biases: Biases = "drawn", **changes: Any) -> Case:
    """Return `setting` with `changes` and a head that is random, zero, or zero except for its bias.

    Biases, including batch norm's shifts, are drawn unless `biases` is "initial". They start at zero, where more holds
    than in general (the mean support feature is zero if batch norm ends the encoder). An unbalanced support set has
    3, 1, 1, 2, 1 images of the classes.
    """
    config = setting.variant(**changes if balanced else changes | {"shots": 3})
    params = setting.params(config)
    if biases == "drawn":
        params = _with_biases(params, config.seed)
    if head != "random":
        kept = {name: value for name, value in params.items() if name == "head.bias" and head == "bias alone"}
        params = zero_head(params) | kept
    leaves = {name: value.detach().requires_grad_() for name, value in params.items()}
    episodes = setting.episodes(config)
    if not balanced:
        episodes = [_unbalanced(episode) for episode in episodes]
    return Case(config, build_model(config, vectorised=False), leaves, episodes)


def true_objective(order: Order) -> Objective:
    """Return the query loss after the head's inner steps: MAML with the encoder frozen in the inner loop (EFIL)."""

    def objective(at: Case, episode: Episode) -> Tensor:
        names = adapted_names("anil", at.params)
        how = Adaptation(names, at.config.inner_steps, at.config.inner_lr, graph_gradient(order))
        return query_outcome(at.model, at.params, episode, how).objective

    return objective


def explicit_objective(order: Order, **changes: Any) -> Objective:
    """Return the trainer's explicit objective, with `changes` to its form."""

    def objective(at: Case, episode: Episode) -> Tensor:
        how = Explicit(order, at.config.inner_steps, at.config.inner_lr)._replace(**changes)
        return explicit_outcome(at.model, at.params, episode, how).objective

    return objective


def of_encoder(gradient: Params) -> Params:
    """Return the encoder's part of `gradient`."""
    return {name: value for name, value in gradient.items() if name not in HEAD}


def of_head(gradient: Params) -> Params:
    """Return the head's part of `gradient`."""
    return {name: value for name, value in gradient.items() if name in HEAD}


def worst(found: Params, true: Params) -> float:
    """Return the largest relative difference between a tensor of `found` and the same one in `true`.

    NaN if `true` is zero as a whole, because a gradient that is not there supports no claim.
    """
    if not any(value.count_nonzero() for value in true.values()):
        return math.nan
    return largest(distance(found[name], value) for name, value in true.items())


def largest(errors: Iterable[float]) -> float:
    """Return the largest of `errors`, NaN if any is (Python's max may drop one)."""
    return float(torch.tensor(list(errors), dtype=torch.float64).max())


def distance(found: Tensor, true: Tensor) -> float:
    """Return ||found - true|| / ||true||: 0 if both are equal, infinite if only `true` is zero."""
    apart, true = (found - true).detach(), true.detach()
    return float(apart.norm() / true.norm()) if apart.count_nonzero() else 0.0


def holds(statement: str, source: str, computed: str, error: float, bound: float = EXACT) -> Claim:
    """Return a claim that should hold to `bound`."""
    return Claim(statement=statement, source=source, computed=computed, error=error, bound=bound)


def fails(statement: str, source: str, computed: str, error: float, bound: float = WRONG) -> Claim:
    """Return a control, or a formula known to be wrong: its error should exceed `bound`."""
    return Claim(statement=statement, source=source, computed=computed, error=error, bound=bound, should="fail")


def informs(statement: str, source: str, computed: str, value: float) -> Claim:
    """Return a row of information, which judges nothing: `value` is what `computed` names."""
    return Claim(statement=statement, source=source, computed=computed, error=value, bound=None, should="inform")


def _with_biases(params: Params, seed: int) -> Params:
    """Return `params` with every bias normal, of standard deviation 1/2."""
    generator = stream(seed, "theory", "biases")
    drawn = {
        name: torch.from_numpy(generator.standard_normal(value.shape) / 2).to(value)
        for name, value in params.items()
        if name.endswith(".bias")
    }
    return params | drawn


def _unbalanced(episode: Episode) -> Episode:
    """Return `episode` (3 shots) with 3, 1, 1, 2, 1 support images of its classes, in turn."""
    kept = torch.tensor([3, 1, 1, 2, 1])
    place = torch.arange(len(episode.support_labels)) % 3
    chosen = place < kept[episode.support_labels % 5]
    return episode._replace(
        support_images=episode.support_images[chosen], support_labels=episode.support_labels[chosen]
    )
