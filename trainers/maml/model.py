"""What the maths of an episode needs from a network: features of support and query images, and a loss.

`adapt`, `contrastive` and `probes` use only this interface, so a smooth twin or a toy can replace Conv-4. The layers
themselves are in `networks`.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from trainers.maml.config import LossName, TrialConfig
from trainers.maml.episodes import Episode
from trainers.maml.networks import (
    Convolve,
    Normalise,
    Params,
    classify,
    encode,
    native_norm,
    reference_norm,
    split_norm,
)

Features = Callable[[Params, Episode], Tensor]
Encoder = Callable[[Params, Tensor], Tensor]
"""(parameters, images (B, C, H, W)) -> features (B, D), normalised as one batch."""
Loss = Callable[[Tensor, Tensor], Tensor]
"""(logits (B, N), labels (B,)) -> scalar."""


class Model(NamedTuple):
    """A network as pure functions of (parameters, episode): features (S, D) and (T, D), and the loss of logits."""

    support_features: Features
    query_features: Features
    loss: Loss

    def support_loss(self, params: Params, episode: Episode) -> Tensor:
        """Return the loss of the support set under `params`."""
        return self.loss(self.support_logits(params, episode), episode.support_labels)

    def support_logits(self, params: Params, episode: Episode) -> Tensor:
        """Return the logits (S, N) of the support images."""
        return classify(params, self.support_features(params, episode))

    def query_logits(self, params: Params, episode: Episode) -> Tensor:
        """Return the logits (T, N) of the query images."""
        return classify(params, self.query_features(params, episode))


def one_hot(labels: Tensor, like: Tensor) -> Tensor:
    """Return `labels` (B,) as one-hot rows, of the shape and dtype of `like` (B, N)."""
    return (labels[:, None] == torch.arange(like.shape[1], device=like.device)).to(like.dtype)


def half_squared_error(logits: Tensor, labels: Tensor) -> Tensor:
    """Return half the sum over images and classes of (logit - one-hot label)^2: the paper's motivating example.

    The sum and the half matter: with them the head after one step from zero is eta * sum_s phi(s) t_s^T.
    """
    return (logits - one_hot(labels, logits)).square().sum() / 2


LOSSES: dict[LossName, Loss] = {"cross_entropy": F.cross_entropy, "squared_error": half_squared_error}


def build_model(config: TrialConfig, *, vectorised: bool, convolve: Convolve = F.conv2d) -> Model:
    """Return the network and loss of `config`; `vectorised` selects the batch norm that is exact under `vmap`."""
    norm = partial(split_norm if vectorised else native_norm, eps=config.bn_eps)
    return model_with(config, lambda params, images: encode(config, params, images, norm, convolve), convolve)


def model_of(config: TrialConfig, normalise: Normalise) -> Model:
    """Return the network and loss of `config`; `normalise` normalises a set by its own statistics."""
    return model_with(config, lambda params, images: encode(config, params, images, normalise))


def model_with(config: TrialConfig, encoder: Encoder, convolve: Convolve = F.conv2d) -> Model:
    """Return the network and loss of `config`; `encoder` encodes a set normalised by its own statistics.

    `convolve` is for query images that are normalised by the statistics of the support set.
    """

    def support_features(params: Params, episode: Episode) -> Tensor:
        return encoder(params, episode.support_images)

    def query_features(params: Params, episode: Episode) -> Tensor:
        if config.batch_norm == "transductive":
            return encoder(params, episode.query_images)
        count = config.ways * config.shots
        by_support: Any = partial(reference_norm, eps=config.bn_eps, reference=count)
        images = torch.cat([episode.support_images, episode.query_images])
        return encode(config, params, images, by_support, convolve)[count:]

    return Model(support_features, query_features, LOSSES[config.loss])
