"""The paper's two Conv-4 networks as pure functions of a parameter dictionary.

Batch norm always uses the statistics of the given images, so no running buffers leak between episodes: support and
query sets each use their own (transductive, as in the paper), or both use the support set's (inductive).
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from trainers.data.facts import facts_of
from trainers.maml.config import TrialConfig
from trainers.maml.layout import BLOCKS, feature_count
from trainers.maml.rng import stream

Params = dict[str, Tensor]
Convolve = Callable[[Tensor, Tensor, Tensor, int, int], Tensor]
"""(x (B, C, H, W), weight, bias, stride, padding) -> what `F.conv2d` returns."""
Normalise = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(x (B, C, H, W), scale (C,), shift (C,)) -> x normalised over batch and space, times scale, plus shift."""

HEAD = ("head.weight", "head.bias")


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


def initial_params(config: TrialConfig) -> Params:
    """Return one run's initial parameters on the CPU: Kaiming-normal weights (fan-in, gain sqrt 2), zero biases.

    Encoder and head have separate random streams; `head_scale` multiplies the head and never changes the encoder.
    """
    dtype = getattr(torch, config.dtype)
    in_channels = facts_of(config.dataset).image_shape[0]
    encoder, head = stream(config.seed, "encoder"), stream(config.seed, "head")
    params: Params = {}
    for n, block in enumerate(BLOCKS[config.network], start=1):
        shape = (config.channels, in_channels, block.kernel, block.kernel)
        std = (2 / (in_channels * block.kernel**2)) ** 0.5
        params[f"conv{n}.weight"] = torch.from_numpy(encoder.standard_normal(shape) * std).to(dtype)
        params[f"conv{n}.bias"] = torch.zeros(config.channels, dtype=dtype)
        params[f"norm{n}.weight"] = torch.ones(config.channels, dtype=dtype)
        params[f"norm{n}.bias"] = torch.zeros(config.channels, dtype=dtype)
        in_channels = config.channels
    features = feature_count(config)
    weight = head.standard_normal((config.ways, features)) * (2 / features) ** 0.5 * config.head_scale
    params["head.weight"] = torch.from_numpy(weight).to(dtype)
    if config.head_bias:
        params["head.bias"] = torch.zeros(config.ways, dtype=dtype)
    return params


def encode(
    config: TrialConfig, params: Params, images: Tensor, normalise: Normalise, convolve: Convolve = F.conv2d
) -> Tensor:
    """Return the features (B, D) of `images` (B, C, H, W), normalised as one batch."""
    x = images
    for n, block in enumerate(BLOCKS[config.network], start=1):
        x = convolve(x, params[f"conv{n}.weight"], params[f"conv{n}.bias"], block.stride, block.padding)
        scale, shift = params[f"norm{n}.weight"], params[f"norm{n}.bias"]
        relu_first = config.net_order == "relu_bn"
        x = normalise(F.relu(x), scale, shift) if relu_first else F.relu(normalise(x, scale, shift))
        x = F.max_pool2d(x, 2) if block.pool else x
    return x.flatten(1)


def classify(params: Params, features: Tensor) -> Tensor:
    """Return the logits (B, N) of `features` (B, D) under the linear head."""
    return F.linear(features, params["head.weight"], params.get("head.bias"))


def zero_head(params: Params) -> Params:
    """Return `params` with the head's weight and bias zero: the zeroing trick (Kao et al. 2022, Alg. 3)."""
    return {name: torch.zeros_like(value) if name in HEAD else value for name, value in params.items()}
