"""Batch norm, ReLU and 2x2 max pooling in few passes over memory, forwards and backwards.

Channels come last: x, a convolution's output, is (B, H, W, C), or (N, C) where position doesn't matter. An entry is
first raised to the floor `before`, then normalised, scaled and shifted, then raised to the floor `after`: 0 and minus
infinity for ReLU before batch norm, the reverse for batch norm before ReLU. With r = max(x, before), z is
(r - mean) * inverse. Sums are taken in float64; `moments` and `passed` add up BLOCK rows at a time.

In a 2x2 window, `top` is the r from which its value comes; the first entry equal to it gets the gradient. An odd last
row or column is in no window. Without pooling, every entry is a window by itself.
"""

from typing import Any

import numpy as np

from trainers.maml.engines.kernel_cache import compiled

Array = np.ndarray[Any, Any]
BLOCK = 512


@compiled
def _raised(value: float, floor: float) -> float:
    return floor if value <= floor else value  # not max: a NaN stays a NaN


@compiled
def _larger(best: float, found: float, value: float, other: float) -> tuple[float, float]:
    return (best, found) if value <= best else (value, other)


@compiled
def moments(x: Array, before: float, eps: float, mean: Array, inverse: Array) -> None:
    """Set `mean` (C,) and `inverse` (C,) of x (N, C); `inverse` is 1 / sqrt(biased variance + eps).

    Sums are of the distance to a rough mean, so that a nearly constant channel loses no precision.
    """
    count, channels = x.shape
    total, square, rough = np.zeros(channels), np.zeros(channels), np.zeros(channels)
    floor = x.dtype.type(before)
    sampled = min(count, 64)
    for n in range(sampled):
        for c in range(channels):
            rough[c] += _raised(x[n * count // sampled, c], floor)
    rough /= sampled
    for begin in range(0, count, BLOCK):
        part, part_square = np.zeros(channels), np.zeros(channels)
        for n in range(begin, min(begin + BLOCK, count)):
            for c in range(channels):
                value = np.float64(_raised(x[n, c], floor)) - rough[c]
                part[c] += value
                part_square[c] += value * value
        total += part
        square += part_square
    for c in range(channels):
        beyond = total[c] / count
        mean[c] = rough[c] + beyond
        inverse[c] = 1 / np.sqrt(max(square[c] / count - beyond * beyond, 0.0) + eps)


@compiled
def emit(x: Array, mean: Array, slope: Array, shift: Array, before: float, after: float, y: Array) -> None:
    """Set y (N, C) to the block's output for x (N, C); `slope` is scale * inverse."""
    count, channels = x.shape
    low, floor = x.dtype.type(before), x.dtype.type(after)
    for n in range(count):
        for c in range(channels):
            y[n, c] = _raised((_raised(x[n, c], low) - mean[c]) * slope[c] + shift[c], floor)


@compiled
def emit_pooled(
    x: Array, mean: Array, slope: Array, shift: Array, before: float, after: float, y: Array, top: Array
) -> None:
    """Set y and `top` (B, h, w, C) to the block's pooled output for x (B, H, W, C), and the r behind it."""
    images, height, width, channels = y.shape
    low, floor = x.dtype.type(before), x.dtype.type(after)
    for b in range(images):
        for i in range(height):
            for j in range(width):
                for c in range(channels):
                    found = _raised(x[b, 2 * i, 2 * j, c], low)
                    best = (found - mean[c]) * slope[c] + shift[c]
                    other = _raised(x[b, 2 * i, 2 * j + 1, c], low)
                    best, found = _larger(best, found, (other - mean[c]) * slope[c] + shift[c], other)
                    other = _raised(x[b, 2 * i + 1, 2 * j, c], low)
                    best, found = _larger(best, found, (other - mean[c]) * slope[c] + shift[c], other)
                    other = _raised(x[b, 2 * i + 1, 2 * j + 1, c], low)
                    best, found = _larger(best, found, (other - mean[c]) * slope[c] + shift[c], other)
                    top[b, i, j, c] = found
                    y[b, i, j, c] = _raised(best, floor)


@compiled
def passed(
    gradient: Array, top: Array, mean: Array, inverse: Array, before: float, count: int, means: Array
) -> None:  # fmt: skip
    """Set `means` (2, C) to the means of G and G z over a channel's `count` entries; `gradient`, `top`: (N, C)."""
    windows, channels = top.shape
    low = top.dtype.type(before)
    means[:] = 0
    for begin in range(0, windows, BLOCK):
        alone, along = np.zeros(channels), np.zeros(channels)
        for n in range(begin, min(begin + BLOCK, windows)):
            for c in range(channels):
                alone[c] += gradient[n, c]
                along[c] += np.float64(gradient[n, c]) * np.float64((_raised(top[n, c], low) - mean[c]) * inverse[c])
        means[0] += alone
        means[1] += along
    means /= count


@compiled
def spread(
    x: Array, u: Array, gradient: Array, mean: Array, inverse: Array, weights: Array, before: float, out: Array,
    total: Array,
) -> None:  # fmt: skip
    """Set `out` (N, C) to a G + b u + c + d z where x > `before`, else 0, and add its sum to `total` (C,).

    `weights` (4, C) are a, b, c and d; G is `gradient`.
    """
    count, channels = x.shape
    low, zero = x.dtype.type(before), x.dtype.type(0)
    a, b, c, d = weights[0], weights[1], weights[2], weights[3]
    for n in range(count):
        for k in range(channels):
            z = (x[n, k] - mean[k]) * inverse[k]
            found = a[k] * gradient[n, k] + b[k] * u[n, k] + c[k] + d[k] * z
            found = zero if x[n, k] <= low else found
            out[n, k] = found
            total[k] += found


@compiled
def arrived(dy: Array, y: Array, after: float, out: Array) -> None:
    """Set `out` (N, C) to dy where y > `after`, else 0."""
    count, channels = y.shape
    zero = y.dtype.type(0)
    for n in range(count):
        for k in range(channels):
            out[n, k] = dy[n, k] if y[n, k] > after else zero


@compiled
def _unpooled(gradient: Array, upper: Array, lower: Array, top: Array, low: float, out: Array) -> None:
    """Set `out` (2, W, C) to `gradient` (w, C) where the rows `upper` and `lower` (W, C) first have `top`, else 0."""
    width, channels = gradient.shape
    zero = gradient.dtype.type(0)
    for j in range(width):
        r, s = 2 * j, 2 * j + 1
        for k in range(channels):
            out[0, r, k] = gradient[j, k] if _raised(upper[r, k], low) == top[j, k] else zero
        for k in range(channels):
            later = _raised(upper[r, k], low) != top[j, k]
            out[0, s, k] = gradient[j, k] if later & (_raised(upper[s, k], low) == top[j, k]) else zero
        for k in range(channels):
            later = (_raised(upper[r, k], low) != top[j, k]) & (_raised(upper[s, k], low) != top[j, k])
            out[1, r, k] = gradient[j, k] if later & (_raised(lower[r, k], low) == top[j, k]) else zero
        for k in range(channels):
            later = (_raised(upper[r, k], low) != top[j, k]) & (_raised(upper[s, k], low) != top[j, k])
            out[1, s, k] = gradient[j, k] if later & (_raised(lower[r, k], low) != top[j, k]) else zero


@compiled
def spread_pooled(
    x: Array, u: Array, gradient: Array, top: Array, mean: Array, inverse: Array, weights: Array, before: float,
    out: Array, total: Array,
) -> None:  # fmt: skip
    """Like `spread`, for x, u and `out` (B, H, W, C), gradient and top (B, h, w, C): G is at each window's `top`."""
    images, rows, columns, channels = x.shape
    low = x.dtype.type(before)
    pair = np.zeros((2, columns, channels), x.dtype)
    for m in range(images):
        for i in range(0, rows - 1, 2):
            _unpooled(gradient[m, i // 2], x[m, i], x[m, i + 1], top[m, i // 2], low, pair)
            spread(x[m, i], u[m, i], pair[0], mean, inverse, weights, before, out[m, i], total)
            spread(x[m, i + 1], u[m, i + 1], pair[1], mean, inverse, weights, before, out[m, i + 1], total)
        if rows % 2:
            none = np.zeros((columns, channels), x.dtype)
            spread(x[m, rows - 1], u[m, rows - 1], none, mean, inverse, weights, before, out[m, rows - 1], total)


@compiled
def gathered(u: Array, x: Array, mean: Array, inverse: Array, before: float, means: Array, out: Array) -> None:
    """Set `out` (N, C) to u where x > `before`, else 0, and `means` (2, C) to the means of that and of it times z."""
    count, channels = x.shape
    low, zero = x.dtype.type(before), x.dtype.type(0)
    alone, along = np.zeros(channels), np.zeros(channels)
    for n in range(count):
        for c in range(channels):
            found = zero if x[n, c] <= low else u[n, c]
            out[n, c] = found
            alone[c] += found
            along[c] += np.float64(found) * np.float64((x[n, c] - mean[c]) * inverse[c])
    means[0], means[1] = alone / count, along / count


@compiled
def picked(u: Array, x: Array, top: Array, before: float, out: Array) -> None:
    """Set `out` (B, h, w, C) to the entry of u (B, H, W, C) where x (B, H, W, C) has the window's `top`."""
    images, height, width, channels = top.shape
    low = x.dtype.type(before)
    for m in range(images):
        for i in range(height):
            for j in range(width):
                for k in range(channels):
                    t = top[m, i, j, k]
                    found = u[m, 2 * i + 1, 2 * j + 1, k]
                    found = u[m, 2 * i + 1, 2 * j, k] if _raised(x[m, 2 * i + 1, 2 * j, k], low) == t else found
                    found = u[m, 2 * i, 2 * j + 1, k] if _raised(x[m, 2 * i, 2 * j + 1, k], low) == t else found
                    found = u[m, 2 * i, 2 * j, k] if _raised(x[m, 2 * i, 2 * j, k], low) == t else found
                    out[m, i, j, k] = found


@compiled
def product(u: Array, gradient: Array, count: int, mean: Array) -> None:
    """Set `mean` (C,) to the mean of u G over a channel's `count` entries; u and `gradient` are (N, C) of windows."""
    windows, channels = u.shape
    mean[:] = 0
    for n in range(windows):
        for c in range(channels):
            mean[c] += np.float64(u[n, c]) * np.float64(gradient[n, c])
    mean /= count


@compiled
def weighed(
    u: Array, top: Array, mean: Array, inverse: Array, weights: Array, before: float, out: Array
) -> None:  # fmt: skip
    """Set `out` (N, C) to a u + b + c z at the windows' `top`; `weights` (3, C) are a, b and c."""
    windows, channels = top.shape
    low = top.dtype.type(before)
    a, b, c = weights[0], weights[1], weights[2]
    for n in range(windows):
        for k in range(channels):
            out[n, k] = a[k] * u[n, k] + b[k] + c[k] * ((_raised(top[n, k], low) - mean[k]) * inverse[k])


@compiled
def to_columns(x: Array, kernel: int, stride: int, seen: Array) -> None:
    """Set `seen` (B, h, w, kernel * kernel * C) to each output's input patch in a convolution on x (B, H, W, C)."""
    images, rows, columns, _ = seen.shape
    run = kernel * x.shape[3]
    flat = x.reshape(images, x.shape[1], -1)
    for m in range(images):
        for i in range(rows):
            for j in range(columns):
                begin = j * stride * x.shape[3]
                for p in range(kernel):
                    for k in range(run):
                        seen[m, i, j, p * run + k] = flat[m, i * stride + p, begin + k]


@compiled
def from_columns(seen: Array, kernel: int, stride: int, x: Array) -> None:
    """Set each entry of x (B, H, W, C) to the sum of its copies in `seen` (B, h, w, kernel * kernel * C)."""
    images, height, width, channels = x.shape
    rows, columns = seen.shape[1:3]
    zero = x.dtype.type(0)
    for m in range(images):
        for r in range(height):
            for s in range(width):
                begun = False
                for p in range(max(r - stride * (rows - 1), 0), min(kernel, r + 1)):
                    for q in range(max(s - stride * (columns - 1), 0), min(kernel, s + 1)):
                        if (r - p) % stride == 0 and (s - q) % stride == 0:
                            i, j, first = (r - p) // stride, (s - q) // stride, (p * kernel + q) * channels
                            if begun:
                                for k in range(channels):
                                    x[m, r, s, k] += seen[m, i, j, first + k]
                            else:
                                for k in range(channels):
                                    x[m, r, s, k] = seen[m, i, j, first + k]
                            begun = True
                if not begun:
                    for k in range(channels):
                        x[m, r, s, k] = zero
