"""Adam over parameters stacked on the run axis R. Each run has its own learning rate and may have stopped.

The moments of a zeroed head are kept, as in the paper's released code, unless the config resets them with the head.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from trainers.maml.networks import HEAD, Params

BETA1, BETA2, EPS = 0.9, 0.999, 1e-8


class Moments(NamedTuple):
    """Running means of the gradient and of its square, each stacked on R like the parameters."""

    first: Params
    second: Params


class Corrections(NamedTuple):
    """The bias corrections, 1 - beta**steps for each beta, (2, R): for the head and for all other parameters."""

    body: Tensor
    head: Tensor


def no_moments(params: Params) -> Moments:
    """Return the moments before the first step: zeros."""
    zeros = {name: torch.zeros_like(value) for name, value in params.items()}
    return Moments(zeros, {name: value.clone() for name, value in zeros.items()})


def corrections(step: int, runs: int, dtype: torch.dtype, head_steps: Sequence[int] | None = None) -> Corrections:
    """Return the corrections of step number `step` (from 1) for each of R `runs`.

    `head_steps`: for each run, the steps since its head's moments were set to zero, including this one.
    """
    steps = [step] * runs
    return Corrections(_bias(steps, dtype), _bias(steps if head_steps is None else head_steps, dtype))


def _bias(steps: Sequence[int], dtype: torch.dtype) -> Tensor:
    return torch.tensor([[1 - beta**n for n in steps] for beta in (BETA1, BETA2)], dtype=dtype)


def adam_step(
    params: Params, moments: Moments, gradient: Params, *, corrections: Corrections, lr: Tensor, alive: Tensor
) -> tuple[Params, Moments]:
    """Return parameters and moments after one step of size `lr` (R,); runs not `alive` don't change.

    Kingma and Ba (2015), algorithm 1, with bias correction.
    """
    new_params, first, second = {}, {}, {}
    facing = {dims: (-1,) + (1,) * (dims - 1) for dims in {value.dim() for value in params.values()}}
    lives, rates = ({dims: each.view(shape) for dims, shape in facing.items()} for each in (alive, lr))
    body, head = ({dims: [bias.view(shape) for bias in part] for dims, shape in facing.items()} for part in corrections)
    for name, value in params.items():
        dims = value.dim()
        m_bias, v_bias = (head if name in HEAD else body)[dims]
        m = BETA1 * moments.first[name] + (1 - BETA1) * gradient[name]
        v = BETA2 * moments.second[name] + (1 - BETA2) * gradient[name].square()
        change = rates[dims] * (m / m_bias) / ((v / v_bias).sqrt() + EPS)
        new_params[name] = torch.where(lives[dims], value - change, value)
        first[name] = torch.where(lives[dims], m, moments.first[name])
        second[name] = torch.where(lives[dims], v, moments.second[name])
    return new_params, Moments(first, second)
