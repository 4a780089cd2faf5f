"""Measurements during training on a few fixed training episodes; they never change the training.

All use the parameters from which the next inner loop starts, so after zeroing if that is due. The maths uses only
`Model`, one episode at a time.
"""

import math
from functools import partial
from typing import TypedDict

import torch
import torch.nn.functional as F
from torch import Tensor

from trainers.maml.adapt import Adaptation, adapt_to, adapted_names, graph_gradient, query_outcome
from trainers.maml.config import Order, TrialConfig
from trainers.maml.engines.engines import episode_model
from trainers.maml.engines.table import EngineName
from trainers.maml.episodes import Episode
from trainers.maml.methods.contrastive import (
    Explicit,
    HeadPath,
    coefficients,
    contrastive_loss,
    extended,
    head_of,
    head_path,
    interference_loss,
)
from trainers.maml.methods.feature_pull import Pull, SetPull, displacements, feature_gradients
from trainers.maml.model import Model, model_of
from trainers.maml.networks import HEAD, Params, native_norm

ORDERS: tuple[Order, ...] = ("first", "second")

FLAT = 1e-3
"""A live channel with a smaller variance is called flat: batch norm multiplies it by more than 30."""


class Probe(TypedDict):
    """One probe of a training. Lists have one entry per episode; None stands for a number that isn't finite.

    `cosine` (2N, 2N): mean cosine similarity between the features of the first episode's N support and N query
    classes, self-pairs included (Fig. 2). `positive`, `negative`: shares of the (support, query) pairs whose
    contrastive coefficient has that sign (Fig. 9). `head_norm`: norm of weight and bias. `interference_norm`,
    `contrastive_norm`: norms of the encoder gradients of the two terms of Eq. 7. The shares and these two norms come
    from an inner loop of only the head under cross-entropy, of at least one step, whatever algorithm and loss train.
    `gradient_norm`: norm of the outer gradient in each order of `probe_orders`; for the explicit losses it is ANIL's,
    with no term left out. `layer_change`: ||after - before|| of each layer's parameters in the inner loop, relative to
    ||before|| (absolute for the head, which may be zero). `feature_change`: 1 - cosine of the query features before
    and after it. `smallest_variance`, `smallest_live_variance`, `flat_channels`: of the variances in batch norm on the
    support set, the smallest, the smallest above zero, and the share of the last layer's between zero and 1e-3; of a
    network without batch norm None, None and no entry.
    `feature_pull`: what one outer step in each of these orders does to the features, mean over episodes (Figs. 1 and
    6). Its gradients come from an inner loop of only the head, of at least one step, under the trial's loss; its
    displacements follow the gradient of `gradient_norm`. Probes of older versions lack this entry.
    """

    cosine: list[list[float | None]]
    positive: list[float]
    negative: list[float]
    head_norm: float | None
    interference_norm: list[float | None]
    contrastive_norm: list[float | None]
    gradient_norm: dict[Order, list[float | None]]
    layer_change: dict[str, float | None]
    feature_change: float | None
    smallest_variance: list[float | None]
    smallest_live_variance: list[float | None]
    flat_channels: list[float]
    feature_pull: dict[Order, Pull]


def probe(config: TrialConfig, params: Params, episodes: Episode, engine: EngineName = "loop") -> Probe:
    """Return the probe of `params` (one run, trained by `engine`) on `episodes` (stacked on E)."""
    model = episode_model(engine, config)
    leaves = {name: value.detach().requires_grad_() for name, value in params.items()}
    each = [episodes.at(e) for e in range(len(episodes.support_labels))]
    terms = [_terms(config, model, leaves, episode) for episode in each]
    changes = [_changes(config, model, leaves, episode) for episode in each]
    variances = [_variances(config, leaves, episode) for episode in each]
    orders = ORDERS if config.probe_orders == "both" else (config.order,)
    pulls = {order: [_pulled(config, model, leaves, episode, order) for episode in each] for order in orders}
    return Probe(
        cosine=[[_finite(value) for value in row] for row in class_cosines(model, leaves, each[0], config.ways)],
        positive=[float((found > 0).to(torch.float64).mean()) for found, _, _ in terms],
        negative=[float((found < 0).to(torch.float64).mean()) for found, _, _ in terms],
        head_norm=_finite(_norm([params[name] for name in HEAD if name in params])),
        interference_norm=[_finite(norm) for _, norm, _ in terms],
        contrastive_norm=[_finite(norm) for _, _, norm in terms],
        gradient_norm={order: [_finite(norm) for norm, _ in found] for order, found in pulls.items()},
        layer_change={layer: _mean([change[0][layer] for change in changes]) for layer in changes[0][0]},
        feature_change=_mean([change[1] for change in changes]),
        smallest_variance=[_finite(torch.cat(found).min()) if found else None for found in variances],
        smallest_live_variance=[_smallest_live(torch.cat(found)) if found else None for found in variances],
        flat_channels=[float(((v[-1] > 0) & (v[-1] < FLAT)).to(torch.float64).mean()) for v in variances if v],
        feature_pull={order: _mean_pull([pull for _, pull in found]) for order, found in pulls.items()},
    )


