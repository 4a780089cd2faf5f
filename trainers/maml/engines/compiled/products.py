"""The convolution of a block, its transposed and its weight gradient: which product tile goes where.

Images are (B, H, W, C), the input x with its padding. Weights are (K / lanes, kernel * kernel * C, lanes), so that what
one vector of channels needs lies in one run of memory. The gradient of the convolution's output, d, is (B, h,
w + 2 side, K), with `side` empty columns left and right so that the transposed convolution needs no case for the
borders. Runs of pixels go along a row, or, if `along`, along the images.
"""

from typing import Any

import numpy as np

from trainers.maml.engines.compiled.sizes import SIZES, instruction_set
from trainers.maml.engines.compiled.tiles import input_tile, pixel_tile
from trainers.maml.engines.kernel_cache import compiled

Array = np.ndarray[Any, Any]

_SIZES = SIZES[instruction_set()]
WIDTH, PIXELS, INPUTS, NEAR = _SIZES.width, _SIZES.pixels, _SIZES.inputs, _SIZES.near

# The largest tile and the next smaller ones, so that any count from the smallest on is a sum of them; and one by one.
_LEAST = PIXELS - 3
_pixels_a, _pixels_b, _pixels_c, _pixels_d, _pixels_1 = (
    pixel_tile(WIDTH, n) for n in (PIXELS, PIXELS - 1, PIXELS - 2, _LEAST, 1)
)
_MANY, _SOME, _FEW = INPUTS, INPUTS * 2 // 3, INPUTS // 3
_inputs_many, _inputs_some, _inputs_few, _inputs_1 = (input_tile(WIDTH, n) for n in (_MANY, _SOME, _FEW, 1))


@compiled
def pixel_run(x, xo, xr, xs, w, wo, wr, rows, n, first, fo, fs, out, oo, os, count):
    """Do as a `pixel_tile` for `count` pixels, in tiles of equal size where there are many."""
    ws = WIDTH // x.itemsize
    left = (count + PIXELS - 1) // PIXELS if count >= _LEAST else count
    p = 0
    while left > 0:
        size = (count - p + left - 1) // left
        a, b, c = xo + p * xs, fo + p * fs, oo + p * os
        if size == PIXELS:
            _pixels_a(x, a, xr, xs, w, wo, wr, ws, rows, n, first, b, fs, out, c, os)
        elif size == PIXELS - 1:
            _pixels_b(x, a, xr, xs, w, wo, wr, ws, rows, n, first, b, fs, out, c, os)
        elif size == PIXELS - 2:
            _pixels_c(x, a, xr, xs, w, wo, wr, ws, rows, n, first, b, fs, out, c, os)
        elif size == _LEAST:
            _pixels_d(x, a, xr, xs, w, wo, wr, ws, rows, n, first, b, fs, out, c, os)
        else:
            _pixels_1(x, a, xr, xs, w, wo, wr, ws, rows, n, first, b, fs, out, c, os)
        p, left = p + size, left - 1


@compiled
def input_run(x, xo, xr, xs, d, do, dr, ds, rows, n, out, oo, inputs):
    """Do as an `input_tile` for all `inputs`; `out` has one vector for each, side by side."""
    os = WIDTH // x.itemsize
    u = 0
    while u + _MANY <= inputs:
        _inputs_many(x, xo + u, xr, xs, d, do, dr, ds, rows, n, out, oo + u * os, os)
        u += _MANY
    if u + _SOME <= inputs:
        _inputs_some(x, xo + u, xr, xs, d, do, dr, ds, rows, n, out, oo + u * os, os)
        u += _SOME
    if u + _FEW <= inputs:
        _inputs_few(x, xo + u, xr, xs, d, do, dr, ds, rows, n, out, oo + u * os, os)
        u += _FEW
    while u < inputs:
        _inputs_1(x, xo + u, xr, xs, d, do, dr, ds, rows, n, out, oo + u * os, os)
        u += 1


