"""The claims about slopes come out as they should on a small setting, and wrong code turns their verdict."""

import math
from functools import partialmethod

import pytest
import torch

from tests.budget import budget
from trainers.maml.adapt import graph_gradient
from trainers.maml.methods.contrastive import Explicit
from trainers.maml.networks import HEAD
from trainers.maml.theory import differences, twins
from trainers.maml.theory.cases import largest
from trainers.maml.theory.twins import TWIN_LR, noise_episode, smooth_twin

pytestmark = pytest.mark.slow


DIRECTIONS = budget(2, 8)
"""Along how many directions beside the gradient's own jumps are looked for; `sweeper theory` takes eight."""


@pytest.fixture(autouse=True)
def some_directions(monkeypatch):
    monkeypatch.setattr(twins.Twin, "jumps", partialmethod(twins.Twin.jumps, directions=DIRECTIONS))


@pytest.mark.parametrize("claims_of", differences.CLAIMS, ids=lambda claims_of: claims_of.__name__)
def test_every_claim_comes_out_as_expected(setting, claims_of):
    assert [claim.row() for claim in claims_of(setting) if not claim.as_expected] == []


def test_a_first_order_gradient_passed_off_as_second_turns_the_verdicts(setting, monkeypatch):
    for module in (twins, differences):
        monkeypatch.setattr(module, "graph_gradient", lambda order: graph_gradient("first"))
    claims = [*differences.second_order(setting), differences.quadratic(setting)[0]]
    assert [claim.verdict for claim in claims] == ["does not hold"] * 3


def test_a_gradient_off_by_a_millionth_is_seen():
    case = smooth_twin(noise_episode(28))
    how = case.how("maml", "second", 2)
    gradient, loss = case.meta_gradient(how), case.meta_loss(how)
    assert largest(case.slope_errors(gradient, loss, h=1e-5)) < 1e-7
    off = {name: value * (1 + 1e-6) for name, value in gradient.items()}
    assert largest(case.slope_errors(off, loss, h=1e-5)) == pytest.approx(1e-6, rel=0.1)


def test_a_gradient_of_nan_is_never_within_a_bound():
    case = smooth_twin(noise_episode(28))
    how = case.how("maml", "first", 1)
    gradient = {name: torch.full_like(value, torch.nan) for name, value in case.params.items()}
    errors = case.slope_errors(gradient, case.displaced_loss(how), h=1e-5)
    assert largest([0.0, *errors]) != largest([0.0, *errors])


def test_a_gradient_of_zero_has_no_slope_to_agree_with():
    case = smooth_twin(noise_episode(28))
    gradient = {name: torch.zeros_like(value) for name, value in case.params.items()}
    assert all(math.isnan(error) for error in case.slope_errors(gradient, lambda params: torch.zeros(()), h=1e-5))


def test_a_jump_is_found_at_its_height_and_a_smooth_loss_has_none():
    case = smooth_twin(noise_episode(28))
    how = case.how("maml", "second", 2)
    gradient, loss = case.meta_gradient(how), case.meta_loss(how)
    assert max(case.jumps(gradient, loss, within=1e-3)) < 1e-12

    start = sum(float((gradient[name] * value).sum()) for name, value in case.params.items())

    def broken(params):
        further = sum(float((gradient[name] * value).sum()) for name, value in params.items()) > start
        return loss(params) + 1e-4 * further

    assert case.jumps(gradient, broken, within=1e-3) == pytest.approx([1e-4] * (1 + DIRECTIONS), rel=1e-6)


def test_the_printed_eq_8_is_no_slope_of_the_exact_one():
    case = smooth_twin(noise_episode(28))
    printed = case.explicit_gradient(Explicit("second", 1, TWIN_LR, form="printed"))
    encoder = {name: value for name, value in printed.items() if name not in HEAD}
    exact = case.frozen_explicit_loss(Explicit("second", 1, TWIN_LR))
    assert largest(case.slope_errors(encoder, exact, h=1e-5)) > 1e-3
