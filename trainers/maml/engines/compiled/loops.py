"""The passes of one block over its images: which tile goes where.

An image is (H, W, C), a group of them (B, H, W, C). A block's input x is stored with its padding. Weights are (K /
lanes, kernel * kernel * C, lanes), so that what one vector of channels needs lies in one run of memory. The gradient of
the convolution's output, d, is (h, w + 2 side, K), with `side` empty columns left and right so that the transposed
convolution needs no case for the borders.

Images are taken one by one where rows are long. Where rows are short, up to `GROUP` images are taken together, and runs
of pixels go along them (`along`). Only r, the tops and the gradients are kept for all images: x is made again from the
block below where it is read, because that is faster than to fetch it from memory. x and d have one slot for each image
of a group, or (x, `whole`) for all images.
"""

from typing import Any

import numpy as np

from trainers.maml.engines.compiled import formulas
from trainers.maml.engines.compiled.sizes import SIZES, instruction_set
from trainers.maml.engines.compiled.tiles import formula_tile, input_tile, pixel_tile
from trainers.maml.engines.kernel_cache import compiled

Array = np.ndarray[Any, Any]

SET = instruction_set()
WIDTH, HALF, PIXELS, INPUTS, NEAR, BAND, GROUP = SIZES[SET]

# The largest tile and the next smaller ones, so that any count from the smallest on is a sum of them; and one by one.
_LEAST = PIXELS - 3
_pixels_a, _pixels_b, _pixels_c, _pixels_d, _pixels_1 = (
    pixel_tile(WIDTH, n) for n in (PIXELS, PIXELS - 1, PIXELS - 2, _LEAST, 1)
)
_MANY, _SOME, _FEW = INPUTS, INPUTS * 2 // 3, INPUTS // 3
_inputs_many, _inputs_some, _inputs_few, _inputs_1 = (input_tile(WIDTH, n) for n in (_MANY, _SOME, _FEW, 1))
_raised, _picked, _emitted, _arrived, _spread, _spread_windows, _spread_outside = (
    formula_tile(HALF, formula)
    for formula in (
        formulas.raised, formulas.picked, formulas.emitted, formulas.arrived, formulas.spread,
        formulas.spread_windows, formulas.spread_outside,
    )
)  # fmt: skip


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
def roughly(x, floor, count, rough):
    """Set `rough` (C,) to the mean of up to 32 of the first `count` pixels of x (N, C), raised."""
    sampled = min(count, 32)
    for c in range(len(rough)):
        rough[c] = 0
    for s in range(sampled):
        for c in range(len(rough)):
            value = x[s * count // sampled, c]
            rough[c] += floor[c] if value <= floor[c] else value
    for c in range(len(rough)):
        rough[c] /= sampled


@compiled
def raise_band(r, floor, rough, begin, count, counted, part, total, square):
    """Raise `count` pixels of r (N, C) from `begin`, and add to the sums if `counted`. `part` (2, C) is room."""
    channels = r.shape[1]
    part[:] = 0
    lanes = HALF // r.itemsize
    for c in range(0, channels, lanes):
        at = begin * channels + c
        _raised(count, (r,), (at,), (channels,), (floor, rough), c, (r,), (at,), (channels,), (part[0], part[1]))
    if counted:
        for c in range(channels):
            total[c] += part[0, c]
            square[c] += part[1, c]


@compiled
def settle(rough, total, square, count, eps, mean, inverse):
    """Set the mean and (variance + eps)^(-1/2) of a channel's `count` entries, in float64."""
    for c in range(len(mean)):
        beyond = total[c] / count
        mean[c] = rough[c] + beyond
        inverse[c] = 1 / np.sqrt(max(square[c] / count - beyond * beyond, 0.0) + eps)


@compiled
def pick_rows(r, sign, top, i, end):
    """Set the tops of rows i to `end` of the image r (H, W, C); i is even."""
    width, channels = r.shape[1:]
    wide = top.shape[1]
    step = 2 * channels
    for row in range(i, end - 1, 2):
        upper = row * width * channels
        lower = upper + width * channels
        out = (row // 2) * wide * channels
        for c in range(0, channels, HALF // r.itemsize):
            _picked(
                wide, (r, r, r, r), (upper + c, upper + channels + c, lower + c, lower + channels + c),
                (step, step, step, step), (sign,), c, (top,), (out + c,), (channels,), (),
            )  # fmt: skip


@compiled
def as_is(values, like):
    """Return `values` in float64 as numbers of the type of `like`."""
    found = np.empty(len(values), like.dtype)
    for c in range(len(values)):
        found[c] = values[c]
    return found


@compiled
def emit(top, mean, inverse, scale, shift, last, y, padding):
    """Set the inside of the images y, the next block's input, from `top`."""
    images, h, wide, channels = top.shape
    center, slope = as_is(mean, top), as_is(scale * inverse, top)
    for m in range(images):
        for i in range(h):
            at = (m * h + i) * wide * channels
            to = ((m * y.shape[1] + i + padding) * y.shape[2] + padding) * channels
            for c in range(0, channels, HALF // top.itemsize):
                _emitted(
                    wide, (top,), (at + c,), (channels,), (center, slope, shift, last), c, (y,), (to + c,),
                    (channels,), (),
                )  # fmt: skip


@compiled
def group_of(images, along):
    """Return how many images are taken together."""
    return min(images, GROUP) if along else 1


@compiled
def band_of(height, width, along):
    """Return how many rows, an even number, are taken together; all where runs go along the images."""
    return height if along else max(2, BAND // width // 2 * 2)


@compiled
def forward(
    x, whole, entering, below_top, below_mean, below_inverse, below_scale, below_shift, last, padding, weight, bias,
    scale, floor, kernel, stride, pool, along, reference, eps, r, top, mean, inverse,
):  # fmt: skip
    """Set r, `top` (r itself without pooling) and the statistics, of the first `reference` images.

    If `entering`, x is made from the block below; otherwise it is there.
    """
    images, height, width, channels = r.shape
    first, sign = bias.reshape(1, 1, 1, channels), np.sign(scale)
    total, square, rough = np.zeros(channels), np.zeros(channels), np.empty(channels, r.dtype)
    part = np.empty((2, channels))
    group, band = group_of(images, along), band_of(height, width, along)
    for begin in range(0, images, group):
        stop = min(begin + group, images)
        slot = begin if whole else 0
        seen, out = x[slot : slot + stop - begin], r[begin:stop]
        if entering:
            emit(below_top[begin:stop], below_mean, below_inverse, below_scale, below_shift, last, seen, padding)
        flat = out.reshape(-1, channels)
        for i in range(0, height, band):
            end = min(i + band, height)
            convolve(seen, weight, first, kernel, stride, along, out, i, end, False)
            if along:
                continue
            if begin == 0 and i == 0:
                roughly(flat, floor, (end - i) * width, rough)
            raise_band(flat, floor, rough, i * width, (end - i) * width, begin < reference, part, total, square)
            if pool:
                pick_rows(out[0], sign, top[begin], i, end)
        if along:
            if begin == 0:
                roughly(flat, floor, len(flat), rough)
            for m in range(begin, stop):
                pixels = height * width
                raise_band(flat, floor, rough, (m - begin) * pixels, pixels, m < reference, part, total, square)
    settle(rough, total, square, reference * height * width, eps, mean, inverse)


@compiled
def arrive(g, y, padding, top, last, mean, inverse, sums):
    """Stop in the images g what the last ReLU stopped in y; add to `sums` (2, K) G and G z."""
    images, h, wide, channels = g.shape
    part = np.empty((2, channels))
    for m in range(images):
        part[:] = 0
        for i in range(h):
            at = (m * h + i) * wide * channels
            out = ((m * y.shape[1] + i + padding) * y.shape[2] + padding) * channels
            for c in range(0, channels, HALF // g.itemsize):
                _arrived(
                    wide, (g, y, top), (at + c, out + c, at + c), (channels, channels, channels),
                    (last, mean, inverse), c, (g,), (at + c,), (channels,), (part[0], part[1]),
                )  # fmt: skip
        for c in range(channels):
            sums[0, c] += part[0, c]
            sums[1, c] += part[1, c]


@compiled
def spread_rows(r, g, top, pool, constants, i, end, d, row, side, part):
    """Set d of rows i to `end` (an even i where the block pools) of the image r, at rows of d from `row`."""
    height, width, channels = r.shape
    wide = g.shape[1]
    one, two = channels, 2 * channels
    lanes = HALF // r.itemsize
    stored = d.shape[1] * channels
    while i < end:
        at, to = i * width * channels, row * stored + side * channels
        if not pool:
            for c in range(0, channels, lanes):
                _spread(width, (r, g), (at + c, at + c), (one, one), constants, c, (d,), (to + c,), (one,), (part,))
            i, row = i + 1, row + 1
            continue
        rows = min(2, height - i)
        paired = 2 * wide if rows == 2 else 0
        if rows == 2:
            low, under, window = at + width * channels, to + stored, (i // 2) * wide * channels
            for c in range(0, channels, lanes):
                _spread_windows(
                    wide, (r, r, r, r, top, g),
                    (at + c, at + one + c, low + c, low + one + c, window + c, window + c),
                    (two, two, two, two, one, one), constants, c, (d, d, d, d),
                    (to + c, to + one + c, under + c, under + one + c), (two, two, two, two), (part,),
                )  # fmt: skip
        if paired < width:
            for k in range(rows):
                seen, place = at + (k * width + paired) * channels, to + k * stored + paired * channels
                for c in range(0, channels, lanes):
                    _spread_outside(
                        width - paired, (r,), (seen + c,), (one,), constants, c, (d,), (place + c,), (one,), (part,)
                    )
        i, row = i + rows, row + rows


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


@compiled
def backward(
    x, whole, wanted, below_top, below_mean, below_inverse, below_scale, below_shift, last, padding, below, below_sums,
    r, g, top, pool, along, floor, mean, inverse, scale, sums, reference, d, side, kernel, stride, turned, none, weight,
    bias,
):  # fmt: skip
    """Set the gradients of a block's `weight` and `bias` (K,) from its G and the sums (2, K) of that.

    If `wanted`, also set `below` (B, H, W, C), the G of the block below; `below_sums` (2, C) get its sums.
    """
    images, height, width, channels = r.shape
    slope = scale * inverse
    entries = reference * height * width
    own = as_is(mean, r), as_is(inverse, r), as_is(slope, r)
    counted = (floor, *own, as_is(-slope * sums[0] / entries, r), as_is(-slope * sums[1] / entries, r))
    beside = (floor, *own, np.zeros_like(own[0]), np.zeros_like(own[0]))  # images that the statistics are not of
    under = as_is(below_mean, r), as_is(below_inverse, r)
    part, total = np.empty(channels), np.zeros(channels)
    weight[:] = 0
    group, band = group_of(images, along), band_of(height, width, along)
    for begin in range(0, images, group):
        stop = min(begin + group, images)
        slot = begin if whole else 0
        seen = x[slot : slot + stop - begin]
        if wanted and not whole:
            emit(below_top[begin:stop], below_mean, below_inverse, below_scale, below_shift, last, seen, padding)
        for m in range(begin, stop):
            part[:] = 0
            for i in range(0, height, band):
                end = min(i + band, height)
                row = i if wanted or along else 0
                constants = counted if m < reference else beside
                spread_rows(r[m], g[m], top[m], pool, constants, i, end, d[m - begin], row, side, part)
                if not along:
                    weigh(seen, d, side, kernel, stride, False, i, end - i, row, weight)
            for c in range(channels):
                total[c] += part[c]
        if along:
            weigh(seen, d[: stop - begin], side, kernel, stride, True, 0, height, 0, weight)
        if wanted:
            out = below[begin:stop]
            transposed(d[: stop - begin], side, turned, kernel, stride, padding, along, none, out, False)
            arrive(out, seen, padding, below_top[begin:stop], last, under[0], under[1], below_sums)
    for c in range(channels):
        bias[c] = total[c]
