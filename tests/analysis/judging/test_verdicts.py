import math
from collections.abc import Sequence

import numpy as np
import pytest

from analysis.judging.verdicts import (
    Match,
    effect_verdict,
    equivalence_margin,
    equivalence_verdict,
    no_value_verdict,
    pooled_sides,
    value_verdict,
    value_verdicts,
)
from analysis.numbers.stats import Estimate, Pooled, differences, mean_estimate, of_differences
from analysis.paper.margins import TaskFacts, margin_of
from tests.analysis.endpoints import PROBED

MINI = TaskFacts("mini_imagenet", "first", 1, "test_accuracy")
HERE = Match((), 2000, 2000)
STRICT = 0.05

# The authors' Fig. 4: accuracy by seed, head zeroed at test and as many inner steps as in training, first order, 5-way
# 1-shot mini-ImageNet. Mean of the five evaluations centred on the one nearest to the outer step (all evaluations are
# 200 apart, or 100 at an epoch's end), rounded to six decimals.
FIG_4 = {
    2000: {
        ("none", 1): {1: 0.350635, 2: 0.351758, 3: 0.333545},
        ("none", 7): {1: 0.394141, 2: 0.389502, 3: 0.393311},
        ("zeroing", 1): {1: 0.434277, 2: 0.428418, 3: 0.428809},
        ("zeroing", 7): {1: 0.431396, 2: 0.418359, 3: 0.424561},
    },
    15000: {
        ("none", 1): {1: 0.452832, 2: 0.452588, 3: 0.438867},
        ("none", 7): {1: 0.469043, 2: 0.456396, 3: 0.471094},
        ("zeroing", 1): {1: 0.477979, 2: 0.473779, 3: 0.475635},
        ("zeroing", 7): {1: 0.479541, 2: 0.46665, 3: 0.477344},
    },
    17000: {
        ("none", 1): {1: 0.457813, 2: 0.456836, 3: 0.445117},
        ("none", 7): {1: 0.477686, 2: 0.461523, 3: 0.465771},
        ("zeroing", 1): {1: 0.479736, 2: 0.469922, 3: 0.473584},
        ("zeroing", 7): {1: 0.479297, 2: 0.462402, 3: 0.473584},
    },
}


def _steps_7_minus_1(step: int, zeroing: str) -> dict[int, float]:
    return differences(FIG_4[step][zeroing, 7], FIG_4[step][zeroing, 1])


@pytest.mark.parametrize(
    ("step", "mean", "half_90", "margin", "word"),
    [(2000, -0.0057, 0.0064, 0.015, "reproduced"), (15000, -0.0013, 0.0085, 0.0087, "inconclusive")],
)
def test_with_zeroing_the_authors_steps_are_equivalent_early_and_hardly_late(
    step: int, mean: float, half_90: float, margin: float, word: str
) -> None:
    found = mean_estimate(list(_steps_7_minus_1(step, "zeroing").values()))
    low, high = found.interval(0.9)
    assert found.value == pytest.approx(mean, abs=5e-5)
    assert (high - low) / 2 == pytest.approx(half_90, abs=5e-5)
    reference = of_differences(_steps_7_minus_1(step, "none")).mean
    assert equivalence_margin(margin_of(MINI), reference) == pytest.approx(margin, abs=1e-4)
    p = found.p_within(equivalence_margin(margin_of(MINI), reference))
    assert equivalence_verdict(found, p, margin) == word


@pytest.mark.parametrize(
    ("step", "mean", "half_95", "word"),
    [
        (2000, 0.053, 0.024, "reproduced"),
        (15000, 0.019, 0.026, "inconclusive"),
        (17000, 0.018, 0.012, "reproduced"),
    ],
)
def test_the_authors_interaction_is_clear_early_and_hardly_late(
    step: int, mean: float, half_95: float, word: str
) -> None:
    by_seed = differences(_steps_7_minus_1(step, "none"), _steps_7_minus_1(step, "zeroing"))
    interaction = of_differences(by_seed)
    assert interaction.mean == pytest.approx(mean, abs=6e-4)
    assert (interaction.high - interaction.low) / 2 == pytest.approx(half_95, abs=6e-4)
    found = mean_estimate(list(by_seed.values()))
    assert effect_verdict(found, "positive", found.p(), margin_of(MINI)) == word


