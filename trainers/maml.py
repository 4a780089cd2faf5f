"""MAML for one episode, as pure functions: parameters in, parameters out.

Nothing here knows of meta-batches, packs or devices; `engines` maps these functions over episodes and runs. What
differs between first order, second order and ANIL is which gradient is handed in and which parameters it covers.
"""

from collections.abc import Callable
from typing import NamedTuple, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from trainers.config import Algorithm, Order
from trainers.episodes import Episode
from trainers.networks import HEAD, Params

Forward = Callable[[Params, Tensor], Tensor]
"""(parameters, images (B, C, H, W)) -> logits (B, N)."""

Loss = Callable[[Params], Tensor]


class Gradient(Protocol):
    """The gradient of a scalar `loss` at `params`, itself differentiable exactly when the inner loop needs it."""

    def __call__(self, loss: Loss, params: Params) -> Params: ...


class QueryOutcome(NamedTuple):
    """Query loss in nats and query accuracy in [0, 1] of one episode after adaptation, both scalars."""

    loss: Tensor
    accuracy: Tensor


def graph_gradient(order: Order) -> Gradient:
    """Return the inner gradient by torch.autograd: with its graph kept for second order, as a constant for first."""

    def gradient(loss: Loss, params: Params) -> Params:
        if order == "first":
            params = {name: value.detach().requires_grad_() for name, value in params.items()}
        grads = torch.autograd.grad(loss(params), list(params.values()), create_graph=order == "second")
        return dict(zip(params, grads, strict=True))

    return gradient


def transform_gradient(order: Order) -> Gradient:
    """Return the inner gradient by torch.func, for use under vmap."""

    def gradient(loss: Loss, params: Params) -> Params:
        if order == "second":
            return torch.func.grad(loss)(params)
        slope = torch.func.grad(loss)({name: value.detach() for name, value in params.items()})
        # The loss may hold parameters that the inner loop doesn't move (ANIL's encoder); they must not be seen either.
        return {name: value.detach() for name, value in slope.items()}

    return gradient


def adapted_names(algorithm: Algorithm, params: Params) -> tuple[str, ...]:
    """Return the parameters the inner loop moves: all for MAML, the head alone for ANIL."""
    return tuple(name for name in params if algorithm == "maml" or name in HEAD)


def cross_entropy(forward: Forward, params: Params, images: Tensor, labels: Tensor) -> Tensor:
    """Return the mean cross-entropy in nats."""
    return F.cross_entropy(forward(params, images), labels)


def adapt(
    loss: Loss, params: Params, *, names: tuple[str, ...], steps: int, lr: float | Tensor, gradient: Gradient
) -> list[Params]:
    """Return the parameters after 0, 1, ..., `steps` full-batch gradient steps of size `lr` on `loss`.

    Only `names` move. With a first-order `gradient` the returned parameters still depend on `params` through the
    identity, so differentiating a loss at the last of them with respect to `params` is the gradient at the adapted
    weights (FOMAML); with a second-order one it passes through every step (MAML, Finn et al. 2017, eq. 1).
    """
    trajectory = [params]
    for _ in range(steps):
        current = trajectory[-1]
        frozen = {name: value for name, value in current.items() if name not in names}
        moving = {name: current[name] for name in names}
        slope = gradient(lambda fast, frozen=frozen: loss({**frozen, **fast}), moving)
        moved = {name: value - lr * slope[name] for name, value in moving.items()}
        trajectory.append({name: moved.get(name, value) for name, value in current.items()})
    return trajectory


def query_outcome(
    forward: Forward,
    params: Params,
    episode: Episode,
    *,
    names: tuple[str, ...],
    steps: int,
    lr: float | Tensor,
    gradient: Gradient,
) -> QueryOutcome:
    """Return the query loss after `steps` inner steps on the support set; its gradient is the meta-gradient."""

    def support_loss(fast: Params) -> Tensor:
        return cross_entropy(forward, fast, episode.support_images, episode.support_labels)

    adapted = adapt(support_loss, params, names=names, steps=steps, lr=lr, gradient=gradient)[-1]
    logits = forward(adapted, episode.query_images)
    return QueryOutcome(F.cross_entropy(logits, episode.query_labels), accuracy(logits, episode.query_labels))


def accuracy(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the share of rows of `logits` (B, N) whose largest entry is their label's; ties go to the first class."""
    return (logits.detach().argmax(dim=-1) == labels).to(logits.dtype).mean()


def correct_counts(
    forward: Forward,
    params: Params,
    episode: Episode,
    *,
    names: tuple[str, ...],
    steps: int,
    lr: float | Tensor,
    gradient: Gradient,
) -> Tensor:
    """Return how many query images are right after 0..`steps` inner steps, integers of shape (steps + 1,)."""

    def support_loss(fast: Params) -> Tensor:
        return cross_entropy(forward, fast, episode.support_images, episode.support_labels)

    trajectory = adapt(support_loss, params, names=names, steps=steps, lr=lr, gradient=gradient)
    with torch.no_grad():
        counts = [
            (forward(fast, episode.query_images).argmax(dim=-1) == episode.query_labels).sum() for fast in trajectory
        ]
    return torch.stack(counts)
