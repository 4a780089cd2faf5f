"""Learned step sizes of the inner loop. They are among the parameters: Adam moves them, checkpoints keep them.

Meta-SGD (Li et al. 2017, Algorithm 1): theta' = theta - alpha * grad L(theta), elementwise, alpha of theta's shape.
MAML++ (Antoniou et al. 2019, section 4, per-layer per-step learning rates): one alpha for each layer and inner step.
Both begin at inner_lr here. The sign of a rate is free, as in both papers, so the outer loop also learns directions.
Does not say which parameters the inner loop adapts.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from trainers.maml.config import TrialConfig
from trainers.maml.networks import Params

_PREFIX = "rate:"
"""No parameter of a module begins so: it would have to be named by hand."""

Rates = Callable[[str, int], Tensor]
"""(name of a parameter, number of the inner step from 0) -> its rate, a scalar or of the parameter's shape."""


def is_rate(name: str) -> bool:
    """Return whether the parameter called `name` is a learned rate."""
    return name.startswith(_PREFIX)


def initial_rates(config: TrialConfig, adapted: Params) -> Params:
    """Return the rates of the parameters `adapted` before training: inner_lr everywhere, nothing for fixed rates."""
    if config.inner_rates == "per_parameter":
        return {_PREFIX + name: torch.full_like(value, config.inner_lr) for name, value in adapted.items()}
    if config.inner_rates == "per_layer_per_step":
        own = {_PREFIX + _layer(name): value for name, value in adapted.items()}
        return {name: value.new_full((config.inner_steps,), config.inner_lr) for name, value in own.items()}
    return {}


def rates_of(config: TrialConfig, params: Params) -> Rates | None:
    """Return the rates among `params`, None for fixed ones.

    Inner steps beyond those of the training, which only evaluations take, have the rate of the last one.
    """
    if config.inner_rates == "per_parameter":
        return lambda name, step: params[_PREFIX + name]
    if config.inner_rates == "per_layer_per_step":
        return lambda name, step: params[_PREFIX + _layer(name)][min(step, config.inner_steps - 1)]
    return None


def gradient_of_rates(config: TrialConfig, parts: Sequence[Params]) -> Params:
    """Return the gradient of the learned rates.

    `parts` has for each inner step the gradient of every adapted number's own rate, under the parameters' names.
    """
    if config.inner_rates == "per_parameter":
        return {_PREFIX + name: torch.stack([part[name] for part in parts]).sum(dim=0) for name in parts[0]}
    if config.inner_rates == "fixed":
        return {}
    layers: dict[str, list[str]] = {}
    for name in parts[0]:
        layers.setdefault(_layer(name), []).append(name)
    return {
        _PREFIX + layer: torch.stack([torch.stack([part[name].sum() for name in names]).sum() for part in parts])
        for layer, names in layers.items()
    }


def _layer(name: str) -> str:
    """Return the layer of a parameter: conv1 of conv1.weight, and a parameter without a dot is its own layer."""
    return name.rpartition(".")[0] or name
