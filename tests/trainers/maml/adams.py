"""Adam for one tensor, as printed and as torch has it: what the trainer's Adam is compared with."""

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor


def as_printed(weight: Tensor, gradients: Sequence[Tensor], lr: float) -> list[Tensor]:
    """Return `weight` after each step of Algorithm 1 of Kingma and Ba (2015), with its default constants."""
    first = second = torch.zeros_like(weight)
    found = []
    for step, gradient in enumerate(gradients, start=1):
        first = 0.9 * first + 0.1 * gradient
        second = 0.999 * second + 0.001 * gradient.square()
        weight = weight - lr * first / (1 - 0.9**step) / ((second / (1 - 0.999**step)).sqrt() + 1e-8)
        found.append(weight)
    return found


def of_torch(weight: Tensor, gradients: Sequence[Tensor], lr: float) -> list[Tensor]:
    """Return the same by `torch.optim.Adam`, whose first step imports torch's compiler: 2 s of a CPU."""
    parameter = torch.nn.Parameter(weight.clone())
    optimiser = torch.optim.Adam([parameter], lr=lr)
    found = []
    for gradient in gradients:
        parameter.grad = gradient.clone()
        optimiser.step()
        found.append(parameter.detach().clone())
    return found


ADAMS = [
    pytest.param(as_printed, id="as printed"),
    pytest.param(of_torch, id="of torch", marks=pytest.mark.slow),
]
