"""Batch norm by the statistics of the given images: no running buffers, so that nothing leaks between episodes."""

import torch
import torch.nn.functional as F
from torch import Tensor

from trainers.maml.networks.signature import Normalise


def native_norm(x: Tensor, scale: Tensor, shift: Tensor, *, eps: float) -> Tensor:
    """Normalise x (B, C, H, W) over batch and space, affine part inside the native call: fastest in a plain loop.

    Under `vmap` its batching rule loses the path from the gradient of `scale` back to x, so second-order gradients
    are silently wrong; use `split_norm` there.
    """
    return F.batch_norm(x, None, None, scale, shift, training=True, eps=eps)


def split_norm(x: Tensor, scale: Tensor, shift: Tensor, *, eps: float) -> Tensor:
    """Normalise x (B, C, H, W) over batch and space with the affine part outside the native call: exact under vmap."""
    normed = F.batch_norm(x, None, None, None, None, training=True, eps=eps)
    return normed * scale[:, None, None] + shift[:, None, None]


def reference_norm(x: Tensor, scale: Tensor, shift: Tensor, *, eps: float, reference: int) -> Tensor:
    """Normalise all of x (B, C, H, W) with the mean and variance of its first `reference` images."""
    variance, mean = torch.var_mean(x[:reference], dim=(0, 2, 3), correction=0, keepdim=True)
    return (x - mean) * (variance + eps).rsqrt() * scale[:, None, None] + shift[:, None, None]


def normalised(normalise: Normalise, x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """Normalise x (B, C, ...) with any number of further axes over all axes but C."""
    return normalise(x.reshape(*x.shape[:2], -1, 1), scale, shift).reshape(x.shape)
