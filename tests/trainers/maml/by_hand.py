"""The methods written a second time, from their papers: plain functions of the strided Conv-4 and torch.func.

Uses nothing of the trainer but configs and episodes.
"""

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from scipy.sparse.linalg import LinearOperator, cg
from torch import Tensor

from trainers.maml.config import TrialConfig
from trainers.maml.episodes import Episode

Params = dict[str, Tensor]
STRIDES = {1: 2, 2: 2, 3: 2, 4: 1}
HEAD = ("head.weight", "head.bias")


def logits(params: Params, images: Tensor, eps: float = 1e-5) -> Tensor:
    x = images
    for n, stride in STRIDES.items():
        x = F.relu(F.conv2d(x, params[f"conv{n}.weight"], params[f"conv{n}.bias"], stride=stride))
        centred = x - x.mean(dim=(0, 2, 3), keepdim=True)
        x = centred / (centred.square().mean(dim=(0, 2, 3), keepdim=True) + eps).sqrt()
        x = x * params[f"norm{n}.weight"].view(-1, 1, 1) + params[f"norm{n}.bias"].view(-1, 1, 1)
    return x.flatten(1) @ params["head.weight"].T + params["head.bias"]


def loss(params: Params, images: Tensor, labels: Tensor, eps: float = 1e-5) -> Tensor:
    return -logits(params, images, eps).log_softmax(1)[torch.arange(len(labels)), labels].mean()


def network_of(params: Params) -> Params:
    return {name: value for name, value in params.items() if not name.startswith("rate:")}


def gradient(config: TrialConfig, params: Params, episode: Episode, weights: list[float] | None = None) -> Params:
    """Return the outer gradient of one episode."""
    own: dict[str, Callable[[TrialConfig, Params, Episode], Params]] = {"reptile": of_reptile, "imaml": of_imaml}
    if config.algorithm in own:
        return own[config.algorithm](config, params, episode)
    weights = weights or [0.0] * (config.inner_steps - 1) + [1.0]
    return torch.func.grad(lambda at: unrolled_loss(config, at, episode, weights))(params)


def unrolled_loss(config: TrialConfig, params: Params, episode: Episode, weights: list[float]) -> Tensor:
    """sum_i v_i L_query(theta_i), theta_i+1 = theta_i - alpha_i grad L_support(theta_i)."""
    fast, losses = network_of(params), []
    for step in range(config.inner_steps):
        slope = torch.func.grad(loss)(fast, episode.support_images, episode.support_labels)
        if config.order == "first":
            slope = {name: value.detach() for name, value in slope.items()}
        fast = {name: value - rate(config, params, name, step) * slope[name] for name, value in fast.items()}
        losses.append(loss(fast, episode.query_images, episode.query_labels))
    return sum(weight * each for weight, each in zip(weights, losses, strict=True))


def rate(config: TrialConfig, params: Params, name: str, step: int) -> Tensor | float:
    if (config.algorithm == "anil" and name not in HEAD) or (config.algorithm == "boil" and name in HEAD):
        return 0.0
    if config.inner_rates == "fixed":
        return config.inner_lr
    if config.inner_rates == "per_parameter":
        return params[f"rate:{name}"]
    return params[f"rate:{name.split('.')[0]}"][step]


def of_reptile(config: TrialConfig, params: Params, episode: Episode) -> Params:
    """The sum of the inner gradients, each of its own minibatch."""
    pools = []
    for label in range(config.ways):
        ours, theirs = episode.support_labels == label, episode.query_labels == label
        pools.append(torch.cat([episode.support_images[ours], episode.query_images[theirs]]))
    shots, seen, fast = config.reptile_shots or config.shots, 0, params
    total = {name: torch.zeros_like(value) for name, value in params.items()}
    for _ in range(config.inner_steps):
        turns = [(seen + n) % len(pools[0]) for n in range(shots)]
        images = torch.cat([torch.stack([pool[turn] for turn in turns]) for pool in pools])
        labels = torch.tensor([label for label in range(config.ways) for _ in turns])
        slope = torch.func.grad(loss)(fast, images, labels)
        total = {name: total[name] + slope[name] for name in total}
        fast = {name: value - config.inner_lr * slope[name] for name, value in fast.items()}
        seen += shots
    return total


def of_imaml(config: TrialConfig, params: Params, episode: Episode) -> Params:
    """scipy's conjugate gradients on a dense Hessian, at what gradient descent on the proximal problem reaches."""

    def inner(phi: Params) -> Tensor:
        near = sum((phi[name] - params[name]).square().sum() for name in params)
        return loss(phi, episode.support_images, episode.support_labels, config.bn_eps) + config.proximal / 2 * near

    phi = params
    for _ in range(config.inner_steps):
        slope = torch.func.grad(inner)(phi)
        phi = {name: value - config.inner_lr * slope[name] for name, value in phi.items()}
    sizes = [value.numel() for value in phi.values()]

    def named(vector: Tensor) -> Params:
        parts = zip(phi.items(), vector.split(sizes), strict=True)
        return {name: part.view_as(value) for (name, value), part in parts}

    at = torch.cat([value.flatten() for value in phi.values()])
    sets = (episode.support_images, episode.support_labels), (episode.query_images, episode.query_labels)
    support, query = (lambda v, of=of: loss(named(v), *of, config.bn_eps) for of in sets)
    hessian = torch.func.jacrev(torch.func.grad(support))(at).numpy()
    target = torch.func.grad(query)(at).numpy()
    matrix = LinearOperator(hessian.shape, matvec=lambda v: v + hessian @ v / config.proximal)
    solved, _ = cg(matrix, target, rtol=0.0, atol=0.0, maxiter=config.cg_steps)
    return named(torch.from_numpy(np.asarray(solved)))
