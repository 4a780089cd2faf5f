"""Synthetic characters: each class is a few random pen strokes, each drawing a strongly varied rendering of them.

Every machine gives the same bits: only raw Philox words and element-wise + - * / with min and max, which IEEE 754
rounds in one way. No sums over an axis (their order varies), no sqrt, exp or sin. It does not replace real data.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

CLASSES = 500
DRAWINGS = 20
SIDE = 28  # pixels
STROKES = 4  # per class, at most; a class with fewer repeats its first stroke
SAMPLES = 28  # inked points of a stroke; mostly less than a pixel apart
WINDOW = 4  # pixels around a point, one before and two after its own; no pen with its edge reaches 2 pixels

Floats = NDArray[np.float64]


class Uniforms:
    """Uniform float64 numbers from the raw words of one Philox stream, which numpy promises not to change."""

    def __init__(self, seed: int) -> None:
        self._bits = np.random.Philox(key=seed)

    def draw(self, low: float, high: float, *shape: int) -> Floats:
        """Return numbers in [low, high) of the given shape."""
        words = self._bits.random_raw(int(np.prod(shape)))
        unit = (words >> np.uint64(11)).astype(np.float64) * 2.0**-53
        return (low + (high - low) * unit).reshape(shape)


def make(seed: int) -> NDArray[np.uint8]:
    """Return the data set of `seed`: uint8 [500, 20, 1, 28, 28], paper 255 and ink 0 with grey edges, as Omniglot."""
    uniforms = Uniforms(seed)
    points = _drawn(uniforms, _characters(uniforms))
    pen = uniforms.draw(0.55, 0.95, CLASSES, DRAWINGS)
    return np.stack([_inked(*drawings) for drawings in zip(_along(points), pen, strict=True)])[:, :, None]


def _characters(uniforms: Uniforms) -> Floats:
    """Return control points [classes, strokes, 3, xy] of quadratic Bezier curves in the square from -1 to 1."""
    points = uniforms.draw(-1.0, 1.0, CLASSES, STROKES, 3, 2)
    points[:, :, 1] *= 1.8  # the middle point only attracts the curve; a distant one bends it more
    joined = uniforms.draw(0.0, 1.0, CLASSES, STROKES) < 0.5  # pen down: a stroke starts where the last one ended
    count = 2.0 + uniforms.draw(0.0, 3.0, CLASSES) // 1.0  # 2, 3 or 4 strokes
    for stroke in range(1, STROKES):
        points[:, stroke, 0] = np.where(joined[:, stroke, None], points[:, stroke - 1, 2], points[:, stroke, 0])
    for stroke in range(2, STROKES):
        absent = (count <= stroke)[:, None, None]
        points[:, stroke] = np.where(absent, points[:, 0], points[:, stroke])
    return points


def _drawn(uniforms: Uniforms, characters: Floats) -> Floats:
    """Return the control points of every drawing in pixels, [classes, drawings, strokes, 3, xy]."""
    shape = (CLASSES, DRAWINGS)
    jitter = uniforms.draw(-0.15, 0.15, *shape, STROKES, 3, 2)
    # A repeated stroke must stay exactly on its original; otherwise it would be an extra stroke.
    copied = (characters == characters[:, :1]).all(axis=(2, 3))[:, None, :, None, None]
    points = characters[:, None] + np.where(copied, jitter[:, :, :1], jitter)
    x, y = points[..., 0], points[..., 1]

    half_angle = uniforms.draw(-0.2, 0.2, *shape, 1, 1)  # its tangent: up to 23 degrees either way
    norm = 1.0 + half_angle * half_angle
    cosine, sine = (1.0 - half_angle * half_angle) / norm, 2.0 * half_angle / norm
    shear = uniforms.draw(-0.3, 0.3, *shape, 1, 1)
    scale_x, scale_y = uniforms.draw(7.0, 11.0, *shape, 1, 1), uniforms.draw(7.0, 11.0, *shape, 1, 1)
    shift_x, shift_y = uniforms.draw(-2.5, 2.5, *shape, 1, 1), uniforms.draw(-2.5, 2.5, *shape, 1, 1)

    x, y = scale_x * (x + shear * y), scale_y * y
    centre = (SIDE - 1) / 2
    return np.stack([cosine * x - sine * y + centre + shift_x, sine * x + cosine * y + centre + shift_y], axis=-1)


def _along(points: Floats) -> Iterator[Floats]:
    """Yield, for each class, points along its strokes: [drawings, strokes x samples, xy]."""
    even = (np.arange(SAMPLES) / (SAMPLES - 1))[:, None]
    t = even * (0.5 + even * (1.5 - even))  # closer at both ends, where the curve runs fastest
    for drawings in points:
        start, middle, end = (drawings[:, :, None, control] for control in range(3))
        curve = (1.0 - t) * ((1.0 - t) * start + 2.0 * t * middle) + t * t * end
        yield curve.reshape(DRAWINGS, STROKES * SAMPLES, 2)


def _inked(curve: Floats, pen: Floats) -> NDArray[np.uint8]:
    """Return drawings [drawings, 28, 28] of a round pen of radius `pen` pixels that follows `curve`.

    A point of the curve is measured against the pixels of its window alone: to those outside it is further than the pen
    and its grey edge reach.
    """
    (columns, along_x), (rows, along_y) = (_windows(curve[:, :, axis].astype(np.float32)) for axis in (0, 1))
    side = SIDE + 2 * WINDOW
    drawing = np.arange(DRAWINGS)[:, None, None, None]
    pixels = (drawing * side + rows[:, :, :, None]) * side + columns[:, :, None, :]
    nearest = np.full((DRAWINGS, side, side), np.float32(SIDE * SIDE))
    np.minimum.at(nearest.reshape(-1), pixels.ravel(), (along_y[:, :, :, None] + along_x[:, :, None, :]).ravel())
    nearest = nearest[:, WINDOW:-WINDOW, WINDOW:-WINDOW]
    # Coverage falls from 1 at radius - 1/2 to 0 at radius + 1/2, linearly in the squared distance.
    radius = pen[:, None, None]
    ink = ((radius + 0.5) * (radius + 0.5) - nearest) / (2.0 * radius)
    return (255.0 * (1.0 - np.clip(ink, 0.0, 1.0)) + 0.5).astype(np.uint8)


def _windows(points: NDArray[np.float32]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return, for points along one side, the pixels around each and its squared distance to them: [..., window].

    Pixels count from a margin of one window, which takes the windows of points outside the picture.
    """
    first = np.clip(np.floor(points) - 1, -WINDOW, SIDE)
    pixels = first[..., None] + np.arange(WINDOW, dtype=np.float32)
    return pixels.astype(np.int64) + WINDOW, (points[..., None] - pixels) ** 2
