"""Tests of the figures of probes: their numbers against those of the probes, and the drawing."""

import copy
import math
from dataclasses import replace

import numpy as np
import pytest

from analysis.contract.question import Endpoint, FigureSpec
from analysis.figures.arms import FigureRequest
from analysis.figures.style import encode
from analysis.maml.cosine import cosine_info, draw_cosine
from analysis.maml.feature_space import draw_feature_space, feature_space_info
from analysis.maml.shares import draw_shares, shares_info
from analysis.numbers.stats import summary
from tests.analysis.endpoints import endpoint_of, read_otherwise
from tests.budget import budget

AXES = ("task", "zeroing")
STEPS = (1, 31, 60)
READ = endpoint_of("support_query_gap", at=(1, 60), window=1)


def spec(kind: str) -> FigureSpec:
    return FigureSpec(kind=kind, x=None, hue="zeroing", facets=("task",))


def request(plan, records, kind: str, endpoint: Endpoint = READ) -> FigureRequest:
    return FigureRequest(
        plan=plan, records=records, axes=AXES, spec=spec(kind), question="A question?", endpoint=endpoint
    )


@pytest.fixture
def scene(make_trial, make_record, make_probe):
    """Two tasks by two zeroings, three seeds; "A none" lacks seed 1, and "B every step" has no record."""
    plan, records = [], {}
    for task in ("A", "B"):
        for zeroing in ("none", "every step"):
            for seed in range(3):
                trial = make_trial({"task": task, "zeroing": zeroing}, seed)
                plan.append(trial)
                if (task, zeroing) != ("B", "every step") and (task, zeroing, seed) != ("A", "none", 1):
                    probes = [make_probe(s, 0.1 * seed + s / 200, 0.7 + 0.05 * seed, 1.0 + seed) for s in STEPS]
                    records[trial.trial_id] = make_record(trial, {}, probes=probes)
    return plan, records


def test_a_heat_map_is_the_mean_over_seeds_of_the_rows_of_the_query_classes(scene) -> None:
    plan, records = scene
    info = cosine_info(request(plan, records, "cosine"))
    assert [(heat.arm, heat.step) for heat in info.heats][:3] == [
        ("A · none", "1"), ("A · none", "60"), ("A · every step", "1")
    ]  # fmt: skip
    heat = info.heats[1]
    expected = np.mean([np.array(records[f"A-none-s{seed}"]["probes"][2]["cosine"])[3:] for seed in (0, 2)], axis=0)
    np.testing.assert_allclose(heat.cosines, expected, rtol=1e-12)
    assert heat.seeds == (0, 2) and heat.planned == 3
    gap = np.mean([0.1 * seed + 0.3 for seed in (0, 2)])
    assert heat.between == pytest.approx((0.1 + gap, 0.1)) and heat.within == pytest.approx((0.4 + gap, 0.1))
    assert heat.own == pytest.approx((4 * (0.4 + gap) - 1) / 3)
    assert (info.low, info.high) == (0.0, 0.8)  # the largest mean, not a tenth more for its last bit


def test_the_colours_are_the_papers_range_unless_a_number_lies_outside(make_trial, make_record, make_probe) -> None:
    trial = make_trial({"task": "A"})
    record = make_record(trial, {}, probes=[make_probe(1, gap=0.1), make_probe(60, gap=-0.25)])
    one = replace(spec("cosine"), hue=None, facets=())

    def ends(step: int) -> tuple[float, float]:
        asked = request([trial], {trial.trial_id: record}, "cosine", read_otherwise(READ, at=(step,)))
        info = cosine_info(replace(asked, axes=("task",), spec=one))
        return info.low, info.high

    assert ends(1) == (0.0, 0.6)
    assert ends(60) == (-0.2, 0.6)


def test_cells_of_a_heat_map_print_their_numbers_and_hues_that_lack_seeds_say_so(scene) -> None:
    figure = draw_cosine(cosine_info(request(*scene, "cosine")))
    shown = [text.get_text() for text in figure.axes[0].texts]
    assert shown.count(".10") == 12  # of other classes
    assert figure.axes[0].get_title(loc="left") == "after outer step 1 (n = 2 of 3)"
    assert [text.get_text() for text in figure.axes[6].texts] == ["no probe", "support classes", "query classes"]
    footer = figure.texts[1].get_text().replace("\n", " ")
    assert "A · none: 2 of 3 seeds (seed 1 not run), B · every step: 0 of 3 seeds (seeds 0, 1, 2 not run)" in footer


def test_shares_are_means_over_episodes_and_seeds_and_dotted_what_a_zero_head_has(scene) -> None:
    info = shares_info(request(*scene, "shares"))
    every = info.panels[0].positive[1]
    _, mean, _, low, high = summary([0.7, 0.75, 0.8])
    assert every.label == "every step" and every.steps.tolist() == list(STEPS)
    assert (every.mean[0], every.low[0], every.high[0]) == pytest.approx((mean, low, high))
    assert info.panels[0].negative[1].mean == pytest.approx([0.25] * 3)
    assert info.panels[0].chance == pytest.approx((2 / 3, 1 / 3))
    axes = draw_shares(info).axes[0]
    assert sorted(line.get_ydata()[0] for line in axes.lines if line.get_linestyle() == ":") == pytest.approx(
        [100 / 3, 200 / 3]
    )
    assert [(found.arm, [seed for seed, _ in found.reasons]) for found in info.absences] == [
        ("A · none", [1]), ("B · every step", [0, 1, 2])
    ]  # fmt: skip


