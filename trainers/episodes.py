"""Few-shot episodes as index gathers from a device-resident array; sampling is a pure function of (seed, split, step).

Shape letters: E episodes, N ways, K shots, Q queries a class, S = N * K support images, T = N * Q query images,
C, H, W an image.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from trainers.catalog import CATALOG, Split, class_ranges
from trainers.config import TrialConfig
from trainers.rng import stream


class Episode(NamedTuple):
    """One few-shot task, or a stack of tasks on leading axes. Images are normalised; labels are 0..N-1."""

    support_images: Tensor  # (..., S, C, H, W)
    support_labels: Tensor  # (..., S)
    query_images: Tensor  # (..., T, C, H, W)
    query_labels: Tensor  # (..., T)

    def at(self, index: int) -> "Episode":
        """Return entry `index` of the first leading axis."""
        return Episode(*(part[index] for part in self))


class Draw(NamedTuple):
    """Which images make up E episodes: `classes` (E, N) and `images` (E, N, K + Q), shots before queries."""

    classes: np.ndarray
    images: np.ndarray


def training_draw(config: TrialConfig, step: int) -> Draw:
    """Return the meta-batch of outer step `step` (from 0): fresh episodes, or the next visits to the fixed pool."""
    if config.episode_pool:
        return _pool_draw(config, step)
    return _fresh_draw(config, "train", config.meta_batch_size, stream(config.seed, "episodes", "train", step))


def evaluation_draw(config: TrialConfig, first: int, last: int) -> Draw:
    """Return episodes first..last-1 of the trial's fixed evaluation list; every evaluation scores the same list.

    The list follows the seed, as in the paper's code: seeds then carry the sampling of test episodes, so an interval
    over seeds covers it, and configs that differ elsewhere are scored on equal episodes at equal seed.
    """
    split = config.eval_split
    draws = [_fresh_draw(config, split, 1, stream(config.seed, "episodes", split, n)) for n in range(first, last)]
    return _stack(draws)


def _fresh_draw(config: TrialConfig, split: Split, episodes: int, generator: np.random.Generator) -> Draw:
    rows = class_ranges(config.dataset, config.omniglot_split)[split]
    images_per_class = CATALOG[config.dataset].images_per_class
    order = generator.random((episodes, len(rows))).argsort(axis=1, kind="stable")
    images = generator.random((episodes, config.ways, images_per_class)).argsort(axis=2, kind="stable")
    return Draw(order[:, : config.ways] + rows.start, images[:, :, : config.shots + config.queries])


def _pool_draw(config: TrialConfig, step: int) -> Draw:
    """Visit the pool in an order shuffled each epoch, with the labels permuted anew at every visit."""
    visits = range(step * config.meta_batch_size, (step + 1) * config.meta_batch_size)
    draws = []
    for visit in visits:
        epoch, position = divmod(visit, config.episode_pool)
        entry = int(_pool_order(config.seed, config.episode_pool, epoch)[position])
        drawn = _fresh_draw(config, "train", 1, stream(config.seed, "pool", entry))
        labels = stream(config.seed, "labels", visit).random(config.ways).argsort(kind="stable")
        draws.append(Draw(drawn.classes[:, labels], drawn.images[:, labels]))
    return _stack(draws)


@lru_cache(maxsize=16)
def _pool_order(seed: int, episodes: int, epoch: int) -> np.ndarray:
    return stream(seed, "pool order", epoch).random(episodes).argsort(kind="stable")


def _stack(draws: Sequence[Draw]) -> Draw:
    return Draw(np.concatenate([d.classes for d in draws]), np.concatenate([d.images for d in draws]))


def gather(draw: Draw, pixels: Tensor, config: TrialConfig) -> Episode:
    """Return the E episodes of `draw` from `pixels` (uint8 [classes, images, C, H, W]), on the device of `pixels`."""
    facts = CATALOG[config.dataset]
    dtype = getattr(torch, config.dtype)
    classes = torch.from_numpy(draw.classes).to(pixels.device)
    images = torch.from_numpy(draw.images).to(pixels.device)
    picked = pixels[classes[:, :, None], images].to(dtype) / 255  # (E, N, K + Q, C, H, W)
    mean = torch.tensor(facts.pixel_mean, dtype=dtype, device=pixels.device).view(-1, 1, 1)
    std = torch.tensor(facts.pixel_std, dtype=dtype, device=pixels.device).view(-1, 1, 1)
    picked = (picked - mean) / std
    labels = torch.arange(config.ways, device=pixels.device).expand(len(draw.classes), -1)
    return Episode(
        picked[:, :, : config.shots].flatten(1, 2),
        labels.repeat_interleave(config.shots, dim=1),
        picked[:, :, config.shots :].flatten(1, 2),
        labels.repeat_interleave(config.queries, dim=1),
    )
