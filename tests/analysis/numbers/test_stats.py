import math
from collections.abc import Iterator

import numpy as np
import pytest
from scipy import stats as reference

from analysis.numbers.stats import (
    EpisodePart,
    Estimate,
    Paired,
    Pooled,
    differences,
    group_difference,
    holm,
    mean_estimate,
    needed_seeds,
    of_differences,
    paired,
    pooled,
    summary,
)


def test_the_interval_of_three_values_is_the_closed_form() -> None:
    found = summary([0.1, 0.2, 0.3])
    half = 4.302652729911275 * 0.1 / math.sqrt(3)  # t(0.975, 2) = sqrt(2 * 0.95**2 / (1 - 0.95**2)) = 4.3027
    assert (found.n, found.mean, found.sd) == (3, pytest.approx(0.2), pytest.approx(0.1))
    assert (found.low, found.high) == (pytest.approx(0.2 - half), pytest.approx(0.2 + half))
    assert found.half_width == pytest.approx(half)


@pytest.mark.parametrize("n", [3, 4, 9])
def test_the_interval_agrees_with_scipy(n: int) -> None:
    values = np.random.default_rng(n).normal(0.5, 0.1, n)
    low, high = reference.t.interval(0.95, n - 1, loc=values.mean(), scale=reference.sem(values))
    assert summary(list(values))[3:] == (pytest.approx(low), pytest.approx(high))


@pytest.mark.parametrize(("values", "sd_known"), [([0.4], False), ([0.4, 0.6], True)])
def test_one_or_two_seeds_have_a_mean_and_no_interval(values: list[float], sd_known: bool) -> None:
    found = summary(values)
    assert found.mean == pytest.approx(np.mean(values))
    assert math.isnan(found.sd) is not sd_known
    assert math.isnan(found.low) and math.isnan(found.high) and math.isnan(found.half_width)


def test_no_seed_has_no_mean() -> None:
    found = summary([])
    assert found.n == 0 and math.isnan(found.mean)


def test_the_interval_holds_the_true_mean_in_95_of_100_samples() -> None:
    samples = np.random.default_rng(0).normal(size=(2000, 3))
    held = [low <= 0 <= high for *_, low, high in map(summary, samples)]
    assert np.mean(held) == pytest.approx(0.95, abs=0.015)  # 3 standard errors of a proportion at n = 2000


def test_pairing_uses_common_seeds_only_and_agrees_with_the_paired_t_test() -> None:
    a = {0: 0.9, 1: 0.7, 2: 0.8, 5: 0.1, 7: 0.75}
    b = {0: 0.8, 1: 0.65, 2: 0.6, 6: 0.9, 7: 0.7}
    found = paired(a, b)
    test = reference.ttest_rel([0.9, 0.7, 0.8, 0.75], [0.8, 0.65, 0.6, 0.7])
    interval = test.confidence_interval(0.95)
    assert found.seeds == (0, 1, 2, 7)
    assert found.mean == pytest.approx(0.1)
    assert (found.low, found.high, found.p) == (*map(pytest.approx, interval), pytest.approx(test.pvalue))


def test_two_common_seeds_give_a_difference_without_interval_or_p() -> None:
    found = paired({0: 0.5, 1: 0.7, 2: 0.1}, {0: 0.4, 1: 0.4})
    assert found.mean == pytest.approx(0.2)
    assert all(map(math.isnan, found[2:]))


def test_identical_seeds_differ_by_exactly_nothing() -> None:
    values = {0: 0.5, 1: 0.7, 2: 0.1}
    assert paired(values, values) == ((0, 1, 2), 0.0, 0.0, 0.0, 1.0)


def test_the_level_of_an_interval_is_an_argument() -> None:
    values = np.random.default_rng(3).normal(size=5)
    low, high = reference.t.interval(0.9, 4, loc=values.mean(), scale=reference.sem(values))
    assert summary(list(values), 0.9)[3:] == (pytest.approx(low), pytest.approx(high))
    by_seed = dict(enumerate(values))
    assert paired(by_seed, dict.fromkeys(by_seed, 0.0), 0.9)[2:4] == (pytest.approx(low), pytest.approx(high))
    assert mean_estimate(values).interval(0.9) == (pytest.approx(low), pytest.approx(high))


def test_the_interval_of_seeds_that_share_a_list_holds_the_true_accuracy() -> None:
    """Ten seeds of sd 0.5 share one list of 400 episodes of sd 10: the list's error is as large as their spread."""
    rng, part = np.random.default_rng(4), EpisodePart(10.0, 400)
    held = {True: 0, False: 0}
    for _ in range(2000):
        values = rng.normal(rng.normal(0, 0.5), 0.5, 10)
        for known in held:
            *_, low, high = summary(values, shared=part if known else None)
            held[known] += low <= 0 <= high
    assert part.variance == 0.25
    assert 0.94 < held[True] / 2000 < 0.99
    assert held[False] / 2000 < 0.6


