"""Small float64 configs and pixels that need no data set on disk, computed on one thread."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from trainers.data.catalog import CATALOG
from trainers.maml.config import TrialConfig, resolve
from trainers.maml.theory.claim import Setting


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """Compute on one thread, as workers do: in networks this small further threads only wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def pixels(characters: NDArray[np.uint8]) -> Tensor:
    """Return the synthetic characters as a tensor."""
    return torch.from_numpy(characters.copy())


@pytest.fixture
def tiny() -> Callable[..., TrialConfig]:
    """Return a maker of small configs: 4 channels, 3 ways, float64, everything overridable."""

    def make(**values: Any) -> TrialConfig:
        small = {
            "dataset": "strokes", "channels": 4, "ways": 3, "shots": 2, "queries": 3, "inner_steps": 2,
            "inner_lr": 0.1, "meta_batch_size": 2, "outer_steps": 6, "eval_episodes": 3, "dtype": "float64",
        }  # fmt: skip
        return resolve(small | values)

    return make


@pytest.fixture(scope="session")
def noise() -> Tensor:
    """Return pixels of the shape of strokes, drawn at random: enough for what does not depend on what they show."""
    facts = CATALOG["strokes"]
    shape = (facts.classes, facts.images_per_class, *facts.image_shape)
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8))


@pytest.fixture
def setting(tiny: Callable[..., TrialConfig], noise: Tensor) -> Setting:
    """Return a small setting for claims of the theory: eight channels, 5-way 2-shot, one inner step."""
    return Setting(name="small", config=tiny(channels=8, ways=5, shots=2, inner_steps=1), pixels=noise)
