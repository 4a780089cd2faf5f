"""Small pictures in folders, drawn by numbers, for tests of added data sets."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from trainers.data.added.add import Added
from trainers.data.added.add import add as add_set
from trainers.data.added.wishes import Wishes

SPLITS = {"train": ("ant", "bee", "cow"), "val": ("dog", "eel"), "test": ("fox", "gnu")}


def pixels(label: int, number: int, channels: int = 1, side: int = 8) -> NDArray[np.uint8]:
    """Return a picture [H, W, channels] that no other (label, number) has."""
    draws = np.random.default_rng([label, number, channels])
    return draws.integers(0, 256, (side, side, channels), dtype=np.uint8)


def save(path: Path, array: NDArray[np.uint8]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array[:, :, 0] if array.shape[2] == 1 else array).save(path)


def folders(
    root: Path, images: int | dict[str, int] = 3, *, channels: int = 1, side: int = 8, split: bool = True
) -> Path:
    """Write the classes of SPLITS as folders of PNGs, below their splits if `split`, and return `root`."""
    label = 0
    for name, classes in SPLITS.items():
        for one in classes:
            count = images if isinstance(images, int) else images.get(one, 3)
            place = root / name / one if split else root / one
            place.mkdir(parents=True)
            for number in range(count):
                save(place / f"{number}.png", pixels(label, number, channels, side))
            label += 1
    return root


def add(name: str, folder: Path, **wishes: object) -> Added:
    return add_set(name, folder, Wishes(**wishes), lambda done, total: None)