def test_differences_of_differences_use_the_seeds_that_all_four_have() -> None:
    first = differences({3: 5.0, 1: 2.0, 2: 1.0}, {1: 1.0, 2: 0.5, 3: 1.0})
    second = differences({1: 4.0, 3: 1.0}, {1: 1.0, 3: 2.0, 2: 9.0})
    assert list(first.items()) == [(1, 1.0), (2, 0.5), (3, 4.0)]
    assert of_differences(differences(first, second)).seeds == (1, 3)
    assert of_differences(differences(first, second)).mean == pytest.approx((1 - 3 + 4 + 1) / 2)


def test_the_equivalence_p_is_below_5_in_100_just_when_the_90_percent_interval_lies_within_the_margin() -> None:
    rng = np.random.default_rng(5)
    inside = 0
    for _ in range(300):
        found = mean_estimate(rng.normal(0.3, 1.0, 5))
        low, high = found.interval(0.9)
        within = low > -1.0 and high < 1.0
        assert (found.p_within(1.0) < 0.05) == within
        inside += within
    assert 50 < inside < 250


def test_the_equivalence_p_agrees_with_two_t_tests() -> None:
    values = np.random.default_rng(6).normal(0.2, 1.0, 8)
    upper = reference.ttest_1samp(values, 1.5, alternative="less").pvalue
    lower = reference.ttest_1samp(values, -1.5, alternative="greater").pvalue
    assert mean_estimate(values).p_within(1.5) == pytest.approx(max(upper, lower))
    assert mean_estimate(values).p() == pytest.approx(reference.ttest_1samp(values, 0).pvalue)


def test_equal_seeds_leave_no_doubt() -> None:
    assert mean_estimate([0.5, 0.5, 0.5]).p() == 0.0
    assert mean_estimate([0.5, 0.5, 0.5]).p_within(1.0) == 0.0
    assert mean_estimate([0.5, 0.5, 0.5]).p_within(0.5) == 1.0


def test_two_groups_agree_with_students_t_test() -> None:
    rng = np.random.default_rng(7)
    a, b = rng.normal(0, 1, 4), rng.normal(1, 1, 6)
    found = group_difference(a, b, pooled({"cell": (a, b)}))
    test = reference.ttest_ind(a, b)
    assert found.dof == 8
    assert found.p() == pytest.approx(test.pvalue)
    assert found.interval() == tuple(map(pytest.approx, test.confidence_interval(0.95)))


def test_the_parts_of_shared_lists_widen_the_difference_of_two_groups() -> None:
    spread = Pooled(0.5, 12, (), ())
    found = group_difference([1.0, 2.0, 3.0], [1.0, 1.0], spread, (EpisodePart(8.0, 400), EpisodePart(6.0, 100)))
    assert found.se**2 == pytest.approx(0.25 * (1 / 3 + 1 / 2) + 64 / 400 + 36 / 100)
    assert group_difference([1.0, 2.0, 3.0], [1.0, 1.0], spread).se ** 2 == pytest.approx(0.25 * (1 / 3 + 1 / 2))


def test_pooling_leaves_out_cells_that_spread_three_times_the_median_and_says_so() -> None:
    cells = {
        "a": [[0.0, 2.0], [5.0, 7.0]],
        "b": [[0.0, 1.0, 2.0], [3.0]],
        "one seed": [[7.0], []],
        "wild": [[0.0, 20.0]],
        "still": [[1.0, 1.0]],
    }
    found = pooled(cells)
    assert found.cells == ("a", "b", "still") and found.excluded == ("wild",)
    assert found.dof == 5
    assert found.sd == pytest.approx(math.sqrt((2 + 2 + 2 + 0) / 5))


def test_one_cell_is_pooled_however_much_its_groups_differ() -> None:
    assert pooled({"a": [[0.0, 0.0], [0.0, 100.0]]}).sd == pytest.approx(50.0)


def test_without_two_seeds_anywhere_there_is_no_pooled_spread() -> None:
    found = pooled({"a": [[1.0], [2.0]], "b": []})
    assert math.isnan(found.sd) and found.dof == 0


def test_holm_agrees_with_its_worked_steps() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == tuple(map(pytest.approx, (0.03, 0.06, 0.06, 0.02)))
    assert holm([0.9, 0.8]) == (1.0, 1.0)
    assert holm([]) == ()


def test_a_test_that_could_not_be_done_counts_in_the_family() -> None:
    adjusted = holm([math.nan, 0.01, 0.03])
    assert math.isnan(adjusted[0])
    assert adjusted[1:] == (pytest.approx(0.03), pytest.approx(0.06))


