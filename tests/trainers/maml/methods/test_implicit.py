"""iMAML's outer gradient against dense solves, and against finite differences of the inner problem's true minimum."""

import pytest
import torch
from torch import Tensor

from tests.trainers.maml.smooth import SMOOTH, flat, largest_slope_error, smooth_case
from trainers.maml.adapt import Adaptation, adapt_to, adapted_names, graph_gradient, transform_gradient
from trainers.maml.methods.implicit import conjugate_gradient, implicit_outcome

LAMBDA = 2.0


def definite(size: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    root = torch.randn(size, size, generator=generator, dtype=torch.float64)
    target = torch.randn(size, generator=generator, dtype=torch.float64)
    return root @ root.T / size + torch.eye(size, dtype=torch.float64), target


def test_conjugate_gradients_solve_in_as_many_steps_as_dimensions_and_stay():
    matrix, target = definite(6)
    expected = torch.linalg.solve(matrix, target)
    found = [conjugate_gradient(lambda v: matrix @ v, target, steps) for steps in (5, 6, 40)]
    assert (found[0] - expected).norm() > 1e-6 * expected.norm()
    for close in found[1:]:
        torch.testing.assert_close(close, expected, rtol=1e-11, atol=1e-12)
    assert not conjugate_gradient(lambda v: matrix @ v, torch.zeros_like(target), 3).any()


class Smooth:
    """The smooth network as functions of one vector."""

    def __init__(self) -> None:
        self.params, self.episode = smooth_case()
        self.start = flat(self.params)

    def named(self, vector: Tensor) -> dict[str, Tensor]:
        parts = vector.split([value.numel() for value in self.params.values()])
        return {name: part.view_as(self.params[name]) for name, part in zip(self.params, parts, strict=True)}

    def support(self, vector: Tensor) -> Tensor:
        return SMOOTH.support_loss(self.named(vector), self.episode)

    def query(self, vector: Tensor) -> Tensor:
        return SMOOTH.loss(SMOOTH.query_logits(self.named(vector), self.episode), self.episode.query_labels)

    def hessian(self, at: Tensor) -> Tensor:
        return torch.autograd.functional.hessian(self.support, at)

    def minimum(self) -> Tensor:
        """Return argmin L_support(phi) + lambda / 2 |phi - start|^2, by the trainer's own inner steps."""
        how = Adaptation(adapted_names("imaml", self.params), 200, 0.1, graph_gradient("first"), proximal=LAMBDA)
        return flat(adapt_to(SMOOTH, self.params, self.episode, how)[-1]).detach()

    def slope(self, phi: Tensor, theta: Tensor) -> Tensor:
        """Return the gradient of the inner problem from `theta` at `phi`."""
        return torch.autograd.functional.jacobian(self.support, phi) + LAMBDA * (phi - theta)


def implicit_gradient(problem: Smooth, inner, *, steps: int, cg_steps: int, lr: float = 0.1) -> Tensor:
    names = adapted_names("imaml", problem.params)
    how = Adaptation(names, steps, lr, inner("first"), proximal=LAMBDA)

    def objective(params: dict[str, Tensor]) -> Tensor:
        return implicit_outcome(
            SMOOTH, params, problem.episode, how, through=inner("second"), cg_steps=cg_steps
        ).objective

    if inner is transform_gradient:
        return flat(torch.func.grad(objective)(problem.params))
    leaves = {name: value.clone().requires_grad_() for name, value in problem.params.items()}
    return torch.cat([part.flatten() for part in torch.autograd.grad(objective(leaves), list(leaves.values()))])


@pytest.mark.slow
@pytest.mark.parametrize("inner", [graph_gradient, transform_gradient])
def test_the_outer_gradient_is_the_closed_form_by_a_dense_solve(inner):
    """(I + H / lambda)^-1 g, with H and g where the inner steps ended."""
    problem = Smooth()
    found = implicit_gradient(problem, inner, steps=5, cg_steps=80)
    how = Adaptation(adapted_names("imaml", problem.params), 5, 0.1, graph_gradient("first"), proximal=LAMBDA)
    phi = flat(adapt_to(SMOOTH, problem.params, problem.episode, how)[-1]).detach()
    slope = torch.autograd.functional.jacobian(problem.query, phi)
    eye = torch.eye(len(phi), dtype=phi.dtype)
    expected = torch.linalg.solve(eye + problem.hessian(phi) / LAMBDA, slope)
    assert (found - expected).norm() < 1e-11 * expected.norm()
    assert (slope - expected).norm() > 0.05 * expected.norm()  # the Hessian has a part in it


def test_inner_steps_reach_the_proximal_minimum():
    problem = Smooth()
    phi = problem.minimum()
    assert problem.slope(phi, problem.start).norm() < 1e-10
    assert (phi - problem.start).norm() > 0.1


@pytest.mark.slow
def test_at_the_minimum_it_is_the_finite_difference_of_the_outer_loss():
    """The inner problem is solved again at each shifted start, by Newton's method with the Hessian of the first."""
    problem = Smooth()
    found = implicit_gradient(problem, graph_gradient, steps=200, cg_steps=80)
    first = problem.minimum()
    bent = problem.hessian(first) + LAMBDA * torch.eye(len(first), dtype=first.dtype)

    def loss_at(direction: Tensor, h: float) -> Tensor:
        phi, theta = first, problem.start + h * direction
        for _ in range(4):
            phi = phi - torch.linalg.solve(bent, problem.slope(phi, theta))
        assert problem.slope(phi, theta).norm() < 1e-13
        return problem.query(phi)

    assert largest_slope_error(found, loss_at) < 1e-7


def test_a_stronger_pull_ends_nearer_to_the_gradient_at_the_start():
    """For lambda to infinity the inner loop stays and the system is the identity."""
    problem = Smooth()
    names = adapted_names("imaml", problem.params)
    plain = torch.autograd.functional.jacobian(problem.query, problem.start)
    gaps = []
    for pull in (1.0, 100.0, 10000.0):
        how = Adaptation(names, 50, 1 / (20 + pull), graph_gradient("first"), proximal=pull)
        leaves = {name: value.clone().requires_grad_() for name, value in problem.params.items()}
        through = graph_gradient("second")
        found = implicit_outcome(SMOOTH, leaves, problem.episode, how, through=through, cg_steps=30).objective
        gradient = torch.cat([part.flatten() for part in torch.autograd.grad(found, list(leaves.values()))])
        gaps.append(float((gradient - plain).norm() / plain.norm()))
    assert gaps[0] > 10 * gaps[1] > 100 * gaps[2] / 2
