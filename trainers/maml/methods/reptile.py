"""Reptile's outer gradient: where the inner loop went (Nichol, Achiam and Schulman 2018, Algorithm 2 and section 5.1).

The gradient of an episode is (theta - theta_k) / alpha with theta_k after k inner steps of size alpha: the sum of the k
inner gradients. The outer loop gives its mean over the episodes to Adam, which the paper names as the alternative to a
step towards theta_k.

In training the paper does not part an episode into support and query set. Each inner step takes another minibatch of
all its images; the difference from joint training comes from gradients of different minibatches. So here the inner
steps of training pass through support and query images of each class together, `shots` images of each class at a time,
and begin again at the first when all were seen. The images of an episode are in random order. Evaluations adapt on the
support set and score the query set, as for every method.
"""

from functools import partial

import torch
from torch import Tensor

from trainers.maml.adapt import Adaptation, QueryOutcome, adapt, is_right
from trainers.maml.episodes import Episode
from trainers.maml.model import Model
from trainers.maml.networks import Params


def reptile_outcome(
    model: Model, params: Params, episode: Episode, how: Adaptation, *, ways: int, shots: int
) -> QueryOutcome:
    """Return an objective whose gradient is (theta - theta_k) / `how.lr`, with `shots` images of a class a step.

    Loss and accuracy are those of the query set at theta_k. The inner steps may have seen these images.
    """
    one_step = how._replace(steps=1)
    fast = params
    for step in range(how.steps):
        batch = minibatch(episode, step, ways=ways, shots=shots)
        fast = adapt(partial(model.support_loss, episode=batch), fast, one_step)[-1]
    reached = {name: value.detach() for name, value in fast.items()}
    slope = {name: (params[name].detach() - reached[name]) / how.lr for name in how.names}
    objective = torch.stack([(params[name] * value).sum() for name, value in slope.items()]).sum()
    logits = model.query_logits(reached, episode)
    right = is_right(logits, episode.query_labels).to(logits.dtype)
    return QueryOutcome(objective, model.loss(logits, episode.query_labels).detach(), right.mean())


def minibatch(episode: Episode, step: int, *, ways: int, shots: int) -> Episode:
    """Return `episode` with the images of inner step `step` (from 0) as its support set, (ways * shots, ...)."""
    images = _by_class(episode.support_images, episode.query_images, ways)
    labels = _by_class(episode.support_labels, episode.query_labels, ways)
    count = labels.shape[1]
    picked = torch.arange(step * shots, (step + 1) * shots, device=labels.device) % count
    return episode._replace(
        support_images=images[:, picked].flatten(0, 1), support_labels=labels[:, picked].flatten(0, 1)
    )


def _by_class(support: Tensor, query: Tensor, ways: int) -> Tensor:
    """Return both sets as (ways, images of a class, ...); both are ordered by class."""
    return torch.cat([part.unflatten(0, (ways, -1)) for part in (support, query)], dim=1)
