"""One picture of an added set: opened, told whether it is grey or coloured, and brought to the size of the array.

Every file of a kind that Pillow reads without loss of meaning: 8 bits a channel. Lists no folders.
"""

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from trainers.regular_file import require_regular

if TYPE_CHECKING:
    from PIL.Image import Image

Mode = Literal["grey", "colour"]
Fit = Literal["squash", "crop"]
Filter = Literal["bilinear", "bicubic", "lanczos", "box", "nearest"]

_GREY = frozenset({"1", "L", "LA", "La"})
_COLOUR = frozenset({"RGB", "RGBA", "RGBa", "CMYK", "YCbCr", "LAB", "HSV", "RGBX"})


class PictureError(ValueError):
    """A picture that can't be used; the message says why, without the picture's name."""


class Picture(Protocol):
    """A picture that is not read yet; `place` names it in messages."""

    @property
    def place(self) -> str: ...

    def opened(self) -> "Image":
        """Return the picture, decoded. Raises PictureError."""


@dataclass(frozen=True, slots=True)
class FilePicture:
    """A picture in a file of its own."""

    path: str
    place: str

    def opened(self) -> "Image":
        try:
            require_regular(Path(self.path))
            content = Path(self.path).read_bytes()
        except OSError as error:
            raise PictureError(f"can't be read ({error.strerror})") from None
        return decoded(content)


@dataclass(frozen=True, slots=True)
class RowPicture:
    """A picture in an array [images, H, W, channels], or one of a list of encoded files."""

    rows: Any
    index: int
    place: str

    def opened(self) -> "Image":
        from PIL import Image

        row = self.rows[self.index]
        if isinstance(row, bytes):
            return decoded(row)
        if isinstance(row, np.ndarray) and row.ndim == 1 and row.dtype == np.uint8:
            return decoded(row.tobytes())
        if not isinstance(row, np.ndarray) or row.dtype != np.uint8:
            raise PictureError(f"is of {getattr(row, 'dtype', type(row).__name__)}, not of uint8")
        plain = row[:, :, 0] if row.ndim == 3 and row.shape[2] == 1 else row
        if plain.ndim not in (2, 3) or (plain.ndim == 3 and plain.shape[2] != 3):
            raise PictureError(f"is an array {list(row.shape)}, not [height, width, 1 or 3]")
        return Image.fromarray(np.ascontiguousarray(plain))


def decoded(content: bytes) -> "Image":
    """Return the picture in a file's `content`, turned as its camera noted, as a viewer does. Raises PictureError."""
    import warnings

    from PIL import Image, ImageOps

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about odd tags and palettes, which change no pixel
            image = Image.open(BytesIO(content))
            image.load()
            return ImageOps.exif_transpose(image) or image
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        why = " ".join(str(error).replace("<_io.BytesIO object at", "<").split())
        raise PictureError("is empty" if not content else f"is not a readable image ({_short(why)})") from None


def _short(why: str) -> str:
    return "unknown format" if why.startswith("cannot identify") else why[:100]


def mode_of(image: "Image") -> Mode:
    """Return whether a picture is grey or coloured. Raises PictureError for more than 8 bits a channel."""
    if image.mode in ("P", "PA"):
        colours = np.frombuffer(image.convert("RGB").tobytes(), np.uint8).reshape(-1, 3)
        return "grey" if (colours == colours[:, :1]).all() else "colour"
    if image.mode in _GREY:
        return "grey"
    if image.mode in _COLOUR:
        return "colour"
    raise PictureError(f"has pixels of mode {image.mode}; save it with 8 bits a channel")


def pixels_of(image: "Image", mode: Mode, size: tuple[int, int], fit: Fit, by: Filter) -> NDArray[np.uint8]:
    """Return a picture as uint8 [1 or 3, height, width]; what is transparent is white.

    A picture of another size is resized by the filter `by`: as a whole (squash), or the largest part in its middle
    that has the right shape (crop).
    """
    from PIL import Image, ImageOps

    plain = _opaque(image).convert("L" if mode == "grey" else "RGB")
    if plain.size != size:
        how = Image.Resampling[by.upper()]
        plain = plain.resize(size, how) if fit == "squash" else ImageOps.fit(plain, size, how)
    array = np.asarray(plain)
    return array[None] if mode == "grey" else array.transpose(2, 0, 1)


def _opaque(image: "Image") -> "Image":
    from PIL import Image

    if image.mode not in ("LA", "La", "RGBA", "RGBa", "PA") and "transparency" not in image.info:
        return image
    whole = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", whole.size, "white"), whole)
