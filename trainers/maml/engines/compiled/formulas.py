"""What a block does to each channel of each pixel, as formulas on vectors.

With r the convolution's output raised to `floor` (the ReLU's 0, or minus infinity where the ReLU comes last), mean m
and inverse i = (variance + eps)^(-1/2) of a channel, scale s and shift h:

    z = (r - m) i        y = s z + h raised to `last`

and for the gradient G of a loss with respect to s z + h (zero but at each window's `top` where the block pools), with
means over the N entries of a channel,

    d shift = N mean(G)   d scale = N mean(G z)   d r = s i (G - mean(G) - z mean(G z))

The tangent t of a number is its derivative along a direction of the parameters. With q = mean(z tr):

    tz = i (tr - mean(tr)) - z i q        t(s i) = ts i - s i^2 q

`slope` is s i; `still` and `along` are the weights of 1 and z in d r. A window's `top` is the r that its value comes
from: the first entry equal to it had it. What isn't a number stays so.
"""

from trainers.maml.engines.compiled.vectors import Code, Flags, Vector

Found = tuple[list[Vector], list[Vector]]
"""What is written for a pixel, and what is added to the channel's sums."""


def raised(code: Code, x: Vector, floor: Vector, rough: Vector) -> Found:
    """Write r; add its distance to a rough mean, and the square of that."""
    r = (x <= floor).choose(floor, x)
    return [r], [r - rough, (r - rough) * (r - rough)]


def picked(code: Code, a: Vector, b: Vector, c: Vector, d: Vector, sign: Vector) -> Found:
    """Write the top of a window (a, b; c, d): the largest, the smallest or the first, by the sign of the scale."""
    top = a
    for other in (b, c, d):
        top = (sign * other > sign * top).choose(other, top)
    return [top], []


def emitted(code: Code, top: Vector, mean: Vector, slope: Vector, shift: Vector, last: Vector) -> Found:
    """Write y."""
    y = (top - mean) * slope + shift
    return [(y <= last).choose(last, y)], []


def arrived(code: Code, g: Vector, y: Vector, top: Vector, last: Vector, mean: Vector, inverse: Vector) -> Found:
    """Write G, which is g where the last ReLU let y pass; add G and G z."""
    g = (y <= last).choose(code.zero(), g)
    return [g], [g, g * ((top - mean) * inverse)]


def spread(
    code: Code, r: Vector, g: Vector, floor: Vector, mean: Vector, inverse: Vector, slope: Vector, still: Vector,
    along: Vector,
) -> Found:  # fmt: skip
    """Write the gradient of the convolution's output, and add it."""
    d = _passed(code, r, slope * g + (still + along * ((r - mean) * inverse)), floor)
    return [d], [d]


def spread_windows(
    code: Code, a: Vector, b: Vector, c: Vector, d: Vector, top: Vector, g: Vector, *fixed: Vector
) -> Found:  # fmt: skip
    """Do as `spread` for the four entries of a window; G is at its top."""
    entries = (a, b, c, d)
    found = [
        spread(code, r, flag.choose(g, code.zero()), *fixed)[0][0]
        for r, flag in zip(entries, _firsts(entries, top), strict=True)
    ]
    return found, [found[0] + found[1] + (found[2] + found[3])]


def spread_outside(code: Code, r: Vector, *fixed: Vector) -> Found:
    """Do as `spread` for an entry that is in no window."""
    return spread(code, r, code.zero(), *fixed)


def tangent_raised(code: Code, t: Vector, r: Vector, floor: Vector, mean: Vector, inverse: Vector) -> Found:
    """Write tr from the tangent of the convolution's output; add it, and it times z."""
    t = _passed(code, r, t, floor)
    return [t], [t, t * ((r - mean) * inverse)]


