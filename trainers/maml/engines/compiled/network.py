"""Conv-4 as whole passes: features, the gradient of a loss of them, and the derivative of that along a direction.

All parameters of a network lie in one flat array, in the layout that the loops read (`Layout`). Channels are filled up
with zeros to whole vectors; a channel of zeros with scale zero stays zero and gets no gradient. Not here: episodes,
inner loops, the head's loss.
"""

import itertools
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from trainers.data.facts import facts_of
from trainers.maml.config import TrialConfig
from trainers.maml.engines.compiled import loops, products, tangents
from trainers.maml.engines.compiled.products import WIDTH, Array
from trainers.maml.layout import BLOCKS
from trainers.maml.networks import Params

SHORT = 6
"""Rows of fewer pixels are treated with those of all other images."""


class Shape(NamedTuple):
    """One block. `size` is that of its input with padding, (height, width) that of its convolution's output.

    (h, wide) is what pooling leaves of it. `inputs` and `channels` are filled up.
    """

    kernel: int
    stride: int
    padding: int
    pool: bool
    size: int
    inputs: int
    channels: int
    height: int
    width: int
    h: int
    wide: int

    @property
    def along(self) -> bool:
        """Whether runs of pixels go along the images; windows that pool need one image at a time."""
        return self.width < SHORT and not self.pool

    def group(self, images: int) -> int:
        """Return how many of `images` are taken together."""
        return int(loops.group_of(images, self.along))

    @property
    def side(self) -> int:
        """Empty columns left and right of the gradient that the transposed convolution reads."""
        return (self.kernel - 1) // self.stride


class Block(NamedTuple):
    """Views of one block's parameters in a flat array: weight (K / lanes, kernel * kernel * C, lanes), then (K,)."""

    weight: Array
    bias: Array
    scale: Array
    shift: Array


class Views(NamedTuple):
    """Views of a flat array: the blocks, and the head's weight (N, D) and bias (N,)."""

    blocks: tuple[Block, ...]
    weight: Array
    bias: Array