def test_holm_rejects_a_true_hypothesis_in_5_of_100_families() -> None:
    """Three of five hypotheses are true, with independent t-tests; without Holm, 14 of 100 families would err."""
    rng = np.random.default_rng(8)
    true = np.array([0.0, 0.0, 0.0, 3.0, 3.0])
    erred, erred_unadjusted = 0, 0
    for _ in range(2000):
        p = [mean_estimate(values).p() for values in rng.normal(true[:, None], 1.0, (5, 6))]
        erred += min(holm(p)[:3]) < 0.05
        erred_unadjusted += min(p[:3]) < 0.05
    assert erred / 2000 < 0.065
    assert erred_unadjusted / 2000 > 0.12


@pytest.mark.parametrize("difference", [0.0, 0.5, 1.2])
def test_the_needed_seeds_decide_in_8_of_10_cases_and_one_fewer_in_less(difference: float) -> None:
    """Simulated with normal means and a chi-square pooled variance, which the t-limits approximate."""
    spread, margin, n_theirs = Pooled(0.5, 20, (), ()), 1.0, 4
    needed = needed_seeds(Estimate(difference, 0.0, 20), spread, 3, n_theirs, margin)
    assert needed is not None and needed > 3

    def decided(n: int) -> float:
        rng, dof = np.random.default_rng(9), 20 + n - 3
        scale = math.sqrt(1 / n + 1 / n_theirs)
        means = rng.normal(difference, 0.5 * scale, 20000)
        se = 0.5 * scale * np.sqrt(rng.chisquare(dof, 20000) / dof)
        agrees = np.abs(means) + reference.t.ppf(0.95, dof) * se <= margin
        return float(np.mean(agrees | (np.abs(means) > reference.t.ppf(0.975, dof) * se)))

    assert decided(needed) > 0.78
    assert needed == 4 or decided(needed - 1) < 0.82


def test_no_number_of_ours_makes_up_for_few_seeds_of_theirs() -> None:
    spread = Pooled(0.5, 20, (), ())
    assert needed_seeds(Estimate(0.0, 0.0, 20), spread, 3, 4, 0.5) is None
    assert needed_seeds(Estimate(0.0, 0.0, 20), spread, 3, 40, 0.5) is not None
    shared = (EpisodePart(10.0, 400),)
    assert needed_seeds(Estimate(0.0, 0.0, 20), spread, 3, 40, 0.5, shared) is None


@pytest.mark.parametrize(
    ("low", "high", "expected"), [(-3.0, 1.0, 3.0), (-1.0, 3.0, 3.0), (1.0, 3.0, 3.0), (-3.0, -1.0, 3.0)]
)
def test_the_furthest_of_an_interval_is_its_end_far_from_zero(low: float, high: float, expected: float) -> None:
    assert Paired((0, 1, 2), (low + high) / 2, low, high, 0.5).furthest == expected


def test_a_cell_that_spreads_just_three_times_the_median_is_kept() -> None:
    cells = {name: [[-sd, 0.0, sd]] for name, sd in {"a": 1.0, "b": 1.0, "c": 1.0, "d": 3.0, "e": 3.001}.items()}
    assert pooled(cells).excluded == ("e",)


def _left_open(difference: float, dof: int, n_theirs: int, margin: float) -> Iterator[tuple[int, float]]:
    """Yield each number of our seeds above 3, with the chance that neither interval decides; the spread is 0.5."""
    for n in range(4, 250):
        se, t = 0.5 * math.sqrt(1 / n + 1 / n_theirs), reference.t(dof + n - 3)
        found = reference.norm(difference, se)
        agrees, differs = max(margin - t.ppf(0.95) * se, 0.0), t.ppf(0.975) * se
        yield n, found.cdf(differs) - found.cdf(agrees) + found.cdf(-agrees) - found.cdf(-differs)


@pytest.mark.parametrize(
    ("difference", "dof", "n_theirs", "margin", "expected"),
    [
        (0.0, 1, 4, 1.0, 8),
        (0.2, 2, 4, 1.0, 9),
        (0.5, 1, 4, 1.0, 13),
        (0.5, 3, 4, 1.0, 12),
        (-1.0, 2, 4, 1.0, 8),
        (0.0, 20, 40, 0.243, 200),  # the most
        (0.0, 20, 40, 0.2429, 201),  # one more than the most
    ],
)
def test_the_needed_seeds_are_the_first_that_leave_two_in_ten_cases_open(
    difference: float, dof: int, n_theirs: int, margin: float, expected: int
) -> None:
    """Each of our seeds beyond those that ran adds a degree of freedom to the spread's."""
    assert next(n for n, left in _left_open(difference, dof, n_theirs, margin) if left <= 0.2) == expected
    found = needed_seeds(Estimate(difference, 0.0, dof), Pooled(0.5, dof, (), ()), 3, n_theirs, margin)
    assert found == (expected if expected <= 200 else None)


@pytest.mark.parametrize("value", [0.1, 0.5, 0.7])
def test_equal_values_have_no_spread_at_all(value: float) -> None:
    """The mean of three times 0.1 is a rounding away from 0.1, and numpy's variance with it."""
    assert pooled({"a": [[value] * 3], "b": [[value] * 3, [0.0] * 2]}).sd == 0.0
