"""The three loops of this engine over registers full of numbers, for numba's code to call.

`pixel_tile` and `input_tile` multiply: their sums stay in registers for the whole of both loops. `formula_tile` does
one formula for each channel of a run of pixels. Offsets and steps count numbers from the start of a flat array. Counts
are at least 1. `width` bytes of channels lie side by side.
"""

from collections.abc import Callable
from typing import Any

from numba import types
from numba.extending import intrinsic

from trainers.maml.engines.compiled.vectors import INDEX, Code, Vector

Tile = Callable[..., None]


def pixel_tile(width: int, pixels: int) -> Tile:
    """Return tile(x, xo, xr, xs, w, wo, wr, ws, rows, n, first, fo, fs, out, oo, os), which sets

    out[oo + p os + l] = first[fo + p fs + l] + sum over r < rows, u < n of x[xo + r xr + p xs + u] * w[wo + r wr + u ws
    + l]

    for p < `pixels` and l < lanes, as many as fit into `width`.
    """

    @intrinsic
    def tile(typing, x, xo, xr, xs, w, wo, wr, ws, rows, n, first, fo, fs, out, oo, os):
        i = types.int64
        signature = types.void(x, i, i, i, w, i, i, i, i, i, first, i, i, out, i, i)

        def build(context: Any, b: Any, sig: Any, args: Any) -> Any:
            x, xo, xr, xs, w, wo, wr, ws, rows, n, first, fo, fs, out, oo, os = args
            code = Code(context, b, sig.args[0].dtype, width)
            x, w = code.at(sig.args[0], x, xo), code.at(sig.args[4], w, wo)
            first, out = code.at(sig.args[10], first, fo), code.at(sig.args[13], out, oo)
            aside = [b.mul(xs, INDEX(p)) for p in range(pixels)]
            begun = [code.load(b.gep(first, [b.mul(fs, INDEX(p))])) for p in range(pixels)]

            def add(sums: list[Vector], x: Any, w: Any) -> list[Vector]:
                vector = code.load(w)
                return [
                    code.product_plus(code.spread(b.gep(x, [aside[p]])), vector, total) for p, total in enumerate(sums)
                ]

            def row(sums: list[Vector], x: Any, w: Any) -> list[Vector]:
                return code.loop(n, (x, w), (INDEX(1), ws), sums, add)

            for p, total in enumerate(code.loop(rows, (x, w), (xr, wr), begun, row)):
                code.store(total, b.gep(out, [b.mul(os, INDEX(p))]))
            return context.get_dummy_value()

        return signature, build

    return tile


def input_tile(width: int, inputs: int) -> Tile:
    """Return tile(x, xo, xr, xs, d, do, dr, ds, rows, n, out, oo, os), which adds

    sum over r < rows, j < n of x[xo + r xr + j xs + u] * d[do + r dr + j ds + l] to out[oo + u os + l]

    for u < `inputs` and l < lanes, as many as fit into `width`.
    """

    @intrinsic
    def tile(typing, x, xo, xr, xs, d, do, dr, ds, rows, n, out, oo, os):
        i = types.int64
        signature = types.void(x, i, i, i, d, i, i, i, i, i, out, i, i)

        def build(context: Any, b: Any, sig: Any, args: Any) -> Any:
            x, xo, xr, xs, d, do, dr, ds, rows, n, out, oo, os = args
            code = Code(context, b, sig.args[0].dtype, width)
            x, d, out = code.at(sig.args[0], x, xo), code.at(sig.args[4], d, do), code.at(sig.args[10], out, oo)
            places = [b.gep(out, [b.mul(os, INDEX(u))]) for u in range(inputs)]

            def add(sums: list[Vector], x: Any, d: Any) -> list[Vector]:
                vector = code.load(d)
                return [
                    code.product_plus(code.spread(b.gep(x, [INDEX(u)])), vector, total) for u, total in enumerate(sums)
                ]

            def row(sums: list[Vector], x: Any, d: Any) -> list[Vector]:
                return code.loop(n, (x, d), (xs, ds), sums, add)

            for total, place in zip(
                code.loop(rows, (x, d), (xr, dr), [code.load(place) for place in places], row), places, strict=True
            ):
                code.store(total, place)
            return context.get_dummy_value()

        return signature, build

    return tile


def formula_tile(width: int, formula: Callable[..., tuple[list[Vector], list[Vector]]]) -> Tile:
    """Return tile(n, reads, at, steps, constants, begin, writes, to, strides, sums).

    For each of n pixels, (written, added) = formula(*vectors read, *constants). Vector k is read from reads[k] at
    at[k], and steps[k] further at each pixel. The vectors written go to writes[k] at to[k] by strides[k] likewise; that
    may be where something was read for the same pixel. `added` is added to `sums`, in float64. Constants and sums are
    arrays by channel, of which `begin` is the first. All but `n` and `begin` are tuples.
    """

    @intrinsic
    def tile(typing, n, reads, at, steps, constants, begin, writes, to, strides, sums):
        i = types.int64
        signature = types.void(i, reads, at, steps, constants, i, writes, to, strides, sums)

        def build(context: Any, b: Any, sig: Any, args: Any) -> Any:
            n, reads, at, steps, constants, begin, writes, to, strides, sums = args
            kinds = sig.args
            code = Code(context, b, kinds[1][0].dtype, width)

            def parts(nest: Any, kind: Any) -> list[Any]:
                return [b.extract_value(nest, k) for k in range(len(kind))]

            def pointers(nest: Any, kind: Any, offsets: list[Any]) -> list[Any]:
                return [code.at(kind[k], array, offsets[k]) for k, array in enumerate(parts(nest, kind))]

            read = pointers(reads, kinds[1], parts(at, kinds[2]))
            written = pointers(writes, kinds[6], parts(to, kinds[7]))
            fixed = [code.load(p) for p in pointers(constants, kinds[4], [begin] * len(kinds[4]))]
            wide = code.in_float64()
            totals = [wide.at(kinds[9][k], array, begin) for k, array in enumerate(parts(sums, kinds[9]))]

            def pixel(sums: list[Vector], *here: Any) -> list[Vector]:
                values, added = formula(code, *(code.load(p) for p in here[: len(read)]), *fixed)
                for value, place in zip(values, here[len(read) :], strict=True):
                    code.store(value, place)
                return [total + wide.extended(more) for total, more in zip(sums, added, strict=True)]

            moves = parts(steps, kinds[3]) + parts(strides, kinds[8])
            found = wide.loop(n, read + written, moves, [wide.load(p) for p in totals], pixel)
            for total, place in zip(found, totals, strict=True):
                wide.store(total, place)
            return context.get_dummy_value()

        return signature, build

    return tile