def test_a_training_that_ended_early_keeps_its_shares_and_is_named(scene) -> None:
    plan, records = copy.deepcopy(scene)
    records["A-every step-s2"].update(status="diverged", step=31, probes=records["A-every step-s2"]["probes"][:2])
    info = shares_info(request(plan, records, "shares"))
    assert info.panels[0].positive[1].n.tolist() == [3, 3, 2]
    assert info.absences[1][2] == ((2, "diverged at step 31"),)


def test_dots_are_the_pulls_of_each_order_with_the_estimator_over_seeds(scene) -> None:
    info = feature_space_info(request(*scene, "feature_space"))
    row = info.rows[3]
    assert (row.arm, row.step, row.planned) == ("A · every step", "60", 3)
    found = {(dot.order, dot.features, dot.what): dot for dot in (*row.gradients, *row.moves)}
    assert found["first", "support", "gradient"].seeds == (0.0, 0.0, 0.0)
    assert found["second", "support", "same"].seeds == (1.0, 2.0, 3.0)
    assert found["second", "support", "same"].summary == pytest.approx(summary([1.0, 2.0, 3.0]))
    assert found["first", "support", "other"].seeds == (-0.05,) * 3
    assert len(found) == 12
    assert math.isnan(info.rows[0].moves[0].summary.low)  # two seeds


def test_a_gradient_that_is_nowhere_but_zero_is_said_to_be_so(scene) -> None:
    figure = draw_feature_space(feature_space_info(request(*scene, "feature_space")))
    said = [[text.get_text() for text in axes.texts] for axes in figure.axes]
    assert said[0] == ["exactly 0"] and said[1] == []
    assert said[-1] == ["no probe"]


def test_a_bar_of_a_norm_never_goes_below_zero_and_one_of_a_displacement_may(scene) -> None:
    plan, records = copy.deepcopy(scene)
    for seed, norm in enumerate((0.0, 0.1, 1.0)):
        for probe in records[f"A-every step-s{seed}"]["probes"]:
            probe["feature_pull"]["first"]["query"]["gradient"] = norm
            probe["feature_pull"]["first"]["query"]["same"] = norm
    info = feature_space_info(request(plan, records, "feature_space"))
    assert info.rows[2].gradients[2].summary.low < 0
    figure = draw_feature_space(info)

    def lowest(axes) -> float:
        bars = [bar for bar in axes.collections if hasattr(bar, "get_segments")]
        return min(segment[:, 0].min() for bar in bars for segment in bar.get_segments())

    assert lowest(figure.axes[4]) == 0.0 and lowest(figure.axes[5]) < 0
    assert "Intervals are cut at 0: the metric can't go beyond." in figure.texts[1].get_text().replace("\n", " ")


def test_a_band_of_shares_stays_within_0_and_100_percent(scene) -> None:
    plan, records = copy.deepcopy(scene)
    for seed, share in enumerate((1.0, 1.0, 0.6)):
        for probe in records[f"A-every step-s{seed}"]["probes"]:
            probe["positive"], probe["negative"] = [share], [1 - share]
    figure = draw_shares(shares_info(request(plan, records, "shares")))
    drawn = [path.vertices[:, 1] for band in figure.axes[0].collections for path in band.get_paths()]
    assert min(map(min, drawn)) == 0.0 and max(map(max, drawn)) == 100.0
    assert "Intervals are cut at 0 and 100" in figure.texts[1].get_text().replace("\n", " ")


def test_old_probes_and_numbers_that_are_not_finite_are_missing_and_say_why(scene) -> None:
    plan, records = copy.deepcopy(scene)
    del records["A-every step-s0"]["probes"][2]["feature_pull"]
    records["A-every step-s1"]["probes"][2]["feature_pull"]["second"]["support"]["same"] = None
    info = feature_space_info(request(plan, records, "feature_space"))
    assert dict(next(found.reasons for found in info.absences if found.arm == "A · every step, step 60")) == {
        0: "probe of a version without feature_pull",
        1: "not finite",
    }
    del records["A-every step-s1"]["probes"][2]["feature_pull"]["second"]
    info = feature_space_info(request(plan, records, "feature_space"))
    reasons = dict(next(found.reasons for found in info.absences if found.arm == "A · every step, step 60"))
    assert reasons[1] == "probe of its own order only (probe_orders: own)"


MADE = {
    "cosine": (cosine_info, draw_cosine),
    "shares": (shares_info, draw_shares),
    "feature_space": (feature_space_info, draw_feature_space),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", MADE)
@pytest.mark.parametrize("at", budget(["last"], ["last", (2,)]))
def test_the_same_info_gives_the_same_bytes(scene, kind, at) -> None:
    inform, draw = MADE[kind]
    asked = read_otherwise(READ, at=at)
    first, second = (encode(draw(inform(request(*scene, kind, asked))), "sweep x; commit abc") for _ in range(2))
    assert first == second
    assert all(b"sweep x; commit abc" in data for data in first.values())
