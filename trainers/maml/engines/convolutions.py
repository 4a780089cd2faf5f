"""The convolution of a block and its transposes, on arrays (B, H, W, C), in the form that was measured as fastest.

`Direct` uses torch's convolutions. `Columns` copies the input patch of each output into a row and multiplies matrices:
faster for small images and strides, where patches share little; for large images the rows exceed the caches
(benchmarks/LOG.md).
"""

from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from trainers.maml.engines import kernels
from trainers.maml.layout import Block


class Convolution(Protocol):
    """Linear maps of one block. `operand` and `kernel` convert images and weight, once, to what the others take."""

    def operand(self, x: Tensor) -> Tensor: ...

    def kernel(self, weight: Tensor) -> Tensor: ...

    def apply(self, operand: Tensor, kernel: Tensor, bias: Tensor | None) -> Tensor:
        """Return the output (B, h, w, K)."""

    def to_images(self, gradient: Tensor, kernel: Tensor, shape: torch.Size) -> Tensor:
        """Return the gradient of images of `shape` (B, H, W, C) from that of the output."""

    def to_weight(self, gradient: Tensor, operand: Tensor, kernel: Tensor) -> Tensor:
        """Return the gradient of the weight (K, C, kernel, kernel) from that of the output."""


class Direct:
    """The maps by torch's own convolutions."""

    def __init__(self, block: Block) -> None:
        self._where = (block.stride, block.padding)

    def operand(self, x: Tensor) -> Tensor:
        """See Convolution."""
        return x.permute(0, 3, 1, 2)

    def kernel(self, weight: Tensor) -> Tensor:
        """See Convolution."""
        return weight

    def apply(self, operand: Tensor, kernel: Tensor, bias: Tensor | None) -> Tensor:
        """See Convolution."""
        return F.conv2d(operand, kernel, bias, *self._where).permute(0, 2, 3, 1).contiguous()

    def to_images(self, gradient: Tensor, kernel: Tensor, shape: torch.Size) -> Tensor:
        """See Convolution."""
        like = gradient.new_empty(shape).permute(0, 3, 1, 2)  # its layout matters, not its values
        return self._transposed(gradient, like, kernel, 0).permute(0, 2, 3, 1).contiguous()

    def to_weight(self, gradient: Tensor, operand: Tensor, kernel: Tensor) -> Tensor:
        """See Convolution."""
        return self._transposed(gradient, operand, kernel, 1)

    def _transposed(self, gradient: Tensor, operand: Tensor, weight: Tensor, which: int) -> Tensor:
        stride, padding = self._where
        wanted = [which == 0, which == 1, False]
        return torch.ops.aten.convolution_backward(
            gradient.permute(0, 3, 1, 2), operand, weight, None, [stride] * 2, [padding] * 2, [1, 1], False, [0, 0], 1,
            wanted,
        )[which]  # fmt: skip


class Columns:
    """The maps by products of matrices; only for blocks without padding."""

    def __init__(self, block: Block) -> None:
        assert block.padding == 0
        self._size, self._stride = block.kernel, block.stride

    def operand(self, x: Tensor) -> Tensor:
        """See Convolution. Returns (B, h, w, kernel * kernel * C)."""
        images, height, width, channels = x.shape
        rows, columns = ((size - self._size) // self._stride + 1 for size in (height, width))
        seen = x.new_empty((images, rows, columns, self._size**2 * channels))
        kernels.to_columns(x.numpy(), self._size, self._stride, seen.numpy())
        return seen

    def kernel(self, weight: Tensor) -> Tensor:
        """See Convolution. Returns (K, kernel * kernel * C)."""
        return weight.permute(0, 2, 3, 1).flatten(1)

    def apply(self, operand: Tensor, kernel: Tensor, bias: Tensor | None) -> Tensor:
        """See Convolution."""
        return F.linear(operand, kernel, bias)

    def to_images(self, gradient: Tensor, kernel: Tensor, shape: torch.Size) -> Tensor:
        """See Convolution."""
        seen = gradient @ kernel
        images = gradient.new_empty(shape)
        kernels.from_columns(seen.numpy(), self._size, self._stride, images.numpy())
        return images

    def to_weight(self, gradient: Tensor, operand: Tensor, kernel: Tensor) -> Tensor:
        """See Convolution."""
        product = gradient.flatten(0, 2).T @ operand.flatten(0, 2)
        return product.view(len(kernel), self._size, self._size, -1).permute(0, 3, 1, 2).contiguous()


def convolution_of(block: Block) -> Convolution:
    """Return the faster form for `block`; blocks without padding are the strided ones of the Omniglot network."""
    return Direct(block) if block.padding else Columns(block)
