"""Verdicts at the very edge of an interval, a margin or a level, and what a verdict holds."""

import math

import pytest

from analysis.judging.verdicts import (
    ALPHA,
    EQUIVALENCE,
    Match,
    effect_verdict,
    equivalence_verdict,
    no_value_verdict,
    value_verdict,
    value_verdicts,
)
from analysis.numbers.stats import Estimate, Pooled
from analysis.paper.margins import TaskFacts

MINI = TaskFacts("mini_imagenet", "first", 1, "test_accuracy")
ONE = Pooled(1.0, 10, (), ())
"""A spread by which two values against two have a difference with a standard error of exactly 1."""
HALF_90, HALF_95 = (Estimate(0.0, 1.0, 10).interval(level)[1] for level in (EQUIVALENCE, 0.95))


def test_a_p_at_the_level_itself_decides_nothing() -> None:
    effect, still = Estimate(0.05, 0.01, 4), Estimate(0.0, 0.004, 4)
    below = math.nextafter(ALPHA, 0)
    assert effect_verdict(effect, "positive", ALPHA, 0.015) == "inconclusive"
    assert effect_verdict(effect, "positive", below, 0.015) == "reproduced"
    assert equivalence_verdict(still, ALPHA, 0.015) == "inconclusive"
    assert equivalence_verdict(still, below, 0.015) == "reproduced"


@pytest.mark.parametrize("value", [0.5, -0.5])
def test_equal_seeds_at_the_margin_itself_contradict_no_equivalence(value: float) -> None:
    edge = Estimate(value, 0.0, 2)
    assert equivalence_verdict(edge, edge.p_within(0.5), 0.5) == "inconclusive"
    assert equivalence_verdict(edge, edge.p_within(0.4999), 0.4999) == "contradicted"


def test_an_interval_that_ends_at_the_margin_agrees() -> None:
    assert value_verdict([0.0, 0.0], [0.0, 0.0], ONE, HALF_90).word == "agrees"
    assert value_verdict([0.0, 0.0], [0.0, 0.0], ONE, math.nextafter(HALF_90, 0)).word == "undecided"


@pytest.mark.parametrize("sign", [1, -1])
def test_an_interval_that_ends_at_0_does_not_differ(sign: int) -> None:
    edge, beyond = sign * HALF_95, sign * (HALF_95 + 1e-9)
    assert value_verdict([edge, edge], [0.0, 0.0], ONE, 0.5).word == "undecided"
    assert value_verdict([beyond, beyond], [0.0, 0.0], ONE, 0.5).word == "differs"


@pytest.mark.parametrize(
    ("difference", "words"),
    [
        (0.004, ("agrees", "agrees", "agrees")),
        (0.006, ("agrees", "differs", "agrees")),
        (0.018, ("differs", "differs", "agrees")),
        (0.022, ("differs", "differs", "differs")),
    ],
)
def test_half_the_margin_and_double_the_margin_are_just_that(difference: float, words: tuple[str, ...]) -> None:
    """The spread is so small that the margin alone decides: 0.01, and 0.005 and 0.02."""
    found = value_verdict([difference] * 3, [0.0] * 3, Pooled(1e-6, 10, (), ()), 0.01)
    assert (found.word, found.at_half, found.at_double) == words
    assert (found.reason, found.needs) == ("", None)


def test_no_value_of_theirs_is_a_reason_also_where_a_cell_was_matched() -> None:
    assert no_value_verdict(MINI, Match((), 2000, 2000), 3, 0) == "no published value"


def test_without_a_verdict_the_difference_has_no_error_and_a_cell_of_ours_alone_no_spread() -> None:
    found = value_verdicts({"a": [0.5, 0.6, 0.7], "b": [0.1]}, {"a": [0.4]}, MINI, {"a": Match((), 2000, 2000)})
    difference, spread = found["a"].difference, found["b"].spread
    assert math.isnan(difference.se) and difference.dof == 0
    assert (found["a"].margin, found["a"].needs, found["a"].n_ours, found["a"].n_theirs) == (0.015, None, 3, 1)
    assert math.isnan(spread.sd) and spread[1:] == (0, (), ())


def test_the_interval_of_a_text_is_in_points() -> None:
    """20 points ± the 90 % half of 10 degrees of freedom, 1.8125 standard errors of 10 points."""
    text = value_verdict([0.2, 0.2], [0.0, 0.0], Pooled(0.1, 10, (), ()), 0.5).text()
    assert text.startswith("+20.0 points, 90 % interval +1.9 to +38.1, margin ±50: agrees; n = 2 and 2")
