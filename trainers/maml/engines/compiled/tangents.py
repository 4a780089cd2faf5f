"""The passes of one block for the derivative of its gradient along a direction of the parameters.

As `loops`, with the tangent of every number beside it (`formulas`): a convolution has two terms, x by the tangent of
the weights and the tangent of x by the weights. Inputs are kept for all images.
"""

import numpy as np

from trainers.maml.engines.compiled import formulas
from trainers.maml.engines.compiled.loops import HALF, add_sums, as_is, band_of, group_of, inner_row_of, row_of
from trainers.maml.engines.compiled.products import convolve, transposed, weigh
from trainers.maml.engines.compiled.tiles import formula_tile
from trainers.maml.engines.kernel_cache import compiled

_raised, _picked, _emitted, _arrived, _spread, _spread_windows, _spread_outside = (
    formula_tile(HALF, formula)
    for formula in (
        formulas.tangent_raised, formulas.tangent_picked, formulas.tangent_emitted, formulas.tangent_arrived,
        formulas.tangent_spread, formulas.tangent_spread_windows, formulas.tangent_spread_outside,
    )
)  # fmt: skip


@compiled
def raise_band(t, r, floor, mean, inverse, begin, count, part, sums):
    """Stop t where r (N, C) was stopped, in `count` pixels from `begin`; add to `sums` (2, C) t and t z."""
    channels = r.shape[1]
    part[:] = 0
    for c in range(0, channels, HALF // r.itemsize):
        at = begin * channels + c
        _raised(
            count, (t, r), (at, at), (channels, channels), (floor, mean, inverse), c, (t,), (at,), (channels,),
            (part[0], part[1]),
        )  # fmt: skip
    add_sums(part, sums)


@compiled
def pick_rows(r, top, t, picked, i, end):
    """Set the tangents of the tops of rows i to `end` of the image r (H, W, C); i is even."""
    width, channels = r.shape[1:]
    wide = top.shape[1]
    two = 2 * channels
    for row in range(i, end - 1, 2):
        a = row * width * channels
        b = a + width * channels
        out = (row // 2) * wide * channels
        for c in range(0, channels, HALF // r.itemsize):
            a0, a1, b0, b1 = a + c, a + channels + c, b + c, b + channels + c
            _picked(
                wide, (r, r, r, r, top, t, t, t, t), (a0, a1, b0, b1, out + c, a0, a1, b0, b1),
                (two, two, two, two, channels, two, two, two, two), (), c, (picked,), (out + c,), (channels,), (),
            )  # fmt: skip


@compiled
def forward(
    x, tx, moved, weight, tweight, tbias, floor, kernel, stride, pool, along, r, top, mean, inverse, t, picked, tmean,
    bend,
):  # fmt: skip
    """Set t, `picked` (t itself without pooling), mean(t) and i mean(t z), from x and, where `moved`, tx."""
    images, height, width, channels = r.shape
    first = tbias.reshape(1, 1, 1, channels)
    part, sums = np.empty((2, channels)), np.zeros((2, channels))
    center, factor = as_is(mean, r), as_is(inverse, r)
    group, band = group_of(images, along), band_of(height, width, along)
    for begin in range(0, images, group):
        stop = min(begin + group, images)
        out = t[begin:stop]
        flat, raised = out.reshape(-1, channels), r[begin:stop].reshape(-1, channels)
        for i in range(0, height, band):
            end = min(i + band, height)
            convolve(x[begin:stop], tweight, first, kernel, stride, along, out, i, end, False)
            if moved:
                convolve(tx[begin:stop], weight, out, kernel, stride, along, out, i, end, True)
            if along:
                continue
            raise_band(flat, raised, floor, center, factor, i * width, (end - i) * width, part, sums)
            if pool:
                pick_rows(r[begin], top[begin], t[begin], picked[begin], i, end)
        if along:
            raise_band(flat, raised, floor, center, factor, 0, len(flat), part, sums)
    entries = images * height * width
    for c in range(channels):
        tmean[c] = sums[0, c] / entries
        bend[c] = inverse[c] * sums[1, c] / entries


@compiled
def emit(top, picked, y, last, mean, inverse, tmean, bend, scale, tscale, tshift, ty, padding):
    """Set the inside of the images ty, the tangent of the next block's input y."""
    images, h, wide, channels = top.shape
    step = (channels, channels, channels)
    constants = (
        last, as_is(mean, top), as_is(inverse, top), as_is(tmean, top), as_is(bend, top), scale, tscale, tshift
    )  # fmt: skip
    for m in range(images):
        for i in range(h):
            at, to = row_of(top, m, i), inner_row_of(y, m, i, padding)
            for c in range(0, channels, HALF // top.itemsize):
                _emitted(
                    wide, (top, picked, y), (at + c, at + c, to + c), step, constants, c, (ty,), (to + c,), (channels,),
                    (),
                )  # fmt: skip


@compiled
def arrive(tg, g, y, padding, top, picked, last, mean, inverse, tmean, bend, sums):
    """Stop in the images tg what the last ReLU stopped in y; add to `sums` (2, K) tG and the tangent of G z."""
    images, h, wide, channels = g.shape
    step = (channels, channels, channels, channels, channels)
    part = np.empty((2, channels))
    constants = (last, as_is(mean, g), as_is(inverse, g), as_is(tmean, g), as_is(bend, g))
    for m in range(images):
        part[:] = 0
        for i in range(h):
            at, out = row_of(g, m, i), inner_row_of(y, m, i, padding)
            for c in range(0, channels, HALF // g.itemsize):
                _arrived(
                    wide, (tg, g, y, top, picked), (at + c, at + c, out + c, at + c, at + c), step, constants, c, (tg,),
                    (at + c,), (channels,), (part[0], part[1]),
                )  # fmt: skip
        add_sums(part, sums)


@compiled
def spread_rows(r, t, g, tg, top, pool, constants, i, end, d, td, row, side, part):
    """Set d and td as `loops.spread_rows` sets d; the constants are those of `formulas.tangent_spread`."""
    height, width, channels = r.shape
    wide = g.shape[1]
    one, two = channels, 2 * channels
    lanes = HALF // r.itemsize
    stored = d.shape[1] * channels
    while i < end:
        at, to = i * width * channels, row * stored + side * channels
        if not pool:
            for c in range(0, channels, lanes):
                here = at + c
                _spread(
                    width, (r, t, g, tg), (here, here, here, here), (one, one, one, one), constants, c, (d, td),
                    (to + c, to + c), (one, one), (part,),
                )  # fmt: skip
            i, row = i + 1, row + 1
            continue
        rows = min(2, height - i)
        paired = 2 * wide if rows == 2 else 0
        if rows == 2:
            low, under, window = at + width * channels, to + stored, (i // 2) * wide * channels
            for c in range(0, channels, lanes):
                a, b, e, f, v = at + c, at + one + c, low + c, low + one + c, window + c
                oa, ob, oe, of = to + c, to + one + c, under + c, under + one + c
                _spread_windows(
                    wide, (r, r, r, r, t, t, t, t, top, g, tg), (a, b, e, f, a, b, e, f, v, v, v),
                    (two, two, two, two, two, two, two, two, one, one, one), constants, c,
                    (d, d, d, d, td, td, td, td), (oa, ob, oe, of, oa, ob, oe, of),
                    (two, two, two, two, two, two, two, two), (part,),
                )  # fmt: skip
        if paired < width:
            for k in range(rows):
                seen, place = at + (k * width + paired) * channels, to + k * stored + paired * channels
                for c in range(0, channels, lanes):
                    _spread_outside(
                        width - paired, (r, t), (seen + c, seen + c), (one, one), constants, c, (d, td),
                        (place + c, place + c), (one, one), (part,),
                    )  # fmt: skip
        i, row = i + rows, row + rows


@compiled
def backward(
    x, tx, moved, below_top, below_picked, below_mean, below_inverse, below_tmean, below_bend, last, padding, below_g,
    below, below_sums, r, t, g, tg, top, pool, along, floor, mean, inverse, scale, sums, tmean, bend, tscale, tsums, d,
    td, side, kernel, stride, turned, tturned, none, weight, bias,
):  # fmt: skip
    """Set the tangents of the gradients of a block's `weight` and `bias` (K,), from G, tG and their sums (2, K).

    Where the input has moved, also set `below`, the tG of the block below; `below_sums` (2, C) get its sums.
    """
    images, height, width, channels = r.shape
    entries = images * height * width
    slope, tslope = scale * inverse, tscale * inverse - scale * inverse * bend
    means, tmeans = sums / entries, tsums / entries
    constants = (
        floor, as_is(mean, r), as_is(inverse, r), as_is(slope, r), as_is(-slope * means[0], r),
        as_is(-slope * means[1], r), as_is(tmean, r), as_is(bend, r), as_is(tslope, r),
        as_is(-tslope * means[0] - slope * tmeans[0], r), as_is(-tslope * means[1] - slope * tmeans[1], r),
    )  # fmt: skip
    part, total = np.empty(channels), np.zeros(channels)
    weight[:] = 0
    group, band = group_of(images, along), band_of(height, width, along)
    for begin in range(0, images, group):
        stop = min(begin + group, images)
        seen, tseen = x[begin:stop], tx[begin:stop]
        gradient, tgradient = d[: stop - begin], td[: stop - begin]
        for m in range(begin, stop):
            part[:] = 0
            for i in range(0, height, band):
                end = min(i + band, height)
                row = i if moved or along else 0
                spread_rows(
                    r[m], t[m], g[m], tg[m], top[m], pool, constants, i, end, d[m - begin], td[m - begin], row, side,
                    part,
                )  # fmt: skip
                if not along:
                    weigh(seen, tgradient, side, kernel, stride, False, i, end - i, row, weight)
                    if moved:
                        weigh(tseen, gradient, side, kernel, stride, False, i, end - i, row, weight)
            for c in range(channels):
                total[c] += part[c]
        if along:
            weigh(seen, tgradient, side, kernel, stride, True, 0, height, 0, weight)
            if moved:
                weigh(tseen, gradient, side, kernel, stride, True, 0, height, 0, weight)
        if moved:
            out = below[begin:stop]
            transposed(tgradient, side, turned, kernel, stride, padding, along, none, out, False)
            transposed(gradient, side, tturned, kernel, stride, padding, along, none, out, True)
            arrive(
                out, below_g[begin:stop], seen, padding, below_top[begin:stop], below_picked[begin:stop], last,
                below_mean, below_inverse, below_tmean, below_bend, below_sums,
            )  # fmt: skip
    for c in range(channels):
        bias[c] = total[c]
