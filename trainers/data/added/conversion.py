"""From a listing to the array: one pass over all pictures, which writes them, or tells everything that is wrong.

Knows no layout of folders, and writes no description.
"""

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from trainers.data.added.listing import Listing, OwnClass
from trainers.data.added.pictures import Mode, PictureError, mode_of, pixels_of
from trainers.data.added.wishes import Wishes
from trainers.data.converted import header

NAMED = 3
"""Pictures of one class that are named for the same kind of fault; the others are counted."""
_VALUES = np.arange(256)
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))

Progress = Callable[[int, int], None]
"""Is told how many pictures are done, of how many."""


class Made(NamedTuple):
    """The array that was written: the sha256 of its bytes, the shape of one image, and how its pixels are scaled."""

    array: str
    image_shape: tuple[int, int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]


class Seen:
    """What the pictures are, to tell in the end whether they go together."""

    def __init__(self) -> None:
        self.modes: dict[Mode, list[str]] = {"grey": [], "colour": []}
        self.sizes: Counter[tuple[int, int]] = Counter()

    def add(self, place: str, mode: Mode, size: tuple[int, int]) -> None:
        self.modes[mode].append(place)
        self.sizes[size] += 1

    def go_together(self, wishes: Wishes) -> bool:
        """Return whether the pictures so far fit into one array."""
        one_mode = wishes.mode is not None or not (self.modes["grey"] and self.modes["colour"])
        return one_mode and (
            wishes.size is not None or (len(self.sizes) == 1 and len(set(next(iter(self.sizes)))) == 1)
        )

    def faults(self, wishes: Wishes) -> list[str]:
        """Return what keeps the pictures from one array."""
        faults = []
        grey, colour = self.modes["grey"], self.modes["colour"]
        if wishes.mode is None and grey and colour:
            few, kind, others = (grey, "grey", "coloured") if len(grey) <= len(colour) else (colour, "coloured", "grey")
            faults.append(
                f"{len(few)} of {len(grey) + len(colour)} pictures are {kind}, beside {others} ones: "
                f"{_some(few)}; bring all to one mode with --mode colour or --mode grey"
            )
        if wishes.size is None and self.sizes and (len(self.sizes) > 1 or len(set(next(iter(self.sizes)))) > 1):
            smallest, largest = min(self.sizes), max(self.sizes)
            which = f"{smallest[0]}x{smallest[1]}"
            if len(self.sizes) > 1:
                which = f"{len(self.sizes)} sizes, from {which} to {largest[0]}x{largest[1]}"
            faults.append(f"the pictures have {which}; bring all to one square with --size, for example --size 84")
        return faults


def convert(listing: Listing, wishes: Wishes, part: Path, progress: Progress) -> Made | list[str]:
    """Write the array of what is listed to `part`, and return it; or return all faults, of the listing and of pictures.

    Then `part` holds nothing of use. Raises OSError if it can't be written.
    """
    seen, faults, classes = Seen(), list(listing.faults), listing.in_order()
    array: _Array | None = None
    total, done = sum(len(one.pictures) for one in classes), 0
    with part.open("wb") as file:
        for one in classes:
            wrong: list[str] = []
            for picture in one.pictures:
                done += 1
                try:
                    image = picture.opened()
                    mode = mode_of(image)
                except PictureError as error:
                    wrong.append(f"{picture.place}: {error}")
                    continue
                seen.add(picture.place, mode, image.size)
                if faults or wrong or not seen.go_together(wishes):
                    continue  # nothing is written any more, but everything is looked at
                size = (wishes.size, wishes.size) if wishes.size else image.size
                pixels = pixels_of(image, wishes.mode or mode, size, wishes.fit, wishes.filter)
                if array is None:
                    array = _Array(pixels.shape[0])
                    file.write(header(_shape(classes, pixels)))
                file.write(array.take(pixels, trains=one.split == "train"))
                progress(done, total)
            faults += [
                *wrong[:NAMED],
                *([f"and {len(wrong) - NAMED} more in class {one.name}"] if wrong[NAMED:] else []),
            ]
            progress(done, total)
        file.flush()
        os.fsync(file.fileno())
    faults += seen.faults(wishes)
    if wishes.normalise == "imagenet" and array is not None and array.image_shape[0] == 1:
        faults.append("the pictures are grey, and --normalise imagenet is for coloured ones; give train or none")
    if faults or array is None:
        return faults
    mean, std = array.scale(wishes)
    return Made(array.digest.hexdigest(), array.image_shape, mean, std)


class _Array:
    """The digest of what was written, and exact sums over the training classes' pixels."""

    def __init__(self, channels: int) -> None:
        self.digest = hashlib.sha256()
        self.image_shape = (channels, 0, 0)
        self._pixels, self._sums, self._squares = 0, [0] * channels, [0] * channels

    def take(self, pixels: NDArray[np.uint8], *, trains: bool) -> memoryview:
        """Note one image, uint8 [C, H, W], and return its bytes."""
        self.image_shape = (pixels.shape[0], pixels.shape[1], pixels.shape[2])
        if trains:
            self._pixels += pixels.shape[1] * pixels.shape[2]
            for channel, plane in enumerate(pixels):
                counts = np.bincount(plane.ravel(), minlength=256)
                self._sums[channel] += int(counts @ _VALUES)
                self._squares[channel] += int(counts @ _VALUES**2)
        content = np.ascontiguousarray(pixels).data
        self.digest.update(content)
        return content

    def scale(self, wishes: Wishes) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Return mean and deviation of pixels in [0, 1], to six digits; the deviation of equal pixels is taken as 1."""
        if wishes.normalise == "none":
            return (0.0,) * len(self._sums), (1.0,) * len(self._sums)
        if wishes.normalise == "imagenet":
            return IMAGENET
        means, deviations = [], []
        for total, squares in zip(self._sums, self._squares, strict=True):
            mean = total / self._pixels / 255
            variance = (squares * self._pixels - total * total) / self._pixels**2 / 255**2
            means.append(round(mean, 6))
            deviations.append(round(variance**0.5, 6) or 1.0)
        return tuple(means), tuple(deviations)


def _shape(classes: Sequence[OwnClass], pixels: NDArray[np.uint8]) -> tuple[int, ...]:
    counts = [len(one.pictures) for one in classes]
    first = (len(counts), counts[0]) if len(set(counts)) == 1 else (sum(counts),)
    return (*first, *pixels.shape)


def _some(places: Sequence[str]) -> str:
    more = f" and {len(places) - NAMED} more" if places[NAMED:] else ""
    return f"{', '.join(places[:NAMED])}{more}"


def lines(faults: Sequence[str], most: int) -> Iterator[str]:
    """Yield the first `most` faults, each in a line, and the number of those left."""
    yield from (f"  {fault}" for fault in faults[:most])
    if faults[most:]:
        yield f"  and {len(faults) - most} more"
