"""The maths of one episode: prototypes, squared Euclidean distances, loss and accuracy (Snell et al. 2017, Eqs. 1, 2).

Shape letters: N classes, K shots, D features, T query images.
"""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from trainers.maml.config import TrialConfig
from trainers.maml.episodes import Episode
from trainers.maml.networks import Params, encode, native_norm


def prototypes(features: Tensor, ways: int) -> Tensor:
    """Return the mean (N, D) of the support features (N * K, D) of each class, in the order of the labels."""
    return features.view(ways, -1, features.shape[-1]).mean(dim=1)


def logits(queries: Tensor, centres: Tensor) -> Tensor:
    """Return minus the squared Euclidean distance (T, N) of each query's features (T, D) to each prototype (N, D)."""
    return -(queries[:, None] - centres).square().sum(dim=-1)


def scores(config: TrialConfig, params: Params, episode: Episode) -> Tensor:
    """Return the logits (T, N) of an episode. Batch norm takes the statistics of the support or the query set."""
    normalise = partial(native_norm, eps=config.bn_eps)
    support = encode(config, params, episode.support_images, normalise)
    queries = encode(config, params, episode.query_images, normalise)
    return logits(queries, prototypes(support, config.ways))


def loss_and_accuracy(config: TrialConfig, params: Params, episode: Episode) -> tuple[Tensor, Tensor]:
    """Return the mean cross-entropy of the queries in nats, and the share of them that is right; both scalars."""
    found = scores(config, params, episode)
    right = (found.argmax(dim=1) == episode.query_labels).to(found.dtype).mean()
    return F.cross_entropy(found, episode.query_labels), right.detach()


@torch.no_grad()
def accuracy(config: TrialConfig, params: Params, episode: Episode) -> float:
    """Return the share of query images that are nearest to the prototype of their class."""
    return float((scores(config, params, episode).argmax(dim=1) == episode.query_labels).double().mean())
