"""Tests of curves: each point against the estimator over seeds and against the endpoint, and the drawing."""

import math
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.collections import LineCollection

from analysis.contract.question import FigureSpec
from analysis.errors import AnalysisError
from analysis.figures.arms import FigureRequest
from analysis.figures.curves import CurvesInfo, curves_info, draw_curves
from analysis.figures.lines import Track
from analysis.figures.style import encode
from analysis.numbers.endpoint import read
from analysis.numbers.stats import summary
from tests.analysis.endpoints import endpoint_of, read_otherwise
from tests.budget import budget

SPEC = FigureSpec(kind="curves", x=None, hue="zeroing", facets=("task",))
AXES = ("task", "zeroing")
SCORES = {seed: {20: 0.3 + 0.01 * seed**2, 40: 0.4 + 0.1 * seed, 60: 0.5 + 0.02 * seed} for seed in range(4)}


@pytest.fixture
def make_info(make_trial, make_record, make_probe, endpoint):
    """Four arms. In A, seed 2 of "none" stopped at 40. In B, no seed of "none" ran and two of "every step" did."""

    def make(spec=SPEC, asked=endpoint, published=None, parts=False):
        plan, records = [], {}
        for task in ("A", "B"):
            for zeroing in ("none", "every step") if spec.hue else ("none",):
                for seed in range(4):
                    trial = make_trial({"task": task, "zeroing": zeroing}, seed)
                    plan.append(trial)
                    if task == "B" and (zeroing == "none" or seed > 1):
                        continue
                    scores = SCORES[seed]
                    failed = (task, zeroing, seed) == ("A", "none", 2)
                    if failed:
                        scores = {20: scores[20], 40: scores[40]}
                    probes = [make_probe(step, gap=0.1 * seed + step / 100) for step in (1, *scores)]
                    records[trial.trial_id] = make_record(
                        trial, scores, status="failed" if failed else "done", probes=probes
                    )
        request = FigureRequest(
            plan=plan, records=records, axes=AXES, spec=spec, question="Does it matter?", endpoint=asked
        )
        info = curves_info(request, published)
        return (info, plan, records) if parts else info

    return make


def test_each_point_is_the_mean_and_interval_over_the_seeds_that_have_it(make_info) -> None:
    curve = make_info().panels[0].curves[0]
    assert curve.label == "none" and curve.planned == 4
    assert curve.steps.tolist() == [20, 40, 60] and curve.n.tolist() == [4, 4, 3]
    for place, (step, seeds) in enumerate(((20, (0, 1, 2, 3)), (40, (0, 1, 2, 3)), (60, (0, 1, 3)))):
        _, mean, _, low, high = summary([SCORES[seed][step] for seed in seeds])
        assert (curve.mean[place], curve.low[place], curve.high[place]) == pytest.approx((mean, low, high), rel=1e-12)


def test_below_three_seeds_there_is_no_mean_but_the_seeds_themselves(make_info) -> None:
    none, every = make_info().panels[1].curves
    assert none.n.tolist() == [] and np.isnan(every.mean).all() and np.isnan(every.low).all()
    assert [track.values.tolist() for track in every.tracks[:2]] == [list(SCORES[seed].values()) for seed in (0, 1)]


@pytest.mark.parametrize("window", [1, 2, 3, 9])
@pytest.mark.parametrize("metric", ["test_accuracy", "support_query_gap"])
def test_a_point_is_what_the_endpoint_would_read_there_from_the_first_full_window_on(
    make_info, endpoint, metric, window
) -> None:
    asked = read_otherwise(endpoint, metric=metric, window=window)
    if metric != "test_accuracy":
        asked = read_otherwise(asked, head=None, steps=None)
    info, plan, records = make_info(asked=asked, parts=True)
    track = info.panels[0].curves[1].tracks[3]
    trial = next(trial for trial in plan if trial.labels == {"task": "A", "zeroing": "every step"} and trial.seed == 3)
    steps = track.steps.tolist()
    there = [20, 40, 60] if metric == "test_accuracy" else [1, 20, 40, 60]
    assert steps == there[min(window, len(there)) - 1 :]
    expected = [read(trial, records[trial.trial_id], asked, step).value for step in steps]
    np.testing.assert_allclose(track.values, expected, rtol=1e-12)


