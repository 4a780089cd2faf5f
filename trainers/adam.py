"""Adam over parameters stacked on the run axis R, with a learning rate and a life of its own for each run.

The moments of a zeroed head are kept, as in the paper's released code.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from trainers.networks import Params

BETA1, BETA2, EPS = 0.9, 0.999, 1e-8


class Moments(NamedTuple):
    """Running means of the gradient and of its square, each stacked on R like the parameters."""

    first: Params
    second: Params


def no_moments(params: Params) -> Moments:
    """Return the moments before the first step: zeros."""
    zeros = {name: torch.zeros_like(value) for name, value in params.items()}
    return Moments(zeros, {name: value.clone() for name, value in zeros.items()})


def adam_step(
    params: Params, moments: Moments, gradient: Params, *, step: int, lr: Tensor, alive: Tensor
) -> tuple[Params, Moments]:
    """Return parameters and moments after step number `step` (from 1) of size `lr` (R,); dead runs stay as they are.

    Kingma and Ba (2015), algorithm 1, with bias correction.
    """
    new_params, first, second = {}, {}, {}
    for name, value in params.items():
        shape = (-1,) + (1,) * (value.dim() - 1)
        lives = alive.view(shape)
        m = BETA1 * moments.first[name] + (1 - BETA1) * gradient[name]
        v = BETA2 * moments.second[name] + (1 - BETA2) * gradient[name].square()
        change = lr.view(shape) * (m / (1 - BETA1**step)) / ((v / (1 - BETA2**step)).sqrt() + EPS)
        new_params[name] = torch.where(lives, value - change, value)
        first[name] = torch.where(lives, m, moments.first[name])
        second[name] = torch.where(lives, v, moments.second[name])
    return new_params, Moments(first, second)
