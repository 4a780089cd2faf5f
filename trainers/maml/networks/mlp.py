"""The multilayer perceptron of Finn et al. (2017, section 5.2): hidden layers of 256, 128, 64 and 64 units.

Each has batch norm and a ReLU. Theirs begins with small weights; here they are Kaiming-normal, as in Conv-4.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from trainers.maml.config import TrialConfig
from trainers.maml.layout import image_shape, mlp_widths
from trainers.maml.networks.normalisation import normalised
from trainers.maml.networks.signature import Convolve, Normalise, Params


def parameters(config: TrialConfig, draws: np.random.Generator) -> Params:
    """Return initial parameters: Kaiming-normal weights (fan-in, gain sqrt 2), zero biases, batch norm's ones."""
    dtype = getattr(torch, config.dtype)
    channels, height, width = image_shape(config)
    inputs = channels * height * width
    params: Params = {}
    for n, units in enumerate(mlp_widths(config.channels), start=1):
        weight = draws.standard_normal((units, inputs)) * (2 / inputs) ** 0.5
        params[f"linear{n}.weight"] = torch.from_numpy(weight).to(dtype)
        params[f"linear{n}.bias"] = torch.zeros(units, dtype=dtype)
        params[f"norm{n}.weight"] = torch.ones(units, dtype=dtype)
        params[f"norm{n}.bias"] = torch.zeros(units, dtype=dtype)
        inputs = units
    return params


def encode(config: TrialConfig, params: Params, images: Tensor, normalise: Normalise, convolve: Convolve) -> Tensor:
    """Return the features (B, D) of `images` (B, C, H, W), normalised as one batch. It has no convolution."""
    x = images.flatten(1)
    for n in range(1, len(mlp_widths(config.channels)) + 1):
        x = F.linear(x, params[f"linear{n}.weight"], params[f"linear{n}.bias"])
        scale, shift = params[f"norm{n}.weight"], params[f"norm{n}.bias"]
        if config.net_order == "relu_bn":
            x = normalised(normalise, F.relu(x), scale, shift)
        else:
            x = F.relu(normalised(normalise, x, scale, shift))
    return x
