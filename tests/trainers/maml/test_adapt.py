"""The maths of one episode against closed forms and finite differences, in float64."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from tests.trainers.maml.smooth import SMOOTH, flat, largest_slope_error, moved, smooth_case
from trainers.maml.adapt import (
    Adaptation,
    adapt,
    adapted_names,
    correct_counts,
    graph_gradient,
    is_right,
    query_outcome,
    transform_gradient,
)
from trainers.maml.episodes import Episode

GRADIENTS = pytest.mark.parametrize("inner", [graph_gradient, transform_gradient])


class Quadratic:
    """Support loss 0.5 (x - c)' H (x - c), query loss 0.5 (x - d)' A (x - d), on a vector of five."""

    def __init__(self) -> None:
        generator = torch.Generator().manual_seed(0)
        self.hessian = self._definite(generator)
        self.query_hessian = self._definite(generator)
        self.centre, self.query_centre, self.start = torch.randn(3, 5, generator=generator, dtype=torch.float64)

    @staticmethod
    def _definite(generator: torch.Generator) -> Tensor:
        root = torch.randn(5, 5, generator=generator, dtype=torch.float64)
        return root @ root.T / 5 + torch.eye(5, dtype=torch.float64)

    def support(self, params: dict[str, Tensor]) -> Tensor:
        return 0.5 * (params["x"] - self.centre) @ self.hessian @ (params["x"] - self.centre)

    def query(self, params: dict[str, Tensor]) -> Tensor:
        return 0.5 * (params["x"] - self.query_centre) @ self.query_hessian @ (params["x"] - self.query_centre)


@GRADIENTS
@pytest.mark.parametrize("steps", [0, 1, 2, 5, 20])
@pytest.mark.parametrize("order", ["first", "second"])
def test_meta_gradient_of_a_quadratic_has_its_closed_form(inner, order, steps):
    problem, rate = Quadratic(), 0.1

    def meta_loss(params: dict[str, Tensor]) -> Tensor:
        fast = adapt(problem.support, params, Adaptation(("x",), steps, rate, inner(order)))
        return problem.query(fast[-1])

    start = {"x": problem.start.clone().requires_grad_()}
    if inner is graph_gradient:
        (found,) = torch.autograd.grad(meta_loss(start), [start["x"]])
    else:
        found = torch.func.grad(meta_loss)({"x": problem.start})["x"]

    shrink = torch.linalg.matrix_power(torch.eye(5, dtype=torch.float64) - rate * problem.hessian, steps)
    adapted = problem.centre + shrink @ (problem.start - problem.centre)
    at_adapted = problem.query_hessian @ (adapted - problem.query_centre)
    expected = shrink @ at_adapted if order == "second" else at_adapted
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


@GRADIENTS
@pytest.mark.parametrize("order", ["first", "second"])
def test_what_the_inner_loop_leaves_alone_gets_a_gradient_through_it_in_second_order_only(inner, order):
    """Support loss (x y - 1)^2 / 2, query loss (x y - 2)^2 / 2, and only x moves: as in ANIL."""

    def meta_loss(params: dict[str, Tensor]) -> Tensor:
        how = Adaptation(("x",), 1, 0.1, inner(order))
        fast = adapt(lambda fast: (fast["x"] * fast["y"] - 1) ** 2 / 2, params, how)[-1]
        return (fast["x"] * fast["y"] - 2) ** 2 / 2

    x, y = 0.7, 1.3
    start = {name: torch.tensor(value, dtype=torch.float64) for name, value in (("x", x), ("y", y))}
    if inner is graph_gradient:
        leaves = {name: value.requires_grad_() for name, value in start.items()}
        (found,) = torch.autograd.grad(meta_loss(leaves), [leaves["y"]])
    else:
        found = torch.func.grad(meta_loss)(start)["y"]
    moved_x = x - 0.1 * (x * y - 1) * y
    through = -0.1 * (2 * x * y - 1) * y if order == "second" else 0.0
    assert float(found) == pytest.approx((moved_x * y - 2) * (moved_x + through), rel=1e-12)


def test_adapt_returns_every_step_and_leaves_the_initial_parameters_alone():
    problem = Quadratic()
    start = {"x": problem.start.clone()}
    path = adapt(problem.support, start, Adaptation(("x",), 3, 0.1, graph_gradient("first")))
    assert len(path) == 4
    assert torch.equal(path[0]["x"], problem.start)
    assert torch.equal(start["x"], problem.start)
    slope = problem.hessian @ (path[2]["x"] - problem.centre)
    torch.testing.assert_close(path[3]["x"], path[2]["x"] - 0.1 * slope)


@pytest.fixture
def smooth() -> tuple[dict[str, Tensor], Episode]:
    return smooth_case()


def meta_gradient(params, episode, order, steps, names=None):
    leaves = {name: value.clone().requires_grad_() for name, value in params.items()}
    outcome = query_outcome(
        SMOOTH, leaves, episode, Adaptation(names or tuple(params), steps, 0.1, graph_gradient(order))
    )
    return torch.cat([g.flatten() for g in torch.autograd.grad(outcome.objective, list(leaves.values()))])


@pytest.mark.parametrize("steps", [0, 1, 3])
@pytest.mark.parametrize("algorithm", ["maml", "anil"])
def test_second_order_is_the_finite_difference_of_the_meta_loss(smooth, steps, algorithm):
    params, episode = smooth
    names = adapted_names(algorithm, params)

    def loss_at(direction: Tensor, h: float) -> Tensor:
        shifted = {name: value.requires_grad_() for name, value in moved(params, direction, h).items()}
        gradient = graph_gradient("second")
        return query_outcome(SMOOTH, shifted, episode, Adaptation(names, steps, 0.1, gradient)).loss.detach()

    assert largest_slope_error(meta_gradient(params, episode, "second", steps, names), loss_at) < 1e-7


@pytest.mark.parametrize("steps", [1, 3])
def test_first_order_is_the_finite_difference_with_the_inner_displacement_frozen(smooth, steps):
    params, episode = smooth

    def support_loss(fast: dict[str, Tensor]) -> Tensor:
        return SMOOTH.support_loss(fast, episode)

    path = adapt(support_loss, params, Adaptation(tuple(params), steps, 0.1, graph_gradient("first")))
    displacement = flat(path[-1]) - flat(path[0])

    def loss_at(direction: Tensor, h: float) -> Tensor:
        fast = moved(params, displacement + h * direction, 1.0)
        return F.cross_entropy(SMOOTH.query_logits(fast, episode), episode.query_labels)

    assert largest_slope_error(meta_gradient(params, episode, "first", steps), loss_at) < 1e-7


def test_first_and_second_order_part_after_an_inner_step_and_agree_before_one(smooth):
    params, episode = smooth
    assert torch.equal(meta_gradient(params, episode, "first", 0), meta_gradient(params, episode, "second", 0))
    first, second = (meta_gradient(params, episode, order, 1) for order in ("first", "second"))
    assert (first - second).norm() > 0.05 * second.norm()


def test_anil_moves_the_head_alone(smooth):
    params, episode = smooth

    def support_loss(fast: dict[str, Tensor]) -> Tensor:
        return SMOOTH.support_loss(fast, episode)

    names = adapted_names("anil", params)
    last = adapt(support_loss, params, Adaptation(names, 2, 0.1, graph_gradient("first")))[-1]
    changed = {name for name in params if not torch.equal(last[name], params[name])}
    assert changed == {"head.weight", "head.bias"}


def test_a_zero_head_scores_one_class_before_adaptation(smooth):
    params, episode = smooth
    zeroed = params | {name: torch.zeros_like(params[name]) for name in ("head.weight", "head.bias")}
    counts = correct_counts(SMOOTH, zeroed, episode, Adaptation(tuple(params), 1, 0.1, graph_gradient("first")), (0, 1))
    assert counts[0] == 3


def test_an_adaptation_that_blows_up_scores_nothing(smooth):
    params, episode = smooth
    how = Adaptation(tuple(params), 2, 1e200, graph_gradient("first"))
    counts = correct_counts(SMOOTH, params, episode, how, range(how.steps + 1))
    assert counts[0] > 0
    assert counts[1:].tolist() == [0, 0]


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_row_is_wrong_if_any_of_its_logits_is_not_finite_and_no_other_row_is(bad):
    logits = torch.tensor([[2.0, 1, 0], [2, 1, 0], [2, 1, 0], [0, 3, 1], [1, 1, 0]])
    labels = torch.tensor([0, 0, 0, 0, 0])
    assert is_right(logits, labels).tolist() == [True, True, True, False, True]
    logits[1, 2] = logits[2, 0] = bad
    assert is_right(logits, labels).tolist() == [True, False, False, False, True]


@pytest.mark.parametrize(
    ("algorithm", "adapted"),
    [
        ("maml", ("conv", "head.weight", "head.bias")),
        ("anil", ("head.weight", "head.bias")),
        ("contrastive", ("head.weight", "head.bias")),
        ("boil", ("conv",)),
    ],
)
def test_an_algorithm_adapts_the_head_the_encoder_or_both(algorithm, adapted):
    params = dict.fromkeys(("conv", "head.weight", "head.bias"), torch.zeros(1))
    assert adapted_names(algorithm, params) == adapted
