"""Omniglot (Lake et al. 2015) from its two archives, in torchvision's layout: finds, checks and decodes them.

Both halves are pooled. Classes are sorted by alphabet and character over both, drawings by file name. Writes no file.
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trainers.data.archives import DataError, contents, damaged, member_names

HALVES = ("images_background", "images_evaluation")
FOLDERS = (".", "omniglot-py", "omniglot")
SIDE = 28  # pixels after resizing


@dataclass(frozen=True, kw_only=True)
class Extent:
    """How much one copy must hold: alphabets and characters of each half, drawings per character, pixels per side."""

    alphabets: tuple[int, int]
    characters: tuple[int, int]
    drawings: int
    side: int


OMNIGLOT = Extent(alphabets=(30, 20), characters=(964, 659), drawings=20, side=105)


@dataclass(frozen=True, kw_only=True, order=True)
class _Character:
    alphabet: str
    character: str
    source: Path
    names: tuple[str, ...]


def find(root: Path) -> tuple[Path, ...]:
    """Return the two halves below `root`, each a zip or an unpacked folder. Raises DataError if one is missing."""
    for folder in FOLDERS:
        halves = [_half(root / folder, half) for half in HALVES]
        there = tuple(half for half in halves if half is not None)
        if len(there) == len(HALVES):
            return there
        if there:
            missing = HALVES[halves.index(None)]
            raise DataError(f"{there[0]}: {missing}.zip is missing beside it; put it in {root / folder}")
    raise DataError(
        f"omniglot: no {HALVES[0]}.zip and {HALVES[1]}.zip in {root} or its folders omniglot-py or omniglot; "
        "get them with `sweeper data get omniglot`, or name their folder with --data-root or SWEEPER_DATA"
    )


def classes(sources: tuple[Path, ...], extent: Extent = OMNIGLOT) -> Iterator[NDArray[np.uint8]]:
    """Yield each character's drawings, uint8 [drawings, 1, 28, 28], paper 255 and ink 0, neither inverted nor scaled.

    Raises DataError before the first class if an archive's counts differ from `extent`, and for a damaged member.
    """
    characters = sorted(
        character for half, source in enumerate(sources) for character in _characters(source, half, extent)
    )
    drawings = contents((character.source, name) for character in characters for name in character.names)
    for character in characters:
        pairs = zip(character.names, drawings, strict=False)  # takes this character's share of one stream
        yield np.stack([_decoded(drawing, extent.side, character.source, name) for name, drawing in pairs])[:, None]


def _half(folder: Path, half: str) -> Path | None:
    for place in (folder / f"{half}.zip", folder / half):
        if place.exists() or place.is_symlink():  # a link to nowhere is told by name
            return place
    return None


def _characters(source: Path, half: int, extent: Extent) -> list[_Character]:
    drawings: dict[tuple[str, str], list[str]] = {}
    for name in member_names(source, ".png"):
        parts = name.split("/")
        if len(parts) < 3:
            raise damaged(source, f"{name} is not <alphabet>/<character>/<drawing>.png")
        drawings.setdefault((parts[-3], parts[-2]), []).append(name)
    counted = (len({alphabet for alphabet, _ in drawings}), len(drawings))
    wanted = (extent.alphabets[half], extent.characters[half])
    if counted != wanted:
        raise damaged(
            source, f"{counted[0]} alphabets with {counted[1]} characters, should be {wanted[0]} with {wanted[1]}"
        )
    for (alphabet, character), names in drawings.items():
        if len(names) != extent.drawings:
            raise damaged(source, f"{len(names)} drawings of {alphabet}/{character}, should be {extent.drawings}")
    return [
        _Character(alphabet=alphabet, character=character, source=source, names=tuple(names))
        for (alphabet, character), names in drawings.items()
    ]


def _decoded(drawing: bytes, side: int, source: Path, name: str) -> NDArray[np.uint8]:
    from PIL import Image  # here, because a converted data set opens without Pillow

    try:
        image = Image.open(io.BytesIO(drawing))
        if (image.mode, image.size) != ("1", (side, side)):
            raise damaged(source, f"{name} is {image.size[0]}x{image.size[1]} of mode {image.mode}, not 1-bit {side}")
        return np.asarray(image.convert("L").resize((SIDE, SIDE), Image.Resampling.BICUBIC))
    except (OSError, SyntaxError, ValueError) as error:  # Pillow raises any of these for broken files
        raise damaged(source, f"{name} is not a readable image ({error})") from None
