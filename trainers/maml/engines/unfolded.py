"""A convolution as one product of matrices: each row holds the input patch of one output.

Under `vmap`, where every episode has weights of its own, a convolution becomes one with as many groups as episodes,
which GPU libraries treat badly; this product becomes a batched product, which they treat well. It writes kernel^2 times
the input to memory. Which is faster is measured (`benchmarks/gpu`).
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def convolve(x: Tensor, weight: Tensor, bias: Tensor | None, stride: int, padding: int) -> Tensor:
    """Return the convolution (B, K, h, w) of `x` (B, C, H, W) with `weight` (K, C, k, k), as `F.conv2d` does."""
    images, channels, height, width = x.shape
    size = weight.shape[-1]
    rows, columns = ((extent + 2 * padding - size) // stride + 1 for extent in (height, width))
    padded = F.pad(x, (padding,) * 4)
    # Strided slices, since `vmap` has no rule for the derivative of Tensor.unfold
    patches = torch.stack(
        [
            padded[:, :, i : i + stride * (rows - 1) + 1 : stride, j : j + stride * (columns - 1) + 1 : stride]
            for i in range(size)
            for j in range(size)
        ],
        dim=2,
    )  # (B, C, k * k, h, w)
    operand = patches.permute(0, 3, 4, 1, 2).reshape(images * rows * columns, channels * size**2)
    product = operand @ weight.flatten(1).T
    product = product if bias is None else product + bias
    return product.view(images, rows, columns, -1).permute(0, 3, 1, 2)
