"""The paper's two Conv-4 networks: four blocks of a 3x3 convolution, batch norm and ReLU."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from trainers.maml.config import TrialConfig
from trainers.maml.layout import BLOCKS, image_shape
from trainers.maml.networks.signature import Convolve, Normalise, Params


def parameters(config: TrialConfig, draws: np.random.Generator) -> Params:
    """Return initial parameters: Kaiming-normal weights (fan-in, gain sqrt 2), zero biases, batch norm's ones."""
    dtype = getattr(torch, config.dtype)
    in_channels = image_shape(config)[0]
    params: Params = {}
    for n, block in enumerate(BLOCKS[config.network], start=1):
        shape = (config.channels, in_channels, block.kernel, block.kernel)
        std = (2 / (in_channels * block.kernel**2)) ** 0.5
        params[f"conv{n}.weight"] = torch.from_numpy(draws.standard_normal(shape) * std).to(dtype)
        params[f"conv{n}.bias"] = torch.zeros(config.channels, dtype=dtype)
        params[f"norm{n}.weight"] = torch.ones(config.channels, dtype=dtype)
        params[f"norm{n}.bias"] = torch.zeros(config.channels, dtype=dtype)
        in_channels = config.channels
    return params


def encode(config: TrialConfig, params: Params, images: Tensor, normalise: Normalise, convolve: Convolve) -> Tensor:
    """Return the features (B, D) of `images` (B, C, H, W), normalised as one batch."""
    x = images
    for n, block in enumerate(BLOCKS[config.network], start=1):
        x = convolve(x, params[f"conv{n}.weight"], params[f"conv{n}.bias"], block.stride, block.padding)
        scale, shift = params[f"norm{n}.weight"], params[f"norm{n}.bias"]
        relu_first = config.net_order == "relu_bn"
        x = normalise(F.relu(x), scale, shift) if relu_first else F.relu(normalise(x, scale, shift))
        x = F.max_pool2d(x, 2) if block.pool else x
    return x.flatten(1)
