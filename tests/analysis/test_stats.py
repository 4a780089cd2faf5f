import math

import numpy as np
import pytest
from scipy import stats as reference

from analysis.stats import paired, summary


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
