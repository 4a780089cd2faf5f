"""Adam over parameters stacked on the run axis R, with a learning rate and a life of its own for each run.

The moments of a zeroed head are kept, as in the paper's released code, unless they start anew with it.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from trainers.networks import HEAD, Params

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
    params: Params,
    moments: Moments,
    gradient: Params,
    *,
    step: int,
    lr: Tensor,
    alive: Tensor,
    head_steps: Sequence[int] | None = None,
) -> tuple[Params, Moments]:
    """Return parameters and moments after step number `step` (from 1) of size `lr` (R,); dead runs stay as they are.

    Kingma and Ba (2015), algorithm 1, with bias correction; `head_steps` are each run's steps of the head, this one
    included, where its moments were set to zero on the way.
    """
    new_params, first, second = {}, {}, {}
    for name, value in params.items():
        shape = (-1,) + (1,) * (value.dim() - 1)
        lives = alive.view(shape)
        m_bias, v_bias = 1 - BETA1**step, 1 - BETA2**step
        if head_steps is not None and name in HEAD:
            m_bias, v_bias = (lr.new_tensor([1 - b**n for n in head_steps]).view(shape) for b in (BETA1, BETA2))
        m = BETA1 * moments.first[name] + (1 - BETA1) * gradient[name]
        v = BETA2 * moments.second[name] + (1 - BETA2) * gradient[name].square()
        change = lr.view(shape) * (m / m_bias) / ((v / v_bias).sqrt() + EPS)
        new_params[name] = torch.where(lives, value - change, value)
        first[name] = torch.where(lives, m, moments.first[name])
        second[name] = torch.where(lives, v, moments.second[name])
    return new_params, Moments(first, second)