@compiled
def convolve(x, w, first, kernel, stride, along, out, i, end, onto):
    """Set rows i to `end` of the images `out` to the convolution of x, plus `first` (1, 1, 1, K).

    If `onto`, `first` is `out`, and the convolution is added.
    """
    images, height, width, inputs = x.shape
    h, wide, channels = out.shape[1:]
    n, lanes = kernel * inputs, WIDTH // x.itemsize
    at_once = min(kernel, max(1, NEAR // (n * WIDTH)))  # window rows whose weights stay in the nearest cache
    runs, count = (wide, images) if along else (images, wide)
    xs, os = (height * width * inputs, h * wide * channels) if along else (stride * inputs, channels)
    for c in range(0, channels, lanes):
        for p in range(0, kernel, at_once):
            later = onto or p > 0
            wo = c * kernel * n + p * n * lanes
            for row in range(i, end):
                for run in range(runs):
                    m, j = (0, run) if along else (run, 0)
                    oo = ((m * h + row) * wide + j) * channels + c
                    pixel_run(
                        x, ((m * height + row * stride + p) * width + j * stride) * inputs, width * inputs, xs, w, wo,
                        n * lanes, min(at_once, kernel - p), n, out if later else first, oo if later else c,
                        os if later else 0, out, oo, os, count,
                    )  # fmt: skip


@compiled
def weigh(x, d, side, kernel, stride, along, i, rows, row, weight):
    """Add to `weight` what rows i to i + `rows` of images give; their d is at rows from `row`."""
    images, height, width, inputs = x.shape
    h, stored, channels = d.shape[1:]
    n, lanes = kernel * inputs, WIDTH // x.itemsize
    runs, length = (rows, images) if along else (1, rows)
    xr, dr = (height * width * inputs, h * stored * channels) if along else (stride * width * inputs, stored * channels)
    for c in range(0, channels, lanes):
        for p in range(kernel):
            for run in range(runs):
                input_run(
                    x, ((i + run) * stride + p) * width * inputs, xr, stride * inputs, d,
                    ((row + run) * stored + side) * channels + c, dr, channels, length, stored - 2 * side, weight,
                    (c * kernel + p * lanes) * n, n,
                )  # fmt: skip


@compiled
def turn(w, kernel, stride, inputs, turned):
    """Set `turned` (C / lanes, kernel * kernel * K, lanes) to w as the transposed convolution reads it.

    Columns of x that are equal modulo `stride` meet the same taps q of a window row; these lie in one run, the largest
    q first.
    """
    lanes = w.shape[2]
    channels = len(w) * lanes
    base = 0
    for rest in range(stride):
        taps = (kernel - rest + stride - 1) // stride
        for p in range(kernel):
            for t in range(taps):
                q = rest + stride * (taps - 1 - t)
                for a in range(inputs // lanes):
                    to = turned[a, base : base + channels]
                    for h in range(len(w)):
                        of = w[h, (p * kernel + q) * inputs + a * lanes : (p * kernel + q) * inputs + (a + 1) * lanes]
                        for lane in range(lanes):
                            for k in range(lanes):
                                to[h * lanes + k, lane] = of[lane, k]
                base += channels


@compiled
def transposed(d, side, turned, kernel, stride, padding, along, none, below, onto):
    """Set the images `below` to the transposed convolution of d, or add it if `onto`; `none` (1, 1, 1, C) is zero."""
    h, stored, channels = d.shape[1:]
    images, height, width, inputs = below.shape
    lanes = WIDTH // d.itemsize
    for c in range(0, inputs, lanes):
        base = c * kernel * kernel * channels
        for rest in range(stride):
            taps = (kernel - rest + stride - 1) // stride
            n = taps * channels
            column = (rest - padding) % stride
            count = (width - column + stride - 1) // stride
            j = (column + padding - rest) // stride - (taps - 1) + side
            runs, length = (count, images) if along else (images, count)
            os = (height * width if along else stride) * inputs
            xs = (h * stored if along else 1) * channels
            for parity in range(stride):
                for y in range((parity - padding) % stride, height, stride):
                    p, i = parity, (y + padding) // stride
                    while i >= h and p < kernel:
                        p, i = p + stride, i - 1
                    rows = min((kernel - p + stride - 1) // stride, i + 1)
                    for run in range(runs):
                        image, pixel = (0, run) if along else (run, 0)
                        oo = ((image * height + y) * width + column + pixel * stride) * inputs + c
                        xo = ((image * h + i) * stored + j + pixel) * channels
                        if rows > 0:
                            pixel_run(
                                d, xo, -stored * channels, xs, turned, base + p * n * lanes, stride * n * lanes, rows,
                                n, below if onto else none, oo if onto else c, os if onto else 0, below, oo, os, length,
                            )  # fmt: skip
                        elif not onto:
                            for k in range(length):
                                for lane in range(lanes):
                                    below.reshape(-1)[oo + k * os + lane] = 0
            base += kernel * n * lanes