def test_a_value_that_is_not_finite_is_a_gap_for_as_long_as_it_is_in_the_window(
    make_trial, make_record, make_probe
) -> None:
    trial = make_trial({"task": "A"})
    record = make_record(trial, {}, probes=[make_probe(step, 0.25) for step in range(1, 61)])
    record["probes"][10]["cosine"][0][1] = record["probes"][10]["cosine"][5][0] = None
    asked = endpoint_of("support_query_gap", at="last", window=3)
    spec = FigureSpec(kind="curves", x=None, hue=None, facets=())
    records = {trial.trial_id: record}
    request = FigureRequest(plan=[trial], records=records, axes=("task",), spec=spec, question="?", endpoint=asked)
    info = curves_info(request)
    (track,) = info.panels[0].curves[0].tracks
    assert track.steps.tolist() == list(range(3, 61))
    assert track.steps[np.isnan(track.values)].tolist() == [11, 12, 13]


@pytest.mark.parametrize("window", [1, 3], ids=["several steps", "one step"])
def test_a_panel_of_values_that_are_all_missing_has_no_ticks_and_says_so(make_info, endpoint, window) -> None:
    # evaluated, but never after 7 inner steps
    figure = draw_curves(make_info(asked=read_otherwise(endpoint, steps=7, window=window)))
    assert [text.get_text() for axes in figure.axes for text in axes.texts] == ["nothing to draw"] * 2
    assert not any(len(axes.get_xticks()) or len(axes.get_yticks()) for axes in figure.axes)


def test_missing_seeds_are_named_with_their_reasons(make_info) -> None:
    info = make_info()
    assert [(found.arm, found.of, [seed for seed, _ in found.reasons]) for found in info.absences] == [
        ("A · none", 4, [2]),
        ("B · none", 4, [0, 1, 2, 3]),
        ("B · every step", 4, [2, 3]),
    ]
    footer = draw_curves(info).texts[1].get_text().replace("\n", " ")
    assert "A · none: 3 of 4 seeds (seed 2 failed)" in footer
    assert "B · every step: 2 of 4 seeds (seeds 2, 3 not run)" in footer


def test_an_axis_that_is_left_out_is_an_error_that_names_it(make_info) -> None:
    with pytest.raises(AnalysisError, match="curves figure would average over task"):
        make_info(spec=replace(SPEC, facets=()))


def test_the_authors_values_are_points_without_a_line_at_their_own_steps_and_named(make_info) -> None:
    info = make_info(published={("A", "none"): [(1, 0.25), (60, 0.5)], ("B", "every step"): [(60, 0.55)]})
    figure = draw_curves(info)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["none", "every step", "authors"]
    theirs = figure.axes[0].lines[-1]
    assert theirs.get_xdata().tolist() == [1, 60] and theirs.get_ydata() == pytest.approx([25, 50])
    assert theirs.get_linestyle() == "None" and theirs.get_markerfacecolor() == "white"
    named = figure.legends[0].get_lines()[-1]
    assert named.get_linestyle() == "None" and named.get_markerfacecolor() == "white"
    alone = draw_curves(make_info())
    assert [line.get_linestyle() for line in figure.axes[0].lines[:-1]] == [
        line.get_linestyle() for line in alone.axes[0].lines
    ]


def test_every_point_of_the_authors_has_its_marker(make_info) -> None:
    points = [(step, 0.3) for step in range(1, 61)]
    (*_, theirs) = draw_curves(make_info(published={("A", "none"): points})).axes[0].lines
    assert theirs.get_markevery() is None and len(theirs.get_xdata()) == 60


def test_a_single_step_has_its_interval_as_a_bar(make_info, endpoint) -> None:
    """Of three evaluations a window of three leaves one step, where a band has no width."""
    figure = draw_curves(make_info(asked=read_otherwise(endpoint, window=3)))
    bars = [one for one in figure.axes[0].collections if isinstance(one, LineCollection)]
    *_, low, high = summary([np.mean(list(SCORES[seed].values())) for seed in (0, 1, 3)])
    (first,), (second,) = (one.get_segments() for one in bars)
    assert first == pytest.approx(np.array([[60, 100 * low], [60, 100 * high]]))
    assert (second[:, 0] == 60.5).all()  # beside the other's, which it would hide
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["60"]
    assert figure.axes[0].get_xlim() == (58.25, 62.25)  # in the middle of the panel
    footer = figure.texts[1].get_text().replace("\n", " ")
    assert "bands: 95 % t-interval at each step, a bar where a step stands alone." in footer
    several = draw_curves(make_info())
    assert not any(isinstance(one, LineCollection) for one in several.axes[0].collections)
    assert "a bar where" not in several.texts[1].get_text().replace("\n", " ")


