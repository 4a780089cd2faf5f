"""The paper's explicit losses: EFIL MAML's gradients of encoder and head without backpropagation in the inner loop.

Shape letters: S support images, T query images, N ways, D features (and a constant 1 if the head has a bias, so that
the bias is one more column). sg is stop-gradient, eta the inner learning rate. The head adapts on detached features;
no gradient passes through its steps.
"""

from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from trainers.maml.adapt import QueryOutcome, is_right
from trainers.maml.config import Order
from trainers.maml.episodes import Episode
from trainers.maml.model import Model, one_hot
from trainers.maml.networks import Params


class Explicit(NamedTuple):
    """Which explicit loss, as in TrialConfig; `lr` is inner_lr, `steps` inner_steps, `form` second_order_form."""

    order: Order
    steps: int
    lr: float | Tensor
    interference: bool = True
    coefficient: Literal["full", "reduced"] = "full"
    form: Literal["exact", "printed"] = "exact"
    head_update: Literal["paper", "released"] = "paper"


class HeadPath(NamedTuple):
    """An inner loop of only the head: `support` (steps, S, N), softmax before each step; `logits` (T, N) at the end."""

    support: Tensor
    logits: Tensor

    def residual(self, labels: Tensor) -> Tensor:
        """Return q - 1{u} of each query (T, N), where q is the softmax under the adapted head."""
        return F.softmax(self.logits, dim=1) - one_hot(labels, self.logits)


def explicit_outcome(model: Model, params: Params, episode: Episode, how: Explicit) -> QueryOutcome:
    """Return an objective whose gradient is explicit: Eqs. 7 to 10 for the encoder, Eq. 5 or 11 for the head.

    Loss and accuracy are those of the query set under the adapted head, as for MAML.
    """
    support = extended(model.support_features(params, episode), params)
    query = extended(model.query_features(params, episode), params)
    head = head_of(params)
    path = head_path(support.detach(), query.detach(), head.detach(), episode.support_labels, how.steps, how.lr)
    residual = path.residual(episode.query_labels)
    objective = contrastive_loss(support, head.detach(), query, episode.support_labels, residual, path, how)
    if how.interference:
        objective = objective + interference_loss(head.detach(), query, residual)
    if how.head_update == "paper":
        slope = head_gradient(support.detach(), query.detach(), residual, path, how)
        objective = objective + (head * slope).sum()
    right = is_right(path.logits, episode.query_labels).to(query.dtype).mean()
    return QueryOutcome(objective, F.cross_entropy(path.logits, episode.query_labels), right)


def extended(features: Tensor, params: Params) -> Tensor:
    """Return `features` with a column of ones where the head has a bias."""
    return torch.cat([features, torch.ones_like(features[:, :1])], dim=1) if "head.bias" in params else features


def head_of(params: Params) -> Tensor:
    """Return the head (N, D), its bias as the last column."""
    weight = params["head.weight"]
    return torch.cat([weight, params["head.bias"][:, None]], dim=1) if "head.bias" in params else weight


def head_path(support: Tensor, query: Tensor, head: Tensor, labels: Tensor, steps: int, lr: float | Tensor) -> HeadPath:
    """Return what the head predicts along `steps` gradient steps on the mean support cross-entropy."""
    before = []
    for _ in range(steps):
        before.append(F.softmax(support @ head.T, dim=1))
        head = head + lr * (one_hot(labels, before[-1]) - before[-1]).T @ support / len(support)
    return HeadPath(torch.stack(before), query @ head.T)


def coefficients(labels: Tensor, residual: Tensor, path: HeadPath, kind: Literal["full", "reduced"]) -> Tensor:
    """Return the contrastive coefficients (S, T), summed over the inner steps.

    Full (Eq. 7): -sum_j q_j s_j + s_u + q_t - 1{t=u}, which is (1{t} - s) . (q - 1{u}). Reduced (Eq. 9): q_t - 1{t=u},
    its value when s is uniform.
    """
    target = one_hot(labels, path.support[0])
    if kind == "reduced":
        return len(path.support) * target @ residual.T
    return (target - path.support).sum(dim=0) @ residual.T


def contrastive_loss(
    support: Tensor, head: Tensor, query: Tensor, labels: Tensor, residual: Tensor, path: HeadPath, how: Explicit
) -> Tensor:
    """Return eta times the mean over all pairs of coefficient * phi(s).phi(q).

    First order stops phi(s) (Eq. 7). Second order doesn't. It stops the whole coefficient (Eq. 8 as printed), or only
    q, which is exact, because s depends on phi(s) through the softmax.
    """
    if how.order == "first":
        support = support.detach()
    elif how.form == "exact":
        path = path._replace(support=F.softmax(support @ head.T, dim=1)[None])
    weights = coefficients(labels, residual, path, how.coefficient)
    return how.lr * (weights * (support @ query.T)).mean()


def interference_loss(head: Tensor, query: Tensor, residual: Tensor) -> Tensor:
    """Return the first term of Eq. 7: the mean over queries of sum_j (q_j - 1{j=u}) w_j.phi(q)."""
    return (residual * (query @ head.T)).sum(dim=1).mean()


def head_gradient(support: Tensor, query: Tensor, residual: Tensor, path: HeadPath, how: Explicit) -> Tensor:
    """Return the outer gradient (N, D) of the head: Eq. 5, or in second order Eq. 11 in full (one inner step).

    With g_k = E_Q[(q_k - 1{k=u}) phi(q)], Eq. 11 is
    [I - eta E_S s_k phi phi^T] g_k + eta E_S[s_k phi phi^T sum_j s_j g_j].
    """
    slope = residual.T @ query / len(query)
    if how.order == "first":
        return slope
    chance = path.support[0]
    pull = chance * (support @ slope.T)
    return slope - how.lr * (pull - chance * pull.sum(dim=1, keepdim=True)).T @ support / len(support)
