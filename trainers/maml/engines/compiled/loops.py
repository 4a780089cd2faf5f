"""The passes of one block over its images: convolution, ReLU, statistics and pooling, and their gradient.

Images are (B, H, W, C). They are taken one by one where rows are long. Where rows are short, up to `GROUP` images are
taken together, and runs of pixels go along them (`along`). Only r, the tops and the gradients are kept for all images:
x is made again from the block below where it is read, because that is faster than to fetch it from memory. x and d
(`products`) have one slot for each image of a group, or (x, `whole`) for all images.
"""

import numpy as np

from trainers.maml.engines.compiled import formulas
from trainers.maml.engines.compiled.products import convolve, transposed, weigh
from trainers.maml.engines.compiled.sizes import SIZES, instruction_set
from trainers.maml.engines.compiled.tiles import formula_tile
from trainers.maml.engines.kernel_cache import compiled

_SIZES = SIZES[instruction_set()]
HALF, BAND, GROUP = _SIZES.half, _SIZES.band, _SIZES.group

_raised, _picked, _emitted, _arrived, _spread, _spread_windows, _spread_outside = (
    formula_tile(HALF, formula)
    for formula in (
        formulas.raised, formulas.picked, formulas.emitted, formulas.arrived, formulas.spread,
        formulas.spread_windows, formulas.spread_outside,
    )
)  # fmt: skip


@compiled
def add_sums(part, sums):
    """Add `part` (2, C), of one image or band, to `sums`."""
    for n in range(2):
        for c in range(part.shape[1]):
            sums[n, c] += part[n, c]


@compiled
def row_of(images, m, i):
    """Return the offset of row i of image m."""
    return (m * images.shape[1] + i) * images.shape[2] * images.shape[3]


@compiled
def inner_row_of(images, m, i, padding):
    """Return the offset of row i of image m inside its padding."""
    return row_of(images, m, i + padding) + padding * images.shape[3]


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
def raise_band(r, floor, rough, begin, count, counted, part, sums):
    """Raise `count` pixels of r (N, C) from `begin`, and add to `sums` (2, C) if `counted`. `part` (2, C) is room."""
    channels = r.shape[1]
    part[:] = 0
    lanes = HALF // r.itemsize
    for c in range(0, channels, lanes):
        at = begin * channels + c
        _raised(count, (r,), (at,), (channels,), (floor, rough), c, (r,), (at,), (channels,), (part[0], part[1]))
    if counted:
        add_sums(part, sums)


@compiled
def settle(rough, sums, count, eps, mean, inverse):
    """Set the mean and (variance + eps)^(-1/2) of a channel's `count` entries, in float64.

    `sums` (2, C) are those of the distances to the rough mean and of their squares.
    """
    for c in range(len(mean)):
        beyond = sums[0, c] / count
        mean[c] = rough[c] + beyond
        inverse[c] = 1 / np.sqrt(max(sums[1, c] / count - beyond * beyond, 0.0) + eps)


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
            at, to = row_of(top, m, i), inner_row_of(y, m, i, padding)
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
    rough, part, sums = np.empty(channels, r.dtype), np.empty((2, channels)), np.zeros((2, channels))
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
            raise_band(flat, floor, rough, i * width, (end - i) * width, begin < reference, part, sums)
            if pool:
                pick_rows(out[0], sign, top[begin], i, end)
        if along:
            if begin == 0:
                roughly(flat, floor, len(flat), rough)
            for m in range(begin, stop):
                pixels = height * width
                raise_band(flat, floor, rough, (m - begin) * pixels, pixels, m < reference, part, sums)
    settle(rough, sums, reference * height * width, eps, mean, inverse)


@compiled
def arrive(g, y, padding, top, last, mean, inverse, sums):
    """Stop in the images g what the last ReLU stopped in y; add to `sums` (2, K) G and G z."""
    images, h, wide, channels = g.shape
    part = np.empty((2, channels))
    for m in range(images):
        part[:] = 0
        for i in range(h):
            at, out = row_of(g, m, i), inner_row_of(y, m, i, padding)
            for c in range(0, channels, HALF // g.itemsize):
                _arrived(
                    wide, (g, y, top), (at + c, out + c, at + c), (channels, channels, channels),
                    (last, mean, inverse), c, (g,), (at + c,), (channels,), (part[0], part[1]),
                )  # fmt: skip
        add_sums(part, sums)


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
