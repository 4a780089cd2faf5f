"""iMAML: the outer gradient by the implicit function theorem (Rajeswaran, Finn, Kakade and Levine 2019).

The inner problem is phi* = argmin L_support(phi) + lambda / 2 |phi - theta|^2. Its outer gradient is
(I + H / lambda)^-1 grad L_query(phi*), with H the Hessian of L_support at phi* (Lemma 1). Here phi is what
`inner_steps` gradient steps on the inner problem reach, and the system is solved by a fixed number of conjugate
gradient steps from zero (Algorithm 2). The path of the inner steps is not differentiated.
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from trainers.maml.adapt import Adaptation, Gradient, Objective, QueryOutcome, adapt_to, is_right
from trainers.maml.episodes import Episode
from trainers.maml.model import Model
from trainers.maml.networks import Params

Product = Callable[[Tensor], Tensor]
"""vector (P,) -> a matrix times it, (P,)."""


def implicit_outcome(
    model: Model, params: Params, episode: Episode, how: Adaptation, *, through: Gradient, cg_steps: int
) -> QueryOutcome:
    """Return an objective whose gradient is the implicit one; loss and accuracy are those of the query set at phi.

    `how.proximal` is lambda and `how.gradient` a first-order gradient; `through` gives the second-order one.
    """
    phi = {name: value.detach() for name, value in adapt_to(model, params, episode, how)[-1].items()}
    logits = model.query_logits(phi, episode)
    slope = _flat(how.gradient(lambda at: model.loss(model.query_logits(at, episode), episode.query_labels), phi))
    bent = partial(curvature, partial(model.support_loss, episode=episode), phi, how.gradient, through)
    solved = conjugate_gradient(lambda v: v + bent(v) / how.proximal, slope, cg_steps)
    objective = (_flat(params) * solved.detach()).sum()
    right = is_right(logits, episode.query_labels).to(logits.dtype)
    return QueryOutcome(objective, model.loss(logits, episode.query_labels).detach(), right.mean())


def curvature(loss: Objective, at: Params, outer: Gradient, inner: Gradient, vector: Tensor) -> Tensor:
    """Return the Hessian of `loss` at `at`, times `vector` (P,): the gradient of <grad loss, vector>."""
    return _flat(outer(lambda point: (_flat(inner(loss, point)) * vector).sum(), at))


def conjugate_gradient(product: Product, target: Tensor, steps: int) -> Tensor:
    """Return x after `steps` steps from zero towards A x = `target` (P,), with `product` v -> A v, A symmetric.

    Hestenes and Stiefel 1952. Once the residual is zero, x stays.
    """
    x, residual, way = torch.zeros_like(target), target, target
    left = residual @ residual
    for _ in range(steps):
        ahead = product(way)
        solved = left == 0
        length = torch.where(solved, 0.0, left / (way @ ahead))
        x = x + length * way
        residual = residual - length * ahead
        now = residual @ residual
        way = residual + torch.where(solved, 0.0, now / left) * way
        left = now
    return x


def _flat(params: Params) -> Tensor:
    return torch.cat([value.flatten() for value in params.values()])
