"""Adam on stacked runs against Adam as printed and torch's, with a rate of each run's own."""

import pytest
import torch

from tests.trainers.maml.adams import ADAMS
from trainers.maml.engines.adam import adam_step, corrections, no_moments


@pytest.mark.parametrize("adam", ADAMS)
def test_each_run_equals_adam_with_its_own_rate(adam):
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(2, 3, 4, generator=generator, dtype=torch.float64)
    gradients = torch.randn(5, 2, 3, 4, generator=generator, dtype=torch.float64)
    rates = torch.tensor([1e-3, 0.1], dtype=torch.float64)
    params = {"w": start}
    moments = no_moments(params)
    for step, gradient in enumerate(gradients, start=1):
        params, moments = adam_step(
            params,
            moments,
            {"w": gradient},
            corrections=corrections(step, 2, torch.float64),
            lr=rates,
            alive=torch.tensor([True, True]),
        )
    for run, rate in enumerate(rates.tolist()):
        expected = adam(start[run], gradients[:, run], rate)[-1]
        torch.testing.assert_close(params["w"][run], expected, rtol=1e-12, atol=1e-12)


def test_a_dead_run_keeps_its_parameters_and_moments_even_with_a_gradient_of_nan():
    params = {"w": torch.ones(2, 3)}
    gradient = {"w": torch.tensor([[1.0, 1.0, 1.0], [float("nan")] * 3])}
    moved, moments = adam_step(
        params,
        no_moments(params),
        gradient,
        corrections=corrections(1, 2, torch.float32),
        lr=torch.full((2,), 0.1),
        alive=torch.tensor([True, False]),
    )
    assert torch.equal(moved["w"][1], torch.ones(3))
    assert not moments.first["w"][1].any()
    assert (moved["w"][0] < 1).all()
