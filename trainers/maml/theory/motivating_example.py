"""The paper's motivating example (Fig. 1): squared error, a zero head without a bias, one inner step.

The loss is half the sum over images and classes of (logit - one-hot label)^2, on the support and on the query set. The
sum and the half matter, and so does the missing bias; each control changes one of them.
"""

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from trainers.maml.adapt import Adaptation, adapt_to, adapted_names, graph_gradient
from trainers.maml.config import Order
from trainers.maml.episodes import Episode
from trainers.maml.model import Loss, half_squared_error, one_hot
from trainers.maml.networks import Params
from trainers.maml.theory.cases import (
    Case,
    case,
    distance,
    fails,
    holds,
    largest,
    of_encoder,
    true_objective,
    worst,
)
from trainers.maml.theory.claim import Claim, Setting

SOURCE = "paper, Fig. 1"
CONTROL = "this project (control)"


def adapted_head(setting: Setting) -> list[Claim]:
    """Return the head after the step, with the loss that gives it and with two that don't."""
    at = _case(setting)
    losses: tuple[tuple[str, Loss, Callable[..., Claim], str], ...] = (
        ("half the sum of squared errors", at.model.loss, holds, SOURCE),
        ("torch's mean squared error", _mean_squared_error, fails, CONTROL),
        ("half the squared error as a mean over the support set", _mean_over_images, fails, CONTROL),
    )
    rows = []
    for name, loss, claim, source in losses:
        pairs = [(_adapted(at, e, loss)["head.weight"], _sum_of_features(at, e)) for e in at.episodes]
        statement = f"Under {name}, no bias, one step from zero gives w_k = eta sum_s 1{{k=t}} phi(s)."
        error = largest(distance(found, true) for found, true in pairs)
        rows.append(claim(statement, source, "adapted head, worst episode", error))
    return rows


def encoder_gradient(setting: Setting) -> list[Claim]:
    """Return the query loss written only with inner products: target 1 for the own class, 0 for any other."""
    at = _case(setting)
    loss = "1/2 sum_q sum_k (eta sum_s 1{k=t} phi(s).phi(q) - 1{k=u})^2"
    rows = []
    orders: tuple[tuple[Order, str, str], ...] = (("first", "FOMAML", "stopped"), ("second", "SOMAML", "live"))
    for order, algorithm, support in orders:
        found = at.gradient(partial(_explicit, order=order))
        error = worst(of_encoder(found), of_encoder(at.gradient(true_objective(order))))
        statement = f"{loss}, phi(s) {support}, has {algorithm}'s encoder gradient (EFIL)."
        rows.append(
            holds(statement, SOURCE, "encoder gradient, worst tensor, squared error, zero head, no bias", error)
        )
    return rows


def bias(setting: Setting) -> list[Claim]:
    """Return what a head with a bias does to the example: under squared error it moves even when balanced."""
    at = _case(setting, head_bias=True)
    expected = torch.full([at.config.ways], at.config.inner_lr * at.config.shots, dtype=torch.float64)
    moved, outputs = [], []
    for episode in at.episodes:
        own = _adapted(at, episode, at.model.loss)["head.bias"]
        inner = at.model.query_features(at.params, episode) @ _sum_of_features(at, episode).T
        moved.append(distance(own, expected))
        outputs.append(distance(inner + own, inner))
    moves = "Under squared error each class's bias moves from zero by eta times its number of support images."
    same = "Under squared error the outputs are eta sum_s 1{k=t} phi(s).phi(q) with a bias too."
    return [
        holds(moves, "this project", "adapted bias, worst episode, balanced", largest(moved)),
        fails(same, CONTROL, "query outputs, worst episode", largest(outputs)),
    ]


def _case(setting: Setting, *, head_bias: bool = False) -> Case:
    return case(setting, "zero", loss="squared_error", head_bias=head_bias, inner_steps=1)


def _adapted(at: Case, episode: Episode, loss: Loss) -> Params:
    how = Adaptation(adapted_names("anil", at.params), 1, at.config.inner_lr, graph_gradient("first"))
    return adapt_to(at.model._replace(loss=loss), at.params, episode, how)[-1]


def _sum_of_features(at: Case, episode: Episode) -> Tensor:
    """Return eta sum_s 1{k=t} phi(s), (N, D)."""
    support = at.model.support_features(at.params, episode)
    rows = [support[episode.support_labels == k].sum(dim=0) for k in range(at.config.ways)]
    return at.config.inner_lr * torch.stack(rows)


def _explicit(at: Case, episode: Episode, order: Order) -> Tensor:
    head = _sum_of_features(at, episode)
    outputs = at.model.query_features(at.params, episode) @ (head.detach() if order == "first" else head).T
    asked = one_hot(episode.query_labels, outputs)
    return (outputs - asked).square().sum() / 2


def _mean_squared_error(logits: Tensor, labels: Tensor) -> Tensor:
    return F.mse_loss(logits, one_hot(labels, logits))


def _mean_over_images(logits: Tensor, labels: Tensor) -> Tensor:
    return half_squared_error(logits, labels) / len(logits)


CLAIMS: tuple[Callable[[Setting], list[Claim]], ...] = (adapted_head, encoder_gradient, bias)
