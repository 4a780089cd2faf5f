"""A small config and pixels drawn at random, for tests of the maths and for the processes that they start."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from trainers.data.catalog import CATALOG
from trainers.maml.config import TrialConfig, resolve


def tiny_config(**values: Any) -> TrialConfig:
    """Return a small config: 4 channels, 3 ways, float64, everything overridable."""
    small = {
        "dataset": "strokes", "channels": 4, "ways": 3, "shots": 2, "queries": 3, "inner_steps": 2,
        "inner_lr": 0.1, "meta_batch_size": 2, "outer_steps": 6, "eval_episodes": 3, "dtype": "float64",
    }  # fmt: skip
    return resolve(small | values)


def noise_pixels() -> Tensor:
    """Return pixels of the shape of strokes, drawn at random: enough for what does not depend on what they show."""
    facts = CATALOG["strokes"]
    shape = (facts.classes, facts.images_per_class, *facts.image_shape)
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8))