def test_the_authors_values_of_a_single_step_stand_where_the_curves_of_one_step_do(make_info, endpoint) -> None:
    """With their points, too, the step is the only tick, and a point hides no other curve's."""
    theirs = {("A", "none"): [(60, 0.25)], ("A", "every step"): [(60, 0.5)]}
    axes = draw_curves(make_info(asked=read_otherwise(endpoint, window=3), published=theirs)).axes[0]
    assert [line.get_xdata().tolist() for line in axes.lines[-2:]] == [[60], [60.5]]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["60"]
    assert axes.get_xlim() == (58.25, 62.25)
    more = {("A", "none"): [(30, 0.2), (60, 0.25)], ("A", "every step"): [(60, 0.5)]}
    axes = draw_curves(make_info(asked=read_otherwise(endpoint, window=3), published=more)).axes[0]
    assert [line.get_xdata().tolist() for line in axes.lines[-2:]] == [[30, 60], [60]]
    assert len(axes.get_xticklabels()) > 1


def test_a_window_is_named_on_the_axis_and_a_seed_without_a_full_one_is_missing(make_info, endpoint) -> None:
    figure = draw_curves(make_info(asked=read_otherwise(endpoint, window=2)))
    assert figure.axes[0].get_ylabel() == "test accuracy (%)\nmean of 2 evaluations"
    footer = figure.texts[1].get_text().replace("\n", " ")
    assert "running mean of 2 evaluations from the first full window" in footer and "2 of the" not in footer
    assert figure.axes[0].lines[0].get_xdata().tolist() == [40, 60]


def test_a_window_longer_than_every_trial_is_drawn_as_the_table_reads_it(make_info, endpoint) -> None:
    info, plan, records = make_info(asked=read_otherwise(endpoint, window=5), parts=True)
    (track, *_) = info.panels[0].curves[1].tracks
    trial = next(trial for trial in plan if trial.labels == {"task": "A", "zeroing": "every step"} and trial.seed == 0)
    found = read(trial, records[trial.trial_id], read_otherwise(endpoint, window=5), "last")
    assert (track.steps.tolist(), track.values.tolist()) == ([60], [pytest.approx(found.value, rel=1e-12)])
    assert info.y_title == "test accuracy (%)\nmean of 3 evaluations"
    few = (
        "running mean of 3 evaluations from the first full window, since no trial has the 5 that the endpoint asks for"
    )
    assert info.sentence.endswith(few)
    theirs = make_info(asked=read_otherwise(endpoint, window=5), published={("A", "none"): [(60, 0.3)]})
    assert theirs.sentence.endswith(f"{few} and the authors' values average")
    assert [absence.arm for absence in info.absences] == ["A · none", "B · none", "B · every step"]  # as not finished


def test_a_seed_with_fewer_evaluations_than_the_others_is_missing(make_trial, make_record, endpoint) -> None:
    plan = [make_trial({"task": "A"}, seed) for seed in range(2)]
    scores = ({20: 0.3, 40: 0.4, 60: 0.5}, {20: 0.3, 60: 0.5})
    records = {trial.trial_id: make_record(trial, scores[trial.seed]) for trial in plan}
    spec = FigureSpec(kind="curves", x=None, hue=None, facets=("task",))
    asked = read_otherwise(endpoint, window=5)
    request = FigureRequest(plan=plan, records=records, axes=("task",), spec=spec, question="?", endpoint=asked)
    (absence,) = curves_info(request).absences
    assert absence.reasons == ((1, "with 2 of the 3 evaluations that a mean takes"),)


NEAR_A_BOUND = {
    "test_accuracy": {20: (0.0, 0.0, 0.05), 40: (0.5, 0.5, 0.5), 60: (1.0, 0.99, 0.9)},
    "support_query_gap": {20: (-1.9, -1.9, -1.2), 40: (0.0, 0.0, 0.0), 60: (1.99, 1.9, 1.2)},
    "positive_share": {20: (0.05, 0.0, 0.0), 40: (0.5, 0.5, 0.5), 60: (1.0, 0.9, 0.99)},
    "support_moved": {20: (-9.0, 9.0, 0.0), 40: (0.0, 0.0, 0.0), 60: (99.0, -99.0, 0.0)},
}
"""Metric -> outer step -> the values of three seeds."""


