"""The weights of MAML++'s multi-step loss, by hand."""

import pytest
import torch

from tests.trainers.maml.smooth import SMOOTH, smooth_case
from trainers.maml.adapt import Adaptation, graph_gradient
from trainers.maml.methods.multi_step import weighted_outcome, weights_at


@pytest.mark.parametrize(
    ("step", "annealed", "expected"),
    [
        (0, 10, [1 / 3, 1 / 3, 1 / 3]),
        (4, 10, [0.2, 0.2, 0.6]),
        (99, 100, [0.01, 0.01, 0.98]),  # the floor, 3 % of a third
        (10, 10, [0.0, 0.0, 1.0]),
        (11, 10, [0.0, 0.0, 1.0]),
        (1000, 0, [1 / 3, 1 / 3, 1 / 3]),
    ],
)
def test_weights_move_from_equal_ones_to_the_last_step(step, annealed, expected):
    found = weights_at(step, 3, annealed)
    assert found == pytest.approx(expected, abs=1e-15)
    assert sum(found) == pytest.approx(1, abs=1e-15)


def test_one_inner_step_has_all_the_weight():
    assert [weights_at(step, 1, 5) for step in (0, 3, 9)] == [[1.0]] * 3


def test_the_objective_is_the_weighted_sum_and_what_is_reported_is_the_last_step():
    params, episode = smooth_case()
    how = Adaptation(tuple(params), 3, 0.1, graph_gradient("first"))
    single = [weighted_outcome(SMOOTH, params, episode, how, [float(k == n) for k in range(3)]) for n in range(3)]
    mixed = weighted_outcome(SMOOTH, params, episode, how, [0.5, 0.2, 0.3])
    expected = sum(weight * float(one.objective) for weight, one in zip((0.5, 0.2, 0.3), single, strict=True))
    assert float(mixed.objective) == pytest.approx(expected, rel=1e-14)
    assert float(mixed.loss) == float(single[2].objective)
    assert torch.equal(mixed.accuracy, single[2].accuracy)


def test_a_step_without_weight_is_left_out_though_its_loss_is_out_of_range():
    params, episode = smooth_case()
    how = Adaptation(
        tuple(params), 2, 0.1, graph_gradient("first"), lambda name, step: torch.tensor(1e200 * (1 - step))
    )
    lost = weighted_outcome(SMOOTH, params, episode, how, [0.5, 0.5])
    assert not lost.objective.isfinite()
    back = weighted_outcome(SMOOTH, params, episode, how._replace(steps=1, rates=None), [1.0])
    assert back.objective.isfinite()
