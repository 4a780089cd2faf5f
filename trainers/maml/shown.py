"""One episode of a trial, as pixels that a person can look at: what the trainer gathers, with its scaling undone."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trainers.data.facts import facts_of, split_rows
from trainers.maml.config import TrialConfig
from trainers.maml.episodes import Draw, evaluation_draw, gather, training_draw
from trainers.showing import EpisodeShown


def shown(config: TrialConfig, pixels: Tensor, split: str, number: int) -> EpisodeShown:
    """Return episode `number` that a trial of `config` draws from `split` of `pixels`. Raises ValueError."""
    draw = _drawn(config, split, number)
    episode = gather(draw, pixels, config.model_copy(update={"dtype": "float64"})).at(0)
    support, query = (_pixels(images, config) for images in (episode.support_images, episode.query_images))
    return EpisodeShown(support, query, tuple(draw.classes[0].tolist()), tuple(draw.turns[0].tolist()))


def _drawn(config: TrialConfig, split: str, number: int) -> Draw:
    if split == "train":
        step, place = divmod(number, config.meta_batch_size)
        if step >= config.outer_steps:
            last = config.outer_steps * config.meta_batch_size - 1
            raise ValueError(f"the trial draws training episodes 0 to {last}, so there is no episode {number}")
        return Draw(*(part[place : place + 1] for part in training_draw(config, step)))
    if split not in split_rows(config.dataset, config.omniglot_split):
        raise ValueError(f"{config.dataset} has no {split} classes")
    if split not in config.eval_splits:
        raise ValueError(f"the trial draws no {split} episodes, because its eval_split is {config.eval_split}")
    if number >= config.eval_episodes:
        raise ValueError(f"the trial draws {split} episodes 0 to {config.eval_episodes - 1}, not {number}")
    return evaluation_draw(config, number, number + 1, "val" if split == "val" else "test")


def _pixels(images: Tensor, config: TrialConfig) -> NDArray[np.uint8]:
    """Return (N * K, C, H, W) as uint8 [N, K, C, H, W], exactly the pixels of the data set."""
    facts = facts_of(config.dataset)
    mean, std = (torch.tensor(of, dtype=images.dtype).view(-1, 1, 1) for of in (facts.pixel_mean, facts.pixel_std))
    whole = ((images.cpu() * std + mean) * 255).round().clamp(0, 255).to(torch.uint8)
    return whole.view(config.ways, -1, *whole.shape[1:]).numpy()
