"""What encoders take: parameters by name, a convolution, and a normalisation. Computes nothing."""

from collections.abc import Callable

from torch import Tensor

Params = dict[str, Tensor]
Convolve = Callable[[Tensor, Tensor, Tensor | None, int, int], Tensor]
"""(x (B, C, H, W), weight, bias or None, stride, padding) -> what `F.conv2d` returns."""
Normalise = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(x (B, C, H, W), scale (C,), shift (C,)) -> x normalised over batch and space, times scale, plus shift."""
