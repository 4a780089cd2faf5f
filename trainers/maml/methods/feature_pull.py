"""What one outer step does to the features of a support and a query set, in either order (Figs. 1 and 6 of the paper).

The paper speaks of a gradient on the features themselves. But an encoder moves features only through its weights, and
moves those of both sets. So both are measured: the gradient in feature space, and how far the features really move.
"""

from typing import TypedDict

import torch
import torch.nn.functional as F
from torch import Tensor

from trainers.maml.adapt import Adaptation, adapt
from trainers.maml.episodes import Episode
from trainers.maml.model import Model
from trainers.maml.networks import HEAD, Params, classify

STEP = 1e-4
"""Length of the encoder's trial step, relative to the norm of its parameters: small, yet accurate in float32."""


class SetPull(TypedDict):
    """Measurements of one set's features, support or query; None stands for a number that isn't finite.

    `gradient`: norm of the outer objective's gradient with respect to all features of the set, if only the head
    adapts. `same`, `other`: how far a feature moves along the unit features of the other set's images, mean over pairs
    of one class and over pairs of two. Relative: (change / norm of the feature) per (step / norm of the encoder).
    """

    gradient: float | None
    same: float | None
    other: float | None


class Pull(TypedDict):
    """Both sets under the outer gradient of one order; means over episodes."""

    support: SetPull
    query: SetPull


def feature_gradients(model: Model, params: Params, episode: Episode, how: Adaptation) -> tuple[Tensor, Tensor]:
    """Return the outer objective's gradient with respect to support (S, D) and query features (T, D).

    Only the head adapts, on the support features. For one step from a zero head, cross-entropy gives Eqs. 9 and 10: at
    phi(q) eta / T E_S[(q_t - 1{t=u}) phi(s)]; at phi(s) eta / S E_Q[(q_t - 1{t=u}) phi(q)] in second order and 0 in
    first order.
    """
    support = model.support_features(params, episode).detach().requires_grad_()
    query = model.query_features(params, episode).detach().requires_grad_()
    head = {name: params[name] for name in HEAD if name in params}
    adapted = adapt(lambda fast: model.loss(classify(fast, support), episode.support_labels), head, how)[-1]
    objective = model.loss(classify(adapted, query), episode.query_labels)
    on_support, on_query = torch.autograd.grad(objective, (support, query), materialize_grads=True)
    return on_support, on_query


def displacements(model: Model, params: Params, episode: Episode, gradient: Params) -> list[tuple[Tensor, Tensor]]:
    """Return (same, other) of `SetPull` for support and query, after one plain step of the encoder against `gradient`.

    Only the direction of the encoder's part of `gradient` counts; the step is STEP times the encoder's norm.
    """
    encoder = [name for name in params if name not in HEAD]
    length, steepness = (torch.cat([of[name].flatten() for name in encoder]).norm() for of in (params, gradient))
    with torch.no_grad():
        moved = {name: params[name] - STEP * length / steepness * gradient[name] for name in encoder}
        before, after = (
            (model.support_features(at, episode), model.query_features(at, episode))
            for at in (params, {**params, **moved})
        )
        same = episode.support_labels[:, None] == episode.query_labels
        support, query = (
            (new - old) / old.norm(dim=1, keepdim=True) / STEP for old, new in zip(before, after, strict=True)
        )
        along_query = support @ F.normalize(before[1], dim=1).T
        along_support = F.normalize(before[0], dim=1) @ query.T
        return [(along[same].mean(), along[~same].mean()) for along in (along_query, along_support)]
