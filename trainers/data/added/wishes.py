"""The options of `sweeper data add`, as the description of a set keeps them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from trainers.data.added.pictures import Filter, Fit, Mode

Normalise = Literal["train", "imagenet", "none"]


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """How to read a folder. `size` is the side of the square in pixels, None for that of the pictures.

    `split` are numbers of classes or shares; `csv` and `lists` name where the classes are told; `mode` None means as
    the pictures are. `least` is the number of pictures that a class must have. `normalise` says by which mean and
    deviation pixels are scaled: those of the training classes, those of ImageNet, or none.
    """

    size: int | None = None
    fit: Fit = "squash"
    filter: Filter = "bilinear"
    mode: Mode | None = None
    split: str | None = None
    seed: int = 0
    csv: Path | None = None
    lists: Path | None = None
    least: int = 2
    normalise: Normalise = "train"

    def options(self) -> dict[str, str | int]:
        """Return the options that differ from their defaults, by the name that a command has for them."""
        default = Wishes()
        given = {name: value for name, value in vars(self).items() if value != getattr(default, name)}
        return {name: value if isinstance(value, int) else str(value) for name, value in given.items()}
