"""A norm over every axis but that of the channels, whatever the number of axes."""

from functools import partial

import pytest
import torch

from trainers.maml.networks.normalisation import normalised, reference_norm


@pytest.mark.parametrize("shape", [(6, 4), (6, 4, 5), (6, 4, 5, 3), (6, 4, 2, 3, 2)])
def test_mean_and_variance_are_those_over_all_axes_but_the_channels(shape):
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    scale, shift = torch.arange(1.0, 5.0, dtype=torch.float64), torch.arange(4.0, dtype=torch.float64)
    found = normalised(partial(reference_norm, eps=0.1, reference=6), x, scale, shift)
    over = [axis for axis in range(len(shape)) if axis != 1]
    variance, mean = torch.var_mean(x, over, correction=0, keepdim=True)
    along = (1, 4, *[1] * (len(shape) - 2))
    expected = (x - mean) / (variance + 0.1).sqrt() * scale.view(along) + shift.view(along)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-14)