def tangent_picked(
    code: Code, a: Vector, b: Vector, c: Vector, d: Vector, top: Vector, ta: Vector, tb: Vector, tc: Vector, td: Vector
) -> Found:
    """Write the tangent of a window's top."""
    found = code.zero()
    for t, flag in zip((ta, tb, tc, td), _firsts((a, b, c, d), top), strict=True):
        found = flag.choose(t, found)
    return [found], []


def tangent_emitted(
    code: Code, top: Vector, ttop: Vector, y: Vector, last: Vector, mean: Vector, inverse: Vector, tmean: Vector,
    bend: Vector, scale: Vector, tscale: Vector, tshift: Vector,
) -> Found:  # fmt: skip
    """Write ty. `bend` is i q."""
    z, tz = _normal(top, ttop, mean, inverse, tmean, bend)
    return [(y <= last).choose(code.zero(), tscale * z + (scale * tz + tshift))], []


def tangent_arrived(
    code: Code, tg: Vector, g: Vector, y: Vector, top: Vector, ttop: Vector, last: Vector, mean: Vector,
    inverse: Vector, tmean: Vector, bend: Vector,
) -> Found:  # fmt: skip
    """Write tG; add it, and the tangent of G z."""
    z, tz = _normal(top, ttop, mean, inverse, tmean, bend)
    tg = (y <= last).choose(code.zero(), tg)
    return [tg], [tg, tg * z + g * tz]


def tangent_spread(
    code: Code, r: Vector, tr: Vector, g: Vector, tg: Vector, floor: Vector, mean: Vector, inverse: Vector,
    slope: Vector, still: Vector, along: Vector, tmean: Vector, bend: Vector, tslope: Vector, tstill: Vector,
    talong: Vector,
) -> Found:  # fmt: skip
    """Write the gradient of the convolution's output and its tangent, and add the tangent."""
    z, tz = _normal(r, tr, mean, inverse, tmean, bend)
    d = slope * g + (still + along * z)
    t = (tslope * g + (tstill + talong * z)) + (slope * tg + along * tz)
    t = _passed(code, r, t, floor)
    return [_passed(code, r, d, floor), t], [t]


def tangent_spread_windows(
    code: Code, a: Vector, b: Vector, c: Vector, d: Vector, ta: Vector, tb: Vector, tc: Vector, td: Vector,
    top: Vector, g: Vector, tg: Vector, *fixed: Vector,
) -> Found:  # fmt: skip
    """Do as `tangent_spread` for the four entries of a window."""
    gradients, tangents = [], []
    for r, tr, flag in zip((a, b, c, d), (ta, tb, tc, td), _firsts((a, b, c, d), top), strict=True):
        own = (flag.choose(g, code.zero()), flag.choose(tg, code.zero()))
        (gradient, tangent), _ = tangent_spread(code, r, tr, *own, *fixed)
        gradients.append(gradient)
        tangents.append(tangent)
    return [*gradients, *tangents], [tangents[0] + tangents[1] + (tangents[2] + tangents[3])]


def tangent_spread_outside(code: Code, r: Vector, tr: Vector, *fixed: Vector) -> Found:
    """Do as `tangent_spread` for an entry that is in no window."""
    return tangent_spread(code, r, tr, code.zero(), code.zero(), *fixed)


def _passed(code: Code, r: Vector, value: Vector, floor: Vector) -> Vector:
    return (r <= floor).choose(code.zero(), value)


def _normal(
    r: Vector, tr: Vector, mean: Vector, inverse: Vector, tmean: Vector, bend: Vector
) -> tuple[Vector, Vector]:  # fmt: skip
    """Return z and tz."""
    z = (r - mean) * inverse
    return z, (tr - tmean) * inverse - z * bend


def _firsts(entries: tuple[Vector, ...], top: Vector) -> list[Flags]:
    """Return which entry of a window is the first that equals its top."""
    flags: list[Flags] = []
    earlier: Flags | None = None
    for entry in entries:
        here = entry.equals(top)
        flags.append(here if earlier is None else here & ~earlier)
        earlier = here if earlier is None else earlier | here
    return flags
