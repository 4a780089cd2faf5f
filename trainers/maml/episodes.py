"""Few-shot episodes, gathered from an array on the device. Sampling is a pure function of (seed, split, step).

Shape letters: E episodes, N ways, K shots, Q queries a class, S = N * K support images, T = N * Q query images,
C, H, W an image.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from trainers.data.class_names import named_classes
from trainers.data.facts import facts_of, split_rows
from trainers.maml.config import TrialConfig
from trainers.maml.nested import mapped
from trainers.maml.rng import stream


class Episode(NamedTuple):
    """One episode, or a stack of episodes on leading axes. Images are normalised; labels are 0..N-1."""

    support_images: Tensor  # (..., S, C, H, W)
    support_labels: Tensor  # (..., S)
    query_images: Tensor  # (..., T, C, H, W)
    query_labels: Tensor  # (..., T)

    def at(self, index: int) -> "Episode":
        """Return entry `index` of the first leading axis."""
        return Episode(*(part[index] for part in self))


class Draw(NamedTuple):
    """The images of E episodes: `classes` (E, N) and `images` (E, N, K + Q), shots before queries.

    `turns` (E, N) are quarter turns of each class; a rotated character is another class.
    """

    classes: np.ndarray
    images: np.ndarray
    turns: np.ndarray


def training_draw(config: TrialConfig, step: int) -> Draw:
    """Return the meta-batch of outer step `step` (from 0): new episodes, or the next visits to the fixed pool."""
    if config.episode_pool:
        return _pool_draw(config, step)
    generator = stream(config.seed, "episodes", "train", step)
    return _fresh_draw(config, _trained_on(config), config.meta_batch_size, generator, turned=config.rotations)


def probe_draw(config: TrialConfig) -> Draw:
    """Return the fixed training episodes of probes: the first of the pool, or without a pool their own episodes.

    Their labels are never permuted. A pool smaller than `probe_episodes` gives all its episodes.
    """
    if config.episode_pool:
        return _stack([_pool_entry(config, n) for n in range(min(config.probe_episodes, config.episode_pool))])
    generator = stream(config.seed, "episodes", "probe")
    return _fresh_draw(config, _trained_on(config), config.probe_episodes, generator, turned=config.rotations)


def evaluation_draw(config: TrialConfig, first: int, last: int, split: Literal["val", "test"] | None = None) -> Draw:
    """Return episodes first..last-1 of the trial's fixed evaluation list; every evaluation scores the same list.

    Each split has a list; without `split` it is that of the last one that the trial scores.

    The list depends on the seed, as in the paper's code. So an interval over seeds covers the sampling of test
    episodes, and configs with the same seed are scored on the same episodes.
    """
    split = split or config.eval_splits[-1]
    rows = split_rows(config.dataset, config.omniglot_split)[split]
    draws = [_fresh_draw(config, rows, 1, stream(config.seed, "episodes", split, n)) for n in range(first, last)]
    return _stack(draws)


def _trained_on(config: TrialConfig) -> Sequence[int]:
    """Return the rows of the classes that training draws from."""
    if config.train_classes:
        return named_classes(config.dataset, config.train_classes)
    return split_rows(config.dataset, config.omniglot_split)[config.train_split]


def _fresh_draw(
    config: TrialConfig, rows: Sequence[int], episodes: int, generator: np.random.Generator, *, turned: bool = False
) -> Draw:
    facts = facts_of(config.dataset)
    kinds = _drawn_kinds(config, len(rows) * 4 if turned else len(rows), episodes, generator)
    turns, places = np.divmod(kinds, len(rows))
    classes = np.array(rows)[places]
    order = generator.random((episodes, config.ways, max(facts.images, default=facts.images_per_class)))
    if facts.images:  # a class is drawn from its own images alone
        order[np.arange(order.shape[2]) >= _counts(facts.images)[classes][..., None]] = np.inf
    return Draw(classes, order.argsort(axis=2, kind="stable")[:, :, : config.shots + config.queries], turns)


@lru_cache(maxsize=16)
def _counts(images: tuple[int, ...]) -> np.ndarray:
    return np.array(images)


def _drawn_kinds(config: TrialConfig, kinds: int, episodes: int, generator: np.random.Generator) -> np.ndarray:
    """Return (E, N) distinct numbers below `kinds`; the position in a row is the label.

    "groups" gives label t to one class of the t-th of N groups of nearly equal size (13, 13, 13, 13, 12 of
    mini-ImageNet's 64). "consecutive" takes classes cN to cN + N - 1. Both are as in the paper's released code, where a
    class always has the same label, so that episodes can be memorised.
    """
    if config.label_rule == "groups":
        size, larger = divmod(kinds, config.ways)
        sizes = size + (np.arange(config.ways) < larger)
        starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
        return starts + (generator.random((episodes, config.ways)) * sizes).astype(np.int64)
    if config.label_rule == "consecutive":
        first = (generator.random((episodes, 1)) * (kinds // config.ways)).astype(np.int64) * config.ways
        return first + np.arange(config.ways)
    return generator.random((episodes, kinds)).argsort(axis=1, kind="stable")[:, : config.ways]


def _pool_draw(config: TrialConfig, step: int) -> Draw:
    """Visit the pool in an order shuffled each epoch, with new labels at every visit.

    If the label is a function of the class, labels are not permuted.
    """
    visits = range(step * config.meta_batch_size, (step + 1) * config.meta_batch_size)
    draws = []
    for visit in visits:
        epoch, position = divmod(visit, config.episode_pool)
        drawn = _pool_entry(config, int(_pool_order(config.seed, config.episode_pool, epoch)[position]))
        if config.label_rule == "random":
            labels = stream(config.seed, "labels", visit).random(config.ways).argsort(kind="stable")
            drawn = Draw(*(part[:, labels] for part in drawn))
        draws.append(drawn)
    return _stack(draws)


def _pool_entry(config: TrialConfig, entry: int) -> Draw:
    return _fresh_draw(config, _trained_on(config), 1, stream(config.seed, "pool", entry), turned=config.rotations)


@lru_cache(maxsize=16)
def _pool_order(seed: int, episodes: int, epoch: int) -> np.ndarray:
    return stream(seed, "pool order", epoch).random(episodes).argsort(kind="stable")


def _stack(draws: Sequence[Draw]) -> Draw:
    return Draw(*(np.concatenate(parts) for parts in zip(*draws, strict=True)))


class Places(NamedTuple):
    """The indices of episodes' images in the data set, with any leading axes.

    `turns` is None if no class is rotated.
    """

    classes: Tensor  # (..., E, N)
    images: Tensor  # (..., E, N, K + Q)
    turns: Tensor | None  # (..., E, N)


def places_of(draws: Sequence[Draw], *, turned: bool) -> Places:
    """Return the places of R draws of one config, (R, E, ...), in host memory; with their turns if `turned`."""
    classes, images, turns = (torch.from_numpy(np.stack(parts)) for parts in zip(*draws, strict=True))
    return Places(classes, images, turns if turned else None)


def gather(draw: Draw, pixels: Tensor, config: TrialConfig) -> Episode:
    """Return the E episodes of `draw` from `pixels`, on the device of `pixels`.

    `pixels` is uint8 [classes, images, C, H, W]. Of a data set whose classes differ in their number of images, it is
    [images of all classes, C, H, W].
    """
    here = places_of([draw], turned=bool(draw.turns.any()))
    return gather_at(mapped(lambda part: part.to(pixels.device), here), pixels, config).at(0)


def gather_at(places: Places, pixels: Tensor, config: TrialConfig) -> Episode:
    """Return the episodes at `places`, with the same leading axes."""
    facts = facts_of(config.dataset)
    if facts.images:
        picked = pixels[_first_images(facts.images, pixels.device)[places.classes][..., None] + places.images]
    else:
        picked = pixels[places.classes[..., None], places.images]  # (..., N, K + Q, C, H, W)
    if places.turns is not None:
        turns = places.turns[..., None, None, None, None]
        for quarter in (1, 2, 3):
            picked = torch.where(turns == quarter, torch.rot90(picked, quarter, dims=(-2, -1)), picked)
    mean, std = _scale(facts.pixel_mean, facts.pixel_std, config.dtype, pixels.device)
    picked = (picked.to(mean.dtype) / 255 - mean) / std
    labels = torch.arange(config.ways, device=pixels.device).expand(places.classes.shape)
    return Episode(
        picked[..., : config.shots, :, :, :].flatten(-5, -4),
        labels.repeat_interleave(config.shots, dim=-1),
        picked[..., config.shots :, :, :, :].flatten(-5, -4),
        labels.repeat_interleave(config.queries, dim=-1),
    )


@lru_cache
def _scale(mean: tuple[float, ...], std: tuple[float, ...], dtype: str, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation of a data set's pixels, (C, 1, 1); sent to each device once."""
    first, second = (torch.tensor(of, dtype=getattr(torch, dtype), device=device).view(-1, 1, 1) for of in (mean, std))
    return first, second


@lru_cache
def _first_images(images: tuple[int, ...], device: torch.device) -> Tensor:
    """Return where the images of each class begin, (classes,); sent to each device once."""
    counts = torch.tensor(images)
    return (counts.cumsum(0) - counts).to(device)
