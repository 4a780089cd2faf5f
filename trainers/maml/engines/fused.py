"""One block of Conv-4 as one autograd function, whose derivative can be differentiated once more.

Images are (B, H, W, C) inside. `convolutions` computes what is linear in them, `kernels` the rest. Float32 or float64
on a CPU, one thread.

With r the convolution's output raised to the ReLU's floor, z = (r - mean) * inverse, G the gradient at
scale * z + shift, means over the n entries of a channel, and P(y) = y - mean(y) - z * mean(y z), the derivative is

    d r     = scale * inverse * P(G)
    d scale = n * mean(G z),  d shift = n * mean(G)

and the gradient of that for cotangents u of d r, v of d scale and w of d shift is

    d G     = scale * inverse * P(u) + v * z + w
    d r     = inverse * P(v * G - scale * inverse * (mean(G z) * u + mean(u z) * G)) - scale * inverse**2 * q * z
    d scale = n * inverse * q,  q = mean(u G) - mean(u) * mean(G) - mean(u z) * mean(G z)
"""

import math
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from trainers.maml.config import TrialConfig
from trainers.maml.engines import kernels
from trainers.maml.engines.convolutions import Convolution, convolution_of
from trainers.maml.engines.kernels import Array
from trainers.maml.layout import BLOCKS
from trainers.maml.networks import Params


class _Form(NamedTuple):
    """A block. `before` and `after` the normalisation is a floor: 0 for a ReLU, minus infinity for none."""

    convolution: Convolution
    pool: bool
    before: float
    after: float
    eps: float


class _Seen(NamedTuple):
    """What a forward pass keeps: operand and kernel of the convolution; its output `conv`, the windows' `top`, and the
    block's output `y`, all (B, H, W, C); and the statistics (C,), in float64 and in the dtype of the images.
    """

    operand: Tensor
    kernel: Tensor
    conv: Array
    top: Array
    y: Array
    inverse: Array
    statistics: tuple[Array, Array]

    @property
    def entries(self) -> int:
        """The number of entries of each channel."""
        return self.conv[..., 0].size


def encode_fused(config: TrialConfig, params: Params, images: Tensor) -> Tensor:
    """Return the features (B, D) of `images` (B, C, H, W), normalised as one batch: `networks.encode`, faster."""
    floors = (0.0, -math.inf) if config.net_order == "relu_bn" else (-math.inf, 0.0)
    x = images.permute(0, 2, 3, 1).contiguous()
    for n, block in enumerate(BLOCKS[config.network], start=1):
        own = (params[f"conv{n}.weight"], params[f"conv{n}.bias"], params[f"norm{n}.weight"], params[f"norm{n}.bias"])
        x = _Block.apply(x, *own, _Form(convolution_of(block), block.pool, *floors, config.bn_eps))
    return x.permute(0, 3, 1, 2).flatten(1)