class Layout:
    """Where each parameter of `config` lies in a flat array of numbers of `dtype`."""

    def __init__(self, config: TrialConfig) -> None:
        self.dtype = np.dtype(config.dtype)
        self._config = config
        lanes = WIDTH // self.dtype.itemsize
        self.channels = -(-config.channels // lanes) * lanes
        inputs, size, _ = facts_of(config.dataset).image_shape
        self.shapes: list[Shape] = []
        for kernel, stride, padding, pool in BLOCKS[config.network]:
            entry = size + 2 * padding
            size = (entry - kernel) // stride + 1
            after = size // 2 if pool else size
            self.shapes.append(
                Shape(kernel, stride, padding, pool, entry, inputs, self.channels, size, size, after, after)
            )
            inputs, size = self.channels, after
        self.features = size * size * self.channels
        self._sizes: list[tuple[int, ...]] = []
        for shape in self.shapes:
            weight = (self.channels // lanes, shape.kernel**2 * shape.inputs, lanes)
            self._sizes += [weight, *[(self.channels,)] * 3]
        self._sizes += [(config.ways, self.features), (config.ways,)]
        ends = [0, *np.cumsum([np.prod(size) for size in self._sizes]).tolist()]
        self._places = [slice(begin, end) for begin, end in itertools.pairwise(ends)]
        self.size = ends[-1]

    def views(self, flat: Array) -> Views:
        """Return the parameters in `flat`."""
        parts = [flat[place].reshape(size) for place, size in zip(self._places, self._sizes, strict=True)]
        blocks = tuple(Block(*parts[4 * n : 4 * n + 4]) for n in range(len(self.shapes)))
        return Views(blocks, parts[-2], parts[-1])

    def flat_of(self, params: Params) -> Array:
        """Return one run's parameters as a flat array."""
        flat = np.zeros(self.size, self.dtype)
        for ours, theirs in self._pairs(self.views(flat), params):
            ours[...] = theirs.numpy()
        return flat

    def params_of(self, flat: Array, like: Params) -> Params:
        """Return the parameters in `flat` under the names and in the shapes of `like`."""
        found = {name: torch.empty_like(value) for name, value in like.items()}
        for ours, theirs in self._pairs(self.views(flat), found):
            theirs.copy_(torch.from_numpy(ours.copy()))
        return found

    def _pairs(self, views: Views, params: Params) -> list[tuple[Array, Tensor]]:
        """Return each parameter as a view of the flat array, without what fills up, and of `params`, in one order."""
        own, pairs = self._config.channels, []
        for n, (block, shape) in enumerate(zip(views.blocks, self.shapes, strict=True), start=1):
            inputs = own if n > 1 else shape.inputs
            wide = block.weight.reshape(len(block.weight), shape.kernel, shape.kernel, shape.inputs, -1)
            lanes, theirs = wide.shape[-1], params[f"conv{n}.weight"].permute(2, 3, 1, 0)
            for v, vector in enumerate(wide):
                part = theirs[..., v * lanes : (v + 1) * lanes]
                pairs.append((vector[:, :, :inputs, : part.shape[-1]], part))
            pairs += [
                (block.bias[:own], params[f"conv{n}.bias"]),
                (block.scale[:own], params[f"norm{n}.weight"]),
                (block.shift[:own], params[f"norm{n}.bias"]),
            ]
        last = self.shapes[-1]
        weight = views.weight.reshape(-1, last.h, last.wide, self.channels)[..., :own]
        theirs = params["head.weight"].view(-1, own, last.h, last.wide).permute(0, 2, 3, 1)
        pairs.append((weight, theirs))
        if "head.bias" in params:
            pairs.append((views.bias, params["head.bias"]))
        return pairs


class Passed:
    """The arrays of a pass over `images` images, a list entry each block.

    `x` are the inputs with padding, the last one the features. Only if `whole` are the others kept for all images. `r`
    and `top` are those of `formulas`, `g` the G at the tops. `sums` are in float64.
    """

    def __init__(self, layout: Layout, images: int, *, whole: bool) -> None:
        shapes, channels = layout.shapes, layout.channels

        def empty(*shape: int) -> Array:
            return np.zeros(shape, layout.dtype)

        self.x: list[Array] = []
        self.r, self.top, self.g = [], [], []
        for shape in shapes:
            self.x.append(empty(images if whole else shape.group(images), shape.size, shape.size, shape.inputs))
            self.r.append(empty(images, shape.height, shape.width, channels))
            self.top.append(empty(images, shape.h, shape.wide, channels) if shape.pool else self.r[-1])
            self.g.append(empty(images, shape.h, shape.wide, channels))
        self.x.append(empty(images, shapes[-1].h, shapes[-1].wide, channels))
        self.sums = np.zeros((len(shapes), 2, channels))

    @property
    def features(self) -> Array:
        """The features (B, D)."""
        return self.x[-1].reshape(len(self.x[-1]), -1)

    @property
    def g_features(self) -> Array:
        """The gradient of a loss of the features (B, D): what a backward pass begins with."""
        return self.g[-1].reshape(len(self.g[-1]), -1)


class Kept(Passed):
    """What a forward and a backward pass leave for later ones; the statistics are in float64.

    The tangents need the inputs of all images, so `whole`. `reference` images have made the statistics.
    """

    def __init__(self, layout: Layout, images: int, *, whole: bool) -> None:
        super().__init__(layout, images, whole=whole)
        self.whole, self.reference = whole, images
        self.mean, self.inverse = np.zeros((2, len(layout.shapes), layout.channels))


class Tangent(Passed):
    """The tangents of a `Kept` along one direction. `mean` and `bend` are those of `formulas`, in float64."""

    def __init__(self, layout: Layout, images: int) -> None:
        super().__init__(layout, images, whole=True)
        self.x[0] = np.zeros((1, 1, 1, layout.shapes[0].inputs), layout.dtype)  # images don't move
        self.mean, self.bend = np.zeros((2, len(layout.shapes), layout.channels))


class Network:
    """Passes of Conv-4 with one set of working arrays; one thread."""

    def __init__(self, config: TrialConfig) -> None:
        self.layout = Layout(config)
        channels, dtype = self.layout.channels, self.layout.dtype
        raised_first = config.net_order == "relu_bn"
        self._floor = np.full(channels, 0.0 if raised_first else -np.inf, dtype)
        self._last = np.full(channels, -np.inf if raised_first else 0.0, dtype)
        self._eps = config.bn_eps
        self._none = np.zeros((1, 1, 1, channels), dtype)
        self._turned = [self._like_turned(shape) for shape in self.layout.shapes[1:]]
        self._tturned = [np.zeros_like(turned) for turned in self._turned]
        self._spare: dict[Any, Array] = {}
        self._tangents: dict[int, Tangent] = {}

    def _like_turned(self, shape: Shape) -> Array:
        lanes = WIDTH // self.layout.dtype.itemsize
        return np.zeros((shape.inputs // lanes, shape.kernel**2 * shape.channels, lanes), self.layout.dtype)

    def _working(self, name: Any, shape: tuple[int, ...]) -> Array:
        """Return an array of zeros in which a pass may leave anything where it has written before."""
        key = (name, shape)
        if key not in self._spare:
            self._spare[key] = np.zeros(shape, self.layout.dtype)
        return self._spare[key]

    def _gradient_rows(self, name: str, n: int, images: int) -> tuple[Array, int]:
        """Return an array for the gradient of block n's convolution, of a group of images, and its empty columns."""
        shape = self.layout.shapes[n]
        side = shape.side if n else 0
        return self._working(
            (name, n), (shape.group(images), shape.height, shape.width + 2 * side, shape.channels)
        ), side

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """The shape of an image with its padding, (H, W, C)."""
        first = self.layout.shapes[0]
        return first.size, first.size, first.inputs

    def padded(self, images: Tensor) -> Array:
        """Return `images` (..., C, H, W) as the first block reads them, (..., H, W, C) with its padding."""
        pad = self.layout.shapes[0].padding
        inside = images.movedim(-3, -1).numpy()
        edges = [(0, 0)] * (inside.ndim - 3) + [(pad, pad), (pad, pad), (0, 0)]
        return np.ascontiguousarray(np.pad(inside, edges))

    def forward(self, views: Views, images: Array, kept: Kept, reference: int | None = None) -> None:
        """Set `kept`; the statistics are those of the first `reference` images, by default of all."""
        kept.x[0] = images
        kept.reference = len(images) if reference is None else reference
        for n, (shape, own) in enumerate(zip(self.layout.shapes, views.blocks, strict=True)):
            loops.forward(
                kept.x[n], n == 0 or kept.whole, n > 0, *self._entry(views, kept, n), shape.padding, own.weight,
                own.bias, own.scale, self._floor, shape.kernel, shape.stride, shape.pool, shape.along, kept.reference,
                self._eps, kept.r[n], kept.top[n], kept.mean[n], kept.inverse[n],
            )  # fmt: skip
        loops.emit(*self._entry(views, kept, len(self.layout.shapes)), kept.x[-1], 0)

    def _entry(self, views: Views, kept: Kept, n: int) -> tuple[Array, ...]:
        """Return what the input of block n is made of; of the first block that is not looked at."""
        below = max(n - 1, 0)
        block = views.blocks[below]
        return kept.top[below], kept.mean[below], kept.inverse[below], block.scale, block.shift, self._last

    def backward(self, views: Views, kept: Kept, found: Views) -> None:
        """Set the blocks of `found` to the gradient of the loss whose gradient by the features is `kept.g_features`."""
        shapes = self.layout.shapes
        images, top = len(kept.g[-1]), len(shapes) - 1
        kept.sums[:] = 0
        mean, inverse = (values[top].astype(self._floor.dtype) for values in (kept.mean, kept.inverse))
        loops.arrive(kept.g[top], kept.x[-1], 0, kept.top[top], self._last, mean, inverse, kept.sums[top])
        for n in range(top, -1, -1):
            shape, own, out = shapes[n], views.blocks[n], found.blocks[n]
            d, side = self._gradient_rows("d", n, images)
            below = max(n - 1, 0)
            turned = self._turned[below]
            if n:
                products.turn(own.weight, shape.kernel, shape.stride, shape.inputs, turned)
            loops.backward(
                kept.x[n], n == 0 or kept.whole, n > 0, *self._entry(views, kept, n), shape.padding, kept.g[below],
                kept.sums[below], kept.r[n], kept.g[n], kept.top[n], shape.pool, shape.along, self._floor, kept.mean[n],
                kept.inverse[n], own.scale, kept.sums[n], kept.reference, d, side, shape.kernel, shape.stride, turned,
                self._none, out.weight, out.bias,
            )  # fmt: skip
            out.shift[:], out.scale[:] = kept.sums[n]

    def tangent_forward(self, views: Views, moved: Views, kept: Kept) -> Tangent:
        """Return the tangents of all that a forward pass over `kept` set, along `moved`."""
        t = self._tangent(len(kept.g[-1]))
        paddings = [*(shape.padding for shape in self.layout.shapes[1:]), 0]
        for n, (shape, own, way) in enumerate(zip(self.layout.shapes, views.blocks, moved.blocks, strict=True)):
            tangents.forward(
                kept.x[n], t.x[n], n > 0, own.weight, way.weight, way.bias, self._floor, shape.kernel, shape.stride,
                shape.pool, shape.along, kept.r[n], kept.top[n], kept.mean[n], kept.inverse[n], t.r[n], t.top[n],
                t.mean[n], t.bend[n],
            )  # fmt: skip
            tangents.emit(
                kept.top[n], t.top[n], kept.x[n + 1], self._last, kept.mean[n], kept.inverse[n], t.mean[n], t.bend[n],
                own.scale, way.scale, way.shift, t.x[n + 1], paddings[n],
            )  # fmt: skip
        return t

    def tangent_backward(self, views: Views, moved: Views, kept: Kept, t: Tangent, found: Views) -> None:
        """Set the blocks of `found` to the tangent of what `backward` set, from that of its beginning, in `t`."""
        shapes = self.layout.shapes
        images, top = len(kept.g[-1]), len(shapes) - 1
        t.sums[:] = 0
        tangents.arrive(
            t.g[top], kept.g[top], kept.x[-1], 0, kept.top[top], t.top[top], self._last, kept.mean[top],
            kept.inverse[top], t.mean[top], t.bend[top], t.sums[top],
        )  # fmt: skip
        for n in range(top, -1, -1):
            shape, own, way, out = shapes[n], views.blocks[n], moved.blocks[n], found.blocks[n]
            d, side = self._gradient_rows("d", n, images)
            td, _ = self._gradient_rows("td", n, images)
            below = max(n - 1, 0)
            turned, tturned = self._turned[below], self._tturned[below]
            if n:
                products.turn(own.weight, shape.kernel, shape.stride, shape.inputs, turned)
                products.turn(way.weight, shape.kernel, shape.stride, shape.inputs, tturned)
            tangents.backward(
                kept.x[n], t.x[n], n > 0, kept.top[below], t.top[below], kept.mean[below], kept.inverse[below],
                t.mean[below], t.bend[below], self._last, shape.padding, kept.g[below], t.g[below], t.sums[below],
                kept.r[n], t.r[n], kept.g[n], t.g[n], kept.top[n], shape.pool, shape.along, self._floor, kept.mean[n],
                kept.inverse[n], own.scale, kept.sums[n], t.mean[n], t.bend[n], way.scale, t.sums[n], d, td, side,
                shape.kernel, shape.stride, turned, tturned, self._none, out.weight, out.bias,
            )  # fmt: skip
            out.shift[:], out.scale[:] = t.sums[n]

    def _tangent(self, images: int) -> Tangent:
        if images not in self._tangents:
            self._tangents[images] = Tangent(self.layout, images)
        return self._tangents[images]
