"""MAML++'s multi-step loss: the query losses after each inner step, weighted (Antoniou et al. 2019, section 4).

The outer loss of an episode is sum_i v_i L_query(theta_i), i = 1..k. The paper says that the weights are equal at
first and move to the last step. How they move is as in the authors' code, with outer steps in place of epochs.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from trainers.maml.adapt import Adaptation, QueryOutcome, adapt_to, is_right, query_logits_after
from trainers.maml.episodes import Episode
from trainers.maml.model import Model
from trainers.maml.networks import Params

FLOOR = 0.03
"""The least weight of an inner step during annealing, in shares of its first weight."""

Weights = Sequence[float] | Tensor
"""The weight of the query loss after each inner step, from the first step on."""


def weights_at(step: int, inner_steps: int, annealed_steps: int) -> list[float]:
    """Return the weights of the outer step after `step` others; they sum to 1.

    With k = inner_steps and T = annealed_steps: v_i = max(1 - step / T, 0.03) / k for i < k, and v_k is the rest. From
    T outer steps on, v_k = 1 alone. For T = 0 all weights stay 1 / k. The number of outer steps has no part in it.
    """
    if annealed_steps and step >= annealed_steps:
        return [0.0] * (inner_steps - 1) + [1.0]
    share = max(1 - step / annealed_steps, FLOOR) if annealed_steps else 1.0
    earlier = [share / inner_steps] * (inner_steps - 1)
    return [*earlier, 1 - sum(earlier)]


def weighted_outcome(model: Model, params: Params, episode: Episode, how: Adaptation, weights: Weights) -> QueryOutcome:
    """Return the outcome whose objective is the weighted sum; loss and accuracy are those after the last step.

    A weight that is the number 0.0 leaves its step out, so that a query loss out of range there does no harm.
    """
    counted = [k for k, weight in enumerate(weights, start=1) if isinstance(weight, Tensor) or weight]
    trajectory = adapt_to(model, params, episode, how)
    every = query_logits_after(model, params, trajectory, episode, how, counted)
    losses = [model.loss(logits, episode.query_labels) for logits in every]
    objective = torch.stack([weights[k - 1] * loss for k, loss in zip(counted, losses, strict=True)]).sum()
    right = is_right(every[-1], episode.query_labels).to(objective.dtype)
    return QueryOutcome(objective, losses[-1].detach(), right.mean())