def test_without_zeroing_the_authors_steps_matter() -> None:
    found = of_differences(_steps_7_minus_1(2000, "none"))
    assert found.mean == pytest.approx(0.0470, abs=5e-5)
    assert (found.high - found.low) / 2 == pytest.approx(0.0284, abs=5e-5)


@pytest.mark.parametrize(
    ("value", "p", "margin", "word"),
    [
        (0.05, 0.01, 0.015, "reproduced"),
        (-0.05, 0.01, 0.015, "reversed"),
        (0.001, 0.7, 0.015, "negligible"),
        (0.001, 0.7, None, "inconclusive"),
        (0.012, 0.2, 0.015, "inconclusive"),
    ],
)
def test_the_word_of_an_effect(value: float, p: float, margin: float | None, word: str) -> None:
    assert effect_verdict(Estimate(value, 0.003, 3), "positive", p, margin) == word


@pytest.mark.parametrize(
    ("value", "word"), [(0.0, "reproduced"), (0.012, "inconclusive"), (0.03, "contradicted"), (-0.03, "contradicted")]
)
def test_the_word_of_an_equivalence(value: float, word: str) -> None:
    found = Estimate(value, 0.004, 4)
    assert equivalence_verdict(found, found.p_within(0.015), 0.015) == word


def test_what_is_significant_only_before_the_adjustment_is_no_verdict() -> None:
    found = Estimate(0.0, 0.004, 4)
    assert found.p_within(0.015) < STRICT
    assert equivalence_verdict(found, 0.06, 0.015) == "inconclusive"
    assert effect_verdict(Estimate(0.05, 0.01, 4), "positive", 0.06, 0.015) == "inconclusive"


def test_two_seeds_are_not_enough_for_any_verdict() -> None:
    assert effect_verdict(None, "positive", math.nan, 0.015) == "not enough seeds"
    assert equivalence_verdict(None, math.nan, 0.015) == "not enough seeds"


@pytest.mark.parametrize(
    ("facts", "margin"),
    [
        (("mini_imagenet", "second", 1), 0.015),
        (("omniglot", "first", 1), 0.01),
        (("omniglot", "second", 5), 0.01),
        (("omniglot", "second", 1), 0.05),
        (("strokes", "first", 1), None),
    ],
)
def test_the_margins_fixed_beforehand(facts: tuple[str, str, int], margin: float | None) -> None:
    assert margin_of(TaskFacts(*facts, "test_accuracy")) == margin
    assert margin_of(TaskFacts(*facts, "final_accuracy")) == margin


@pytest.mark.parametrize("metric", PROBED)
@pytest.mark.parametrize("dataset", ["mini_imagenet", "omniglot", "strokes"])
def test_a_margin_of_accuracies_is_none_of_probes(dataset: str, metric: str) -> None:
    facts = TaskFacts(dataset, "second", 1, metric)
    assert margin_of(facts) is None
    assert no_value_verdict(facts, HERE, 3, 3) == f"no margin is fixed for {metric}"
    found = value_verdicts({"a": [0.5, 0.6, 0.7]}, {"a": [0.4, 0.5, 0.6]}, facts, {"a": HERE})["a"]
    assert (found.word, found.margin) == ("no verdict", None)


