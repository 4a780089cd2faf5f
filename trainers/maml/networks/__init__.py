"""Networks as pure functions of a parameter dictionary: an encoder, chosen by name, and a linear head.

Batch norm always uses the statistics of the given images, so no running buffers leak between episodes: support and
query sets each use their own (transductive, as in the paper), or both use the support set's (inductive). Owns no loss
and no inner loop.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from trainers.maml.config import TrialConfig
from trainers.maml.layout import feature_count
from trainers.maml.network_names import is_own
from trainers.maml.networks import conv4, mlp, own, resnet12
from trainers.maml.networks.normalisation import native_norm, reference_norm, split_norm
from trainers.maml.networks.signature import Convolve, Normalise, Params
from trainers.maml.rng import stream

__all__ = [
    "HEAD",
    "Convolve",
    "Normalise",
    "Params",
    "classify",
    "encode",
    "initial_params",
    "native_norm",
    "reference_norm",
    "split_norm",
    "zero_head",
]

HEAD = ("head.weight", "head.bias")

_ENCODERS = {
    "conv4_strided": (conv4.parameters, conv4.encode),
    "conv4_pooled": (conv4.parameters, conv4.encode),
    "resnet12": (resnet12.parameters, resnet12.encode),
    "mlp": (mlp.parameters, mlp.encode),
}


def initial_params(config: TrialConfig) -> Params:
    """Return one run's initial parameters on the CPU: the encoder's own, and a Kaiming-normal head with a zero bias.

    Encoder and head have separate random streams; `head_scale` multiplies the head and never changes the encoder.
    Raises TrainerError if a network of one's own can't be made.
    """
    dtype = getattr(torch, config.dtype)
    head = stream(config.seed, "head")
    if is_own(config.network):
        params, features = own.parameters(config), own.feature_count(config)
    else:
        of_name, _ = _ENCODERS[config.network]
        params, features = of_name(config, stream(config.seed, "encoder")), feature_count(config)
    weight = head.standard_normal((config.ways, features)) * (2 / features) ** 0.5 * config.head_scale
    params["head.weight"] = torch.from_numpy(weight).to(dtype)
    if config.head_bias:
        params["head.bias"] = torch.zeros(config.ways, dtype=dtype)
    return params


def encode(
    config: TrialConfig, params: Params, images: Tensor, normalise: Normalise, convolve: Convolve = F.conv2d
) -> Tensor:
    """Return the features (B, D) of `images` (B, C, H, W), normalised as one batch.

    `convolve` reaches the convolutions of networks that ship, not those of one's own.
    """
    if is_own(config.network):
        return own.encode(config, params, images, normalise)
    _, of_name = _ENCODERS[config.network]
    return of_name(config, params, images, normalise, convolve)


def classify(params: Params, features: Tensor) -> Tensor:
    """Return the logits (B, N) of `features` (B, D) under the linear head."""
    return F.linear(features, params["head.weight"], params.get("head.bias"))


def zero_head(params: Params) -> Params:
    """Return `params` with the head's weight and bias zero: the zeroing trick (Kao et al. 2022, Alg. 3)."""
    return {name: torch.zeros_like(value) if name in HEAD else value for name, value in params.items()}
