import math

import pytest
from matplotlib.collections import FillBetweenPolyCollection, PathCollection

from analysis.figures.differences import DifferencesInfo, differences_info, draw_differences
from analysis.numbers.endpoint import PERCENT
from analysis.pages.claim_sentences import in_short
from tests.analysis.endpoints import endpoint_of
from tests.analysis.judging.test_claims import (
    FIG_4,
    INTERACTION,
    NONE_1,
    NONE_7,
    STEPS_DO_NOT,
    STEPS_MATTER,
    claim,
    judged,
)


def info_of(claims, ours=FIG_4, theirs=FIG_4) -> DifferencesInfo:
    return differences_info("Does it matter?", judged(claims, ours, theirs), in_short)


def test_each_claim_is_a_row_with_the_numbers_that_judge_it() -> None:
    info = info_of([STEPS_MATTER, STEPS_DO_NOT, INTERACTION])
    effect, equivalence, interaction = info.rows
    assert info.unit == PERCENT and [row.equivalence for row in info.rows] == [False, True, False]
    assert effect.mean == pytest.approx(0.0470, abs=5e-5) and effect.margin is None and len(effect.seeds) == 3
    assert effect.authors == pytest.approx(effect.mean)
    assert ((equivalence.low + equivalence.high) / 2, (equivalence.high - equivalence.low) / 2) == (
        pytest.approx(-0.0057, abs=5e-5),
        pytest.approx(0.0064, abs=5e-5),  # the interval of 90 %
    )
    assert equivalence.margin == 0.015 and interaction.mean == pytest.approx(0.0527, abs=5e-5)
    assert "+4.7 ±" in effect.text and "90 % interval" in equivalence.text


def test_a_claim_without_a_common_seed_or_a_plan_has_no_row() -> None:
    assert not info_of([STEPS_MATTER], FIG_4 | {NONE_1: {}}).rows
    assert not info_of([STEPS_MATTER], FIG_4 | {NONE_1: None}).rows
    two = FIG_4 | {NONE_1: {1: 0.3, 2: 0.4}}
    (row,) = info_of([STEPS_MATTER], two, {}).rows
    assert math.isnan(row.low) and len(row.seeds) == 2 and row.authors is None


def test_claims_on_another_metric_are_left_out() -> None:
    other = endpoint_of("support_query_gap", at=(2000,), window=1)
    assert len(info_of([STEPS_MATTER, claim("effect", NONE_7, NONE_1, (other, other))]).rows) == 1


def test_the_figure_has_a_bar_a_margin_and_the_authors_points_in_the_unit_of_print() -> None:
    figure = draw_differences(info_of([STEPS_MATTER, STEPS_DO_NOT]))
    (axes,) = figure.axes
    assert axes.get_xlabel() == "difference in test accuracy (points)"
    (band,) = [drawn for drawn in axes.collections if isinstance(drawn, FillBetweenPolyCollection)]
    assert band.get_paths()[0].get_extents().intervalx == pytest.approx([-1.5, 1.5])
    seeds = [drawn.get_offsets()[:, 0] for drawn in axes.collections if isinstance(drawn, PathCollection)]
    assert [len(found) for found in seeds] == [3, 3] and seeds[0].mean() == pytest.approx(4.70, abs=5e-3)
    hollow = [line for line in axes.lines if line.get_markerfacecolor() == "white"]
    assert len(hollow) == 2 and len(axes.texts) == 2
    assert "90 % t-interval" in figure.footer and "Hollow" in figure.footer and len(figure.notes) == 2
    assert "Hollow" not in draw_differences(info_of([STEPS_MATTER], theirs={})).footer


def test_a_figure_without_a_claim_that_has_run_says_so() -> None:
    (axes,) = draw_differences(info_of([STEPS_MATTER], FIG_4 | {NONE_1: {}})).axes
    assert [text.get_text() for text in axes.texts] == ["no claim has run"]