@pytest.mark.parametrize(
    ("difference", "word", "half", "double"),
    [
        (0.0, "agrees", "undecided", "agrees"),
        (0.005, "agrees", "undecided", "agrees"),
        (0.011, "undecided", "undecided", "agrees"),
        (0.02, "differs", "differs", "agrees"),
        (-0.02, "differs", "differs", "agrees"),
    ],
)
def test_the_word_of_a_value_with_its_sensitivity(difference: float, word: str, half: str, double: str) -> None:
    theirs = [0.4, 0.41, 0.39]
    ours = [value + difference for value in theirs]
    found = value_verdict(ours, theirs, Pooled(0.0068, 30, (), ()), 0.015)
    assert (found.word, found.at_half, found.at_double) == (word, half, double)
    assert (found.needs is None) == (word != "undecided")
    assert found.difference.value == pytest.approx(difference)


def test_a_small_difference_that_is_significant_agrees_and_does_not_differ() -> None:
    spread = Pooled(0.001, 30, (), ())
    found = value_verdict([0.405, 0.406, 0.407], [0.4, 0.401, 0.402], spread, 0.015)
    assert found.difference.p() < STRICT
    assert found.word == "agrees"


@pytest.mark.parametrize(
    ("facts", "match", "n_ours", "n_theirs", "reason"),
    [
        (MINI, HERE, 3, 3, ""),
        (MINI, HERE, 3, 2, ""),
        (TaskFacts("strokes", "first", 1, "test_accuracy"), HERE, 3, 3, "no margin is fixed for strokes"),
        (MINI, None, 3, 0, "no published value"),
        (
            MINI,
            Match(("channels", "bn_eps"), 2000, 2000),
            3,
            3,
            "the config differs from the paper's in channels, bn_eps",
        ),
        (MINI, Match(None, 2000, 2000), 3, 3, "the paper has no such cell"),
        (MINI, Match((), 200, 17500), 3, 3, "read at outer step 200, the paper's at 17500"),
        (MINI, HERE, 3, 1, "the authors have one seed"),
        (MINI, HERE, 2, 3, "2 seeds of ours, 3 are needed"),
    ],
)
def test_why_there_is_no_value_verdict(
    facts: TaskFacts, match: Match | None, n_ours: int, n_theirs: int, reason: str
) -> None:
    assert no_value_verdict(facts, match, n_ours, n_theirs) == reason


def test_without_a_verdict_the_difference_is_still_told_and_no_interval() -> None:
    found = value_verdicts({"a": [0.5, 0.6, 0.7], "b": [0.1]}, {"a": [0.4]}, MINI, {"a": HERE})
    assert found["a"].word == "no verdict"
    assert found["a"].difference.value == pytest.approx(0.2)
    assert all(map(math.isnan, found["a"].difference.interval()))
    assert found["b"].difference is None
    assert found["b"].text() == "no verdict (no published value)"


def test_the_text_of_a_value_verdict_holds_its_numbers() -> None:
    spread = Pooled(0.005, 21, (), ())
    agrees = value_verdict([0.475, 0.48, 0.47], [0.471, 0.476, 0.466], spread, 0.015)
    assert agrees.text() == (
        "+0.4 points, 90 % interval -0.3 to +1.1, margin ±1.5: agrees; n = 3 and 3, pooled sd 0.50 with 21 degrees of "
        "freedom; at ±0.75 undecided, at ±3 agrees"
    )
    few = value_verdict([0.4, 0.4, 0.4], [0.4, 0.4], spread, 0.001)
    assert "undecided (no number of seeds of ours up to 200 would decide it)" in few.text()
    more = value_verdict([0.4] * 3, [0.4] * 8, spread, 0.0055)
    assert f"undecided (needs n >= {more.needs})" in more.text() and more.needs > 3
    without = value_verdict([0.4, 0.4, 0.4], [0.4, 0.4], Pooled(0.005, 21, ("a",), ("b", "c")), 0.015)
    assert "21 degrees of freedom, without b, c, which spread more than 3 times the median; at" in without.text()