class _Block(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, scale: Tensor, shift: Tensor, form: _Form) -> Tensor:
        operand, kernel = form.convolution.operand(x), form.convolution.kernel(weight)
        conv = form.convolution.apply(operand, kernel, bias).numpy()
        mean, inverse = np.empty(conv.shape[3]), np.empty(conv.shape[3])
        kernels.moments(_flat(conv), form.before, form.eps, mean, inverse)
        statistics = mean.astype(conv.dtype), inverse.astype(conv.dtype)
        rest = (statistics[0], (_wide(scale) * inverse).astype(conv.dtype), _array(shift), form.before, form.after)
        if form.pool:
            images, height, width, channels = conv.shape
            y = np.empty((images, height // 2, width // 2, channels), conv.dtype)
            top = np.empty_like(y)
            kernels.emit_pooled(conv, *rest, y, top)
        else:
            y, top = np.empty_like(conv), conv
            kernels.emit(_flat(conv), *rest, _flat(y))
        ctx.save_for_backward(x, weight, bias, scale)
        ctx.form, ctx.seen = form, _Seen(operand, kernel, conv, top, y, inverse, statistics)
        return torch.from_numpy(y)

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        return (*_BlockGradient.apply(dy, *ctx.saved_tensors, ctx.seen, ctx.form, ctx.needs_input_grad[0]), None)


class _BlockGradient(Function):
    """(gradient of the block's output) -> gradients of its images, weight, bias, scale and shift.

    The bias is an input only because the next derivative needs it.
    """

    @staticmethod
    def forward(
        ctx: Any, dy: Tensor, x: Tensor, weight: Tensor, bias: Tensor, scale: Tensor, *rest: Any
    ) -> tuple[Tensor | None, ...]:
        seen, form, of_images = rest
        gradient = _arrived(dy.contiguous().numpy(), seen, form)
        means = np.empty((2, len(seen.inverse)))
        kernels.passed(_flat(gradient), _flat(seen.top), *seen.statistics, form.before, seen.entries, means)
        slope = _wide(scale) * seen.inverse
        dconv, dbias = _spread(
            seen.conv, gradient, seen, [slope, 0 * slope, -slope * means[0], -slope * means[1]], form
        )
        dx = form.convolution.to_images(dconv, seen.kernel, x.shape) if of_images else None
        dweight = form.convolution.to_weight(dconv, seen.operand, seen.kernel)
        ctx.save_for_backward(x, scale)
        ctx.rest, ctx.gradient, ctx.means, ctx.dconv = rest, gradient, means, dconv
        return dx, dweight, dbias, _as(means[1] * seen.entries, scale), _as(means[0] * seen.entries, scale)

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, dx: Tensor | None, dweight: Tensor, dbias: Tensor, dscale: Tensor, dshift: Tensor
    ) -> tuple[Tensor | None, ...]:
        x, scale = ctx.saved_tensors
        seen, form, of_images = ctx.rest
        convolution, means, dconv = form.convolution, ctx.means, ctx.dconv
        dkernel = convolution.kernel(dweight.contiguous())
        u = convolution.apply(seen.operand, dkernel, dbias)
        if of_images:
            assert dx is not None
            convolved = convolution.operand(dx.contiguous())
            u += convolution.apply(convolved, seen.kernel, None)
        cotangent, at_top, of_u, of_ug = _reached(u, ctx.gradient, seen, form)
        v, w, slope = _wide(dscale), _wide(dshift), _wide(scale) * seen.inverse
        q = of_ug - of_u[0] * means[0] - of_u[1] * means[1]
        of_gradient, of_cotangent = v - slope * of_u[1], -slope * means[1]  # the weights of G and u inside P
        alone = of_gradient * means[0] + of_cotangent * of_u[0]
        along = of_gradient * means[1] + of_cotangent * of_u[1]
        inside = np.stack([of_gradient, of_cotangent, -alone, -along - slope * q]) * seen.inverse
        again, of_bias = _spread(cotangent, ctx.gradient, seen, inside, form)
        upward = np.empty_like(seen.top)
        upwards = np.stack([slope, w - slope * of_u[0], of_gradient]).astype(upward.dtype)
        kernels.weighed(_flat(at_top), _flat(seen.top), *seen.statistics, upwards, form.before, _flat(upward))
        of_weight = convolution.to_weight(again, seen.operand, seen.kernel)
        of_x = None
        if of_images:
            of_weight += convolution.to_weight(dconv, convolved, seen.kernel)
            of_x = convolution.to_images(again, seen.kernel, x.shape)
            of_x += convolution.to_images(dconv, dkernel, x.shape)
        of_dy = torch.from_numpy(_arrived(upward, seen, form))
        return of_dy, of_x, of_weight, of_bias, _as(seen.entries * seen.inverse * q, scale), None, None, None


def _arrived(dy: Array, seen: _Seen, form: _Form) -> Array:
    """Return dy where the last ReLU passes it, else 0."""
    if form.after == -math.inf:
        return dy
    out = np.empty_like(dy)
    kernels.arrived(_flat(dy), _flat(seen.y), form.after, _flat(out))
    return out


def _spread(u: Array, gradient: Array, seen: _Seen, weights: Any, form: _Form) -> tuple[Tensor, Tensor]:
    """Return a G + b u + c + d z for each entry that passed the first ReLU, and its sum over each channel."""
    out, total = np.empty_like(seen.conv), np.zeros(len(seen.inverse))
    rest = (*seen.statistics, np.asarray(weights, out.dtype), form.before)
    if form.pool:
        kernels.spread_pooled(seen.conv, u, gradient, seen.top, *rest, out, total)
    else:
        kernels.spread(_flat(seen.conv), _flat(u), _flat(gradient), *rest, _flat(out), total)
    return torch.from_numpy(out), torch.from_numpy(total.astype(out.dtype))


def _reached(u: Tensor, gradient: Array, seen: _Seen, form: _Form) -> tuple[Array, Array, Array, Array]:
    """Return u where the first ReLU passes it, the same at the windows' tops, and means.

    The means are those of u and of u z, (2, C), and that of u G (C,).
    """
    passing, means = np.empty_like(seen.conv), np.empty((2, len(seen.inverse)))
    kernels.gathered(_flat(u.numpy()), _flat(seen.conv), *seen.statistics, form.before, means, _flat(passing))
    at_top = passing
    if form.pool:
        at_top = np.empty_like(seen.top)
        kernels.picked(passing, seen.conv, seen.top, form.before, at_top)
    of_gradient = np.empty(len(seen.inverse))
    kernels.product(_flat(at_top), _flat(gradient), seen.entries, of_gradient)
    return passing, at_top, means, of_gradient


def _flat(x: Array) -> Array:
    return x.reshape(-1, x.shape[-1])


def _array(x: Tensor) -> Array:
    return x.detach().numpy()


def _wide(x: Tensor) -> Array:
    return _array(x).astype(np.float64)


def _as(values: Array, like: Tensor) -> Tensor:
    return torch.from_numpy(values).to(like.dtype)
