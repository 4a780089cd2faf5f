"""The two settings of the checks: a small random network on noise, and the paper's network on real episodes."""

import numpy as np
import torch

from trainers.data.catalog import CATALOG
from trainers.data.datasets import Prepared, load
from trainers.maml import protocols
from trainers.maml.config import resolve
from trainers.maml.theory.claim import Setting

SEED = 0


def small() -> Setting:
    """Return eight random channels on episodes of random pixels: what holds there holds by algebra, not by chance."""
    facts = CATALOG["strokes"]
    shape = (facts.classes, facts.images_per_class, *facts.image_shape)
    noise = np.random.default_rng(SEED).integers(0, 256, shape, dtype=np.uint8)
    config = resolve(
        {
            "dataset": "strokes", "channels": 8, "order": "first", "ways": 5, "shots": 2, "queries": 3,
            "inner_steps": 1, "inner_lr": 0.1, "meta_batch_size": 3, "dtype": "float64", "seed": SEED,
        }
    )  # fmt: skip
    return Setting(name="a small random network on random images", config=config, pixels=torch.from_numpy(noise))


def real(prepared: Prepared) -> Setting:
    """Return the paper's Omniglot network and rates on three real 5-way 1-shot episodes."""
    values = protocols.load("omniglot") | {"meta_batch_size": 3, "inner_steps": 1, "dtype": "float64", "seed": SEED}
    pixels = torch.from_numpy(load(prepared))
    return Setting(name="the paper's Omniglot network on real episodes", config=resolve(values), pixels=pixels)