def test_a_cell_that_spreads_too_much_is_judged_by_its_own_groups() -> None:
    calm = {f"calm {n}": [0.1, 0.2, 0.3] for n in range(6)}
    spreads = pooled_sides(calm | {"wild": [0.0, 1.0, 2.0], "ours alone": [0.1, 0.2, 0.3]}, calm | {"wild": [0.0, 1.0]})
    assert "ours alone" not in spreads
    assert spreads["calm 0"].excluded == ("wild",)
    assert spreads["calm 0"].dof == 13 * 2  # the twelve calm groups and ours alone
    assert spreads["wild"].dof == 3
    assert spreads["wild"].sd == pytest.approx(math.sqrt((2 + 0.5) / 3))


def _verdicts(
    seed: int, n_theirs: int, n_ours: int, margin: float, difference: float, cells: int, draws: int
) -> Sequence[tuple[str, bool]]:
    """Draw values of `cells` cells with sd 0.5; return the first cell's verdict and whether its interval held."""
    rng, found = np.random.default_rng(seed), []
    for _ in range(draws):
        theirs = {str(cell): rng.normal(0, 0.5, n_theirs) for cell in range(cells)}
        ours = {str(cell): rng.normal(difference, 0.5, n_ours) for cell in range(cells)}
        verdict = value_verdict(ours["0"], theirs["0"], pooled_sides(ours, theirs)["0"], margin)
        low, high = verdict.difference.interval()
        found.append((verdict.word, low <= difference <= high))
    return found


@pytest.mark.slow
@pytest.mark.parametrize(("n_theirs", "margin", "power"), [(3, 1.0, 0.61), (3, 1.5, 0.97), (2, 1.5, 0.91)])
def test_how_often_equal_values_are_found_to_agree(n_theirs: int, margin: float, power: float) -> None:
    words = [word for word, _ in _verdicts(10, n_theirs, 4, margin, 0.0, cells=4, draws=1000)]
    assert words.count("agrees") / 1000 == pytest.approx(power, abs=0.045)


def test_a_margin_of_half_a_point_is_out_of_reach_of_four_seeds_of_theirs() -> None:
    words = [word for word, _ in _verdicts(11, 4, 300, 0.5, 0.0, cells=2, draws=500)]
    assert words.count("agrees") / 500 < 0.33


def test_values_a_whole_margin_apart_are_found_to_agree_in_5_of_100_cases() -> None:
    words = [word for word, _ in _verdicts(12, 3, 4, 1.0, 1.0, cells=3, draws=1000)]
    assert words.count("agrees") / 1000 == pytest.approx(0.05, abs=0.021)


@pytest.mark.slow
def test_equal_values_differ_in_5_of_100_cases_at_most_and_the_interval_holds_in_95() -> None:
    found = _verdicts(13, 3, 3, 0.2, 0.0, cells=3, draws=1000)
    assert [word for word, _ in found].count("differs") / 1000 < 0.071
    assert np.mean([held for _, held in found]) == pytest.approx(0.95, abs=0.021)


def test_error_rates_of_claim_verdicts() -> None:
    """Without an effect, 5 of 100 are called reproduced or reversed. At the margin, 5 of 100 are called equivalent."""
    rng = np.random.default_rng(14)
    effects, equivalences = [], []
    for _ in range(2000):
        none = mean_estimate(rng.normal(0.0, 0.01, 4))
        effects.append(effect_verdict(none, "positive", none.p(), 0.0001))
        edge = mean_estimate(rng.normal(0.03, 0.01, 4))
        equivalences.append(equivalence_verdict(edge, edge.p_within(0.03), 0.03))
    assert effects.count("reproduced") / 2000 == pytest.approx(0.025, abs=0.011)
    assert effects.count("reversed") / 2000 == pytest.approx(0.025, abs=0.011)
    assert equivalences.count("reproduced") / 2000 == pytest.approx(0.05, abs=0.015)
    assert equivalences.count("contradicted") / 2000 == pytest.approx(0.025, abs=0.011)