def class_cosines(model: Model, params: Params, episode: Episode, ways: int) -> Tensor:
    """Return the mean cosine similarity (2N, 2N) between classes: N of the support set, then N of the query set."""
    with torch.no_grad():
        features = torch.cat([model.support_features(params, episode), model.query_features(params, episode)])
    group = torch.cat([episode.support_labels, episode.query_labels + ways])
    member = (group[:, None] == torch.arange(2 * ways, device=group.device)).to(features.dtype)
    unit = F.normalize(features, dim=1)
    mean = member.T @ unit / member.sum(dim=0)[:, None]
    return mean @ mean.T


def _terms(config: TrialConfig, model: Model, params: Params, episode: Episode) -> tuple[Tensor, Tensor, Tensor]:
    """Return the full coefficients (S, T) and the encoder-gradient norms of interference and contrastive term."""
    support = extended(model.support_features(params, episode), params).detach()
    query = extended(model.query_features(params, episode), params)
    head = head_of(params).detach()
    steps = max(config.inner_steps, 1)
    path: HeadPath = head_path(support, query.detach(), head, episode.support_labels, steps, config.inner_lr)
    residual = path.residual(episode.query_labels)
    how = Explicit("first", steps, config.inner_lr)
    losses = (
        interference_loss(head, query, residual),
        contrastive_loss(support, head, query, episode.support_labels, residual, path, how),
    )
    encoder = [value for name, value in params.items() if name not in HEAD]
    norms = [_norm(torch.autograd.grad(loss, encoder, retain_graph=True)) for loss in losses]
    return coefficients(episode.support_labels, residual, path, "full"), norms[0], norms[1]


def _pulled(
    config: TrialConfig, model: Model, params: Params, episode: Episode, order: Order
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Return the outer gradient's norm, and for support and query: norm of the feature gradient, same, other."""
    how = Adaptation(
        adapted_names(config.algorithm, params), config.inner_steps, config.inner_lr, graph_gradient(order)
    )
    objective = query_outcome(model, params, episode, how).objective
    gradient = dict(zip(params, torch.autograd.grad(objective, list(params.values())), strict=True))
    head_alone = how._replace(names=adapted_names("anil", params), steps=max(config.inner_steps, 1))
    norms = [_norm([found]) for found in feature_gradients(model, params, episode, head_alone)]
    moved = displacements(model, params, episode, gradient)
    return _norm(list(gradient.values())), (norms[0], *moved[0], norms[1], *moved[1])


def _mean_pull(episodes: list[tuple[Tensor, ...]]) -> Pull:
    means = [_mean(list(values)) for values in zip(*episodes, strict=True)]
    support, query = (SetPull(gradient=g, same=s, other=o) for g, s, o in (means[:3], means[3:]))
    return Pull(support=support, query=query)


def _changes(config: TrialConfig, model: Model, params: Params, episode: Episode) -> tuple[dict[str, Tensor], Tensor]:
    """Return each layer's change in the inner loop, and that of the query features."""
    names = adapted_names(config.algorithm, params)
    how = Adaptation(names, config.inner_steps, config.inner_lr, graph_gradient("first"))
    adapted = adapt_to(model, params, episode, how)[-1]
    with torch.no_grad():
        before, after = model.query_features(params, episode), model.query_features(adapted, episode)
        layers: dict[str, Tensor] = {}
        for layer in dict.fromkeys(name.partition(".")[0] for name in params):
            own = [name for name in params if name.partition(".")[0] == layer]
            moved = _norm([adapted[name] - params[name] for name in own])
            layers[layer] = moved if layer == "head" else moved / _norm([params[name] for name in own])
        return layers, 1 - F.cosine_similarity(before, after, dim=1).mean()


def _variances(config: TrialConfig, params: Params, episode: Episode) -> list[Tensor]:
    """Return, for each batch norm, the variance (C,) that it sees in the support set."""
    seen: list[Tensor] = []
    norm = partial(native_norm, eps=config.bn_eps)

    def watched(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        seen.append(x.var(dim=(0, 2, 3), correction=0))
        return norm(x, scale, shift)

    with torch.no_grad():
        model_of(config, watched).support_features(params, episode)
    return seen


def _norm(parts: tuple[Tensor, ...] | list[Tensor]) -> Tensor:
    return torch.cat([part.detach().flatten() for part in parts]).norm()


def _smallest_live(variances: Tensor) -> float | None:
    live = variances[variances > 0]
    return _finite(live.min()) if len(live) else None


def _mean(values: list[Tensor]) -> float | None:
    return _finite(torch.stack(values).mean())


def _finite(value: Tensor) -> float | None:
    number = float(value)
    return number if math.isfinite(number) else None
