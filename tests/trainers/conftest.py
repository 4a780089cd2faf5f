"""Small float64 configs and pixels that need no data set on disk, computed on one thread."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from tests.trainers.small import noise_pixels, tiny_config
from trainers.maml.config import TrialConfig
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
    """Return the maker of small configs."""
    return tiny_config


@pytest.fixture(scope="session")
def noise() -> Tensor:
    """Return pixels of the shape of strokes, drawn at random."""
    return noise_pixels()


@pytest.fixture
def setting(tiny: Callable[..., TrialConfig], noise: Tensor) -> Setting:
    """Return a small setting for claims of the theory: eight channels, 5-way 2-shot, one inner step."""
    return Setting(name="small", config=tiny(channels=8, ways=5, shots=2, inner_steps=1), pixels=noise)