@pytest.mark.parametrize(
    ("metric", "ends"),
    [
        ("test_accuracy", (0, 100)),
        ("support_query_gap", (-2, 2)),
        ("positive_share", (0, 100)),
        ("support_moved", None),
    ],
)
def test_a_band_ends_at_the_bounds_of_its_metric_and_says_so(make_trial, monkeypatch, endpoint, metric, ends) -> None:
    values = NEAR_A_BOUND[metric]
    tracks = [Track(seed, np.array(list(values)), np.array([by[seed] for by in values.values()])) for seed in range(3)]
    monkeypatch.setattr("analysis.figures.curves.track_of", lambda trial, *_: tracks[trial.seed])
    asked = endpoint if metric == "test_accuracy" else read_otherwise(endpoint, metric=metric, head=None, steps=None)
    request = FigureRequest(
        plan=[make_trial({"task": "A"}, seed) for seed in range(3)],
        records={},
        axes=("task",),
        spec=FigureSpec(kind="curves", x=None, hue=None, facets=()),
        question="?",
        endpoint=asked,
    )
    info = curves_info(request)
    (curve,) = info.panels[0].curves
    assert (curve.high - curve.mean) == pytest.approx(curve.mean - curve.low)  # the numbers stay symmetric
    figure = draw_curves(info)
    (band,) = figure.axes[0].collections
    drawn = band.get_paths()[0].vertices[:, 1]
    footer = figure.texts[1].get_text().replace("\n", " ")
    if ends is None:
        assert drawn.max() > 99 and "cut at" not in footer
    else:
        assert (drawn.min(), drawn.max()) == pytest.approx(ends)
        assert f"Intervals are cut at {ends[0]} and {ends[1]}: the metric can't go beyond." in footer


def test_accuracies_are_drawn_in_percent_and_cosines_as_they_are(make_info, endpoint) -> None:
    axes = draw_curves(make_info()).axes[0]
    assert axes.get_ylabel() == "test accuracy (%)" and max(axes.lines[0].get_ydata()) > 40
    axes = draw_curves(
        make_info(asked=read_otherwise(endpoint, metric="support_query_gap", head=None, steps=None))
    ).axes[0]
    assert axes.get_ylabel() == "cosine gap, query to support" and max(axes.lines[0].get_ydata()) < 1


CASES = {
    "plain": {},
    "authors": {"published": {("A", "none"): [(1, 0.25), (60, 0.5)]}},
    "no hue": {"spec": replace(SPEC, hue=None)},
    "probes": {"asked": endpoint_of("positive_share", at="last", window=2)},
    "nothing": {"asked": endpoint_of("val_accuracy", head="zeroed", steps=1, at="last", window=1)},
}


@pytest.mark.slow
@pytest.mark.parametrize(
    "case",
    [
        pytest.param(CASES[name], marks=() if name == "plain" else pytest.mark.slow, id=name)
        for name in budget(["plain", "authors", "nothing"], CASES)
    ],
)
def test_the_same_info_gives_the_same_bytes(make_info, case) -> None:
    first, second = (encode(draw_curves(make_info(**case)), "sweep x; commit abc") for _ in range(2))
    assert first == second and set(first) == {"png", "pdf", "svg"}


def test_points_of_seeds_measured_at_other_steps_count_where_they_are(make_trial, make_record, endpoint) -> None:
    trials = [make_trial({"task": "A"}, seed) for seed in range(3)]
    records = {trial.trial_id: make_record(trial, {20: 0.3, 60: 0.5}) for trial in trials[:2]}
    records[trials[2].trial_id] = make_record(trials[2], {40: 0.4, 60: 0.6})
    spec = FigureSpec(kind="curves", x=None, hue=None, facets=())
    request = FigureRequest(plan=trials, records=records, axes=("task",), spec=spec, question="?", endpoint=endpoint)
    info: CurvesInfo = curves_info(request)
    (curve,) = info.panels[0].curves
    assert curve.steps.tolist() == [20, 40, 60] and curve.n.tolist() == [2, 1, 3]
    assert math.isnan(curve.mean[0]) and curve.mean[2] == pytest.approx(1.6 / 3)
    footer = draw_curves(info).texts[1].get_text().replace("\n", " ")
    assert "number of seeds changes along a line" in footer
