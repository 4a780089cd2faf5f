"""ResNet-12 as few-shot learning uses it: the blocks of Lee et al. (2019, MetaOptNet), 64-160-320-640 filters.

A block has three 3x3 convolutions without biases, each with batch norm, leaky ReLU (slope 0.1) after the first two and
after the sum with a 1x1 convolution and batch norm of the block's input, and 2x2 max-pooling. The features are the mean
of the last map over space, as in Tian et al. (2020) and Ye et al. (2020); Lee et al. give the whole map to their head,
which has 16,000 features then. There is no DropBlock and no dropout: these draw random numbers in each forward pass, so
that an inner step's gradient would not be that of one loss. Oreshkin et al. (2018, TADAM) have 64-128-256-512 filters.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from trainers.maml.config import TrialConfig
from trainers.maml.layout import image_shape, resnet12_widths
from trainers.maml.networks.signature import Convolve, Normalise, Params

SLOPE = 0.1
CONVOLUTIONS = 3


def parameters(config: TrialConfig, draws: np.random.Generator) -> Params:
    """Return initial parameters: Kaiming-normal weights (fan-out, gain sqrt 2) as in the authors' code."""
    dtype = getattr(torch, config.dtype)
    inputs = image_shape(config)[0]
    params: Params = {}
    for block, filters in enumerate(resnet12_widths(config.channels), start=1):
        layers = [(f"conv{n}", f"norm{n}", 3, inputs if n == 1 else filters) for n in range(1, CONVOLUTIONS + 1)]
        for conv, norm, kernel, channels in [*layers, ("shortcut", "shortcut_norm", 1, inputs)]:
            std = (2 / (filters * kernel**2)) ** 0.5
            weight = draws.standard_normal((filters, channels, kernel, kernel)) * std
            params[f"block{block}.{conv}.weight"] = torch.from_numpy(weight).to(dtype)
            params[f"block{block}.{norm}.weight"] = torch.ones(filters, dtype=dtype)
            params[f"block{block}.{norm}.bias"] = torch.zeros(filters, dtype=dtype)
        inputs = filters
    return params


def encode(config: TrialConfig, params: Params, images: Tensor, normalise: Normalise, convolve: Convolve) -> Tensor:
    """Return the features (B, D) of `images` (B, C, H, W), normalised as one batch."""
    x = images
    for block in range(1, len(resnet12_widths(config.channels)) + 1):

        def layer(x: Tensor, conv: str, norm: str, block: str = f"block{block}") -> Tensor:
            weight = params[f"{block}.{conv}.weight"]
            mapped = convolve(x, weight, None, 1, weight.shape[-1] // 2)
            return normalise(mapped, params[f"{block}.{norm}.weight"], params[f"{block}.{norm}.bias"])

        y = x
        for n in range(1, CONVOLUTIONS):
            y = F.leaky_relu(layer(y, f"conv{n}", f"norm{n}"), SLOPE)
        y = layer(y, f"conv{CONVOLUTIONS}", f"norm{CONVOLUTIONS}") + layer(x, "shortcut", "shortcut_norm")
        x = F.max_pool2d(F.leaky_relu(y, SLOPE), 2)
    return x.mean(dim=(2, 3))
