"""A picture of one episode: a row for each class, its support images and then its query images. Draws no episode."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL.Image import Image

LEAST_SIDE = 56  # pixels of an image on the sheet; smaller ones are enlarged by a whole number
GAP = 4
BETWEEN = 24  # pixels between support and query images
LINE = 16  # height of a line of text
MARGIN = 10


def sheet(support: NDArray[np.uint8], query: NDArray[np.uint8], names: Sequence[str], title: Sequence[str]) -> "Image":
    """Return the picture of an episode: `support` [N, K, C, H, W], `query` [N, Q, C, H, W], and a name for each class.

    The lines of `title` stand above it. Each row begins with its label, from 0, and the name of its class.
    """
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.load_default()
    factor = -(-LEAST_SIDE // support.shape[-1])
    side = support.shape[-1] * factor
    labels = [f"{label}  {name}" for label, name in enumerate(names)]
    left = MARGIN + round(max(font.getlength(text) for text in labels)) + 2 * GAP
    shots, queries = support.shape[1], query.shape[1]
    starts = [left + number * (side + GAP) for number in range(shots)]
    begin = left + shots * (side + GAP) + BETWEEN
    starts += [begin + number * (side + GAP) for number in range(queries)]
    top = MARGIN + LINE * (len(title) + 1)
    width = max(starts[-1] + side, MARGIN + round(max(font.getlength(line) for line in title))) + MARGIN
    image = Image.new("RGB", (width, top + len(names) * (side + GAP) + MARGIN), "white")
    pen = ImageDraw.Draw(image)
    for number, line in enumerate(title):
        pen.text((MARGIN, MARGIN + number * LINE), line, fill="black", font=font)
    pen.text((left, top - LINE), "support", fill="black", font=font)
    pen.text((begin, top - LINE), "query", fill="black", font=font)
    for row, text in enumerate(labels):
        y = top + row * (side + GAP)
        pen.text((MARGIN, y + side // 2 - LINE // 2), text, fill="black", font=font)
        for x, pixels in zip(starts, [*support[row], *query[row]], strict=True):
            image.paste(_tile(pixels, factor), (x, y))
    return image


def _tile(pixels: NDArray[np.uint8], factor: int) -> "Image":
    """Return one image, uint8 [C, H, W], enlarged so that each pixel is a square."""
    from PIL import Image

    shape = pixels.transpose(1, 2, 0)
    whole = np.repeat(shape, 3, axis=2) if shape.shape[2] == 1 else shape
    return Image.fromarray(np.ascontiguousarray(whole.repeat(factor, axis=0).repeat(factor, axis=1)))


def save(image: "Image", path: Path) -> None:
    """Write the picture as PNG. Raises OSError."""
    from io import BytesIO

    from trainers.sealed_file import write_whole

    content = BytesIO()
    image.save(content, "PNG")
    write_whole(path, content.getvalue())
