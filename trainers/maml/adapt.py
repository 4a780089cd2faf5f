"""MAML for one episode, as pure functions: parameters in, parameters out.

Nothing here knows meta-batches, packs or devices; `engines` maps these functions over episodes and runs. First order,
second order and ANIL differ only in the gradient function that is passed in and in the parameters that it covers.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from trainers.maml.config import Order
from trainers.maml.episodes import Episode
from trainers.maml.method_fields import Algorithm
from trainers.maml.model import Model
from trainers.maml.networks import HEAD, Params, classify
from trainers.maml.rates import Rates, is_rate

Objective = Callable[[Params], Tensor]


class Gradient(Protocol):
    """Gives the gradient of a scalar `loss` at `params`, which is differentiable itself only in second order."""

    def __call__(self, loss: Objective, params: Params) -> Params: ...


class QueryOutcome(NamedTuple):
    """One episode after adaptation; every entry is a scalar.

    The gradient of `objective` is the outer gradient. `loss` is the reported query loss (in nats for cross-entropy),
    and `accuracy` is the query accuracy in [0, 1].
    """

    objective: Tensor
    loss: Tensor
    accuracy: Tensor


class Adaptation(NamedTuple):
    """The inner loop: the parameters that it updates, the number and the size of its steps, and the gradient.

    Learned `rates` stand for `lr`. `proximal` is lambda of the term lambda / 2 |params - initial params|^2, which joins
    the loss.
    """

    names: tuple[str, ...]
    steps: int
    lr: float | Tensor
    gradient: Gradient
    rates: Rates | None = None
    proximal: float = 0.0

    def rate(self, name: str, step: int) -> float | Tensor:
        """Return the size of inner step `step` (from 0) for parameter `name`."""
        return self.lr if self.rates is None else self.rates(name, step)


def graph_gradient(order: Order) -> Gradient:
    """Return the inner gradient by torch.autograd: with its graph for second order, as a constant for first."""

    def gradient(loss: Objective, params: Params) -> Params:
        if order == "first":
            params = {name: value.detach().requires_grad_() for name, value in params.items()}
        grads = torch.autograd.grad(loss(params), list(params.values()), create_graph=order == "second")
        return dict(zip(params, grads, strict=True))

    return gradient


def transform_gradient(order: Order) -> Gradient:
    """Return the inner gradient by torch.func, for use under vmap."""

    def gradient(loss: Objective, params: Params) -> Params:
        if order == "second":
            return torch.func.grad(loss)(params)
        slope = torch.func.grad(loss)({name: value.detach() for name, value in params.items()})
        # The loss may also contain parameters that the inner loop doesn't update (ANIL's encoder); detach those too.
        return {name: value.detach() for name, value in slope.items()}

    return gradient


def adapted_names(algorithm: Algorithm, params: Params) -> tuple[str, ...]:
    """Return the parameters that the inner loop updates, never a learned rate.

    Only the head for ANIL (the paper's EFIL) and the explicit losses, all but the head for BOIL (Oh et al. 2021: the
    head's inner learning rate is 0), else all.
    """
    network = [name for name in params if not is_rate(name)]
    if algorithm in ("anil", "contrastive"):
        return tuple(name for name in network if name in HEAD)
    return tuple(name for name in network if algorithm != "boil" or name not in HEAD)


def adapt(loss: Objective, params: Params, how: Adaptation) -> list[Params]:
    """Return the parameters after 0, 1, ..., `how.steps` full-batch gradient steps on `loss`.

    In first order the returned parameters depend on `params` only through the identity. The gradient of a loss at the
    last of them with respect to `params` is then the gradient at the adapted weights (FOMAML). In second order it
    passes through every step (MAML, Finn et al. 2017, eq. 1).
    """
    trajectory = [params]
    for step in range(how.steps):
        current = trajectory[-1]
        frozen = {name: value for name, value in current.items() if name not in how.names}
        moving = {name: current[name] for name in how.names}

        def of_moving(fast: Params, frozen: Params = frozen) -> Tensor:
            return loss({**frozen, **fast})

        slope = how.gradient(of_moving, moving)
        if how.proximal:
            slope = {name: slope[name] + how.proximal * (value - params[name]) for name, value in moving.items()}
        moved = {name: value - how.rate(name, step) * slope[name] for name, value in moving.items()}
        trajectory.append({name: moved.get(name, value) for name, value in current.items()})
    return trajectory


def adapt_to(model: Model, params: Params, episode: Episode, how: Adaptation) -> list[Params]:
    """Return the parameters after 0, 1, ..., `how.steps` steps on the loss of the support set.

    If only the head is updated, the support set is encoded once.
    """
    if how.steps > 1 and set(how.names) <= set(HEAD):
        features = model.support_features(params, episode)
        return adapt(lambda fast: model.loss(classify(fast, features), episode.support_labels), params, how)
    return adapt(lambda fast: model.support_loss(fast, episode), params, how)


def query_outcome(model: Model, params: Params, episode: Episode, how: Adaptation) -> QueryOutcome:
    """Return the query loss after adaptation; its gradient with respect to `params` is the meta-gradient."""
    logits = model.query_logits(adapt_to(model, params, episode, how)[-1], episode)
    right = is_right(logits, episode.query_labels).to(logits.dtype)
    loss = model.loss(logits, episode.query_labels)
    return QueryOutcome(loss, loss.detach(), right.mean())


def correct_counts(model: Model, params: Params, episode: Episode, how: Adaptation, scored: Sequence[int]) -> Tensor:
    """Return the number of correct query images after each number of inner steps in `scored`, (len(scored),)."""
    trajectory = adapt_to(model, params, episode, how)
    with torch.no_grad():
        logits = query_logits_after(model, params, trajectory, episode, how, scored)
    return torch.stack([is_right(after, episode.query_labels).sum() for after in logits])


def query_logits_after(
    model: Model, params: Params, trajectory: list[Params], episode: Episode, how: Adaptation, scored: Sequence[int]
) -> list[Tensor]:
    """Return the logits (T, N) of the query set after each number of inner steps in `scored`.

    If only the head is updated, the query set is encoded once.
    """
    if set(how.names) <= set(HEAD):
        features = model.query_features(params, episode)
        return [classify(trajectory[taken], features) for taken in scored]
    return [model.query_logits(trajectory[taken], episode) for taken in scored]


def is_right(logits: Tensor, labels: Tensor) -> Tensor:
    """Return whether each row of `logits` (B, N) is largest at its label, as booleans (B,).

    Ties go to the first class. A row that isn't finite is wrong, so an adaptation that diverged scores nothing.
    """
    return (logits.argmax(dim=-1) == labels) & logits.isfinite().all(dim=-1)
