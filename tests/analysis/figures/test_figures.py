import math
import re
from dataclasses import replace

import pytest
from matplotlib.collections import PathCollection

from analysis.contract.question import FigureSpec
from analysis.figures.arms import FigureRequest
from analysis.figures.inner_steps import InnerStepsInfo, Line, Panel, Point, draw_inner_steps, inner_steps_info
from analysis.figures.layout import EDGE, TITLE_LINE, upright
from analysis.figures.style import encode, looks
from analysis.numbers.endpoint import endpoint_values
from analysis.report.pictures import Drawn, picture
from tests.budget import budget

AXES = ("task", "steps", "zeroing")
SPEC = FigureSpec(kind="line", x="steps", hue="zeroing", facets=("task",))


@pytest.fixture
def make_info(make_trial, make_record, endpoint):
    def make(at="last", spec=SPEC, steps=("1", "5", "2")) -> InnerStepsInfo:
        plan, records = [], {}
        for task in ("A", "B"):
            for step in steps:
                for zeroing in ("none", "every step") if spec.hue else ("none",):
                    for seed in range(3):
                        trial = make_trial({"task": task, "steps": step, "zeroing": zeroing}, seed)
                        plan.append(trial)
                        if (task, step, zeroing) == ("B", "5", "none") or (task, step, seed) == ("A", "5", 2):
                            continue
                        records[trial.trial_id] = make_record(trial, {20: 0.3, 60: 0.5 + 0.1 * seed})
        asked = replace(endpoint, at=at)
        request = FigureRequest(
            plan=plan, records=records, axes=AXES, spec=spec, question="Does it matter?", endpoint=asked
        )
        return inner_steps_info(request, endpoint_values(plan, records, asked))

    return make


def test_points_are_means_and_intervals_over_seeds_in_numeric_order(make_info) -> None:
    info = make_info()
    assert [panel.title for panel in info.panels] == ["A", "B"]
    assert info.ticks == ((1.0, "1"), (5.0, "5"), (2.0, "2")) and not info.log
    line = info.panels[0].lines[0]
    assert line.label == "none" and [point.x for point in line.points] == [1.0, 2.0, 5.0]
    whole, _, partial = line.points
    half = 4.302652729911275 * 0.1 / math.sqrt(3)
    assert whole[1:5] == (pytest.approx(0.6), pytest.approx(0.6 - half), pytest.approx(0.6 + half), 3)
    assert whole.seeds == pytest.approx((0.5, 0.6, 0.7))
    assert partial.mean == pytest.approx(0.55) and math.isnan(partial.low) and len(partial.seeds) == 2


def test_a_cell_without_data_stays_as_a_gap(make_info) -> None:
    point = make_info().panels[1].lines[0].points[2]
    assert math.isnan(point.mean) and point.seeds == () and point.planned == 3


def test_labels_that_are_no_numbers_stand_in_plan_order(make_info) -> None:
    info = make_info(steps=("few", "1", "many"))
    assert info.ticks == ((0.0, "few"), (1.0, "1"), (2.0, "many"))


def test_wide_positive_values_are_drawn_on_a_logarithm(make_info) -> None:
    assert make_info(steps=("1e-4", "0.01", "0.1")).log and make_info(steps=("0.01", "0.1", "1")).log
    assert not make_info(steps=("0", "0.01", "10")).log and not make_info().log


def test_an_axis_declared_as_a_logarithm_is_drawn_as_one_and_names_never_are(make_info) -> None:
    declared = replace(SPEC, logarithmic=True)
    assert make_info(spec=declared).log
    assert draw_inner_steps(make_info(spec=declared)).axes[0].get_xscale() == "log"
    assert not make_info(spec=declared, steps=("few", "many")).log


def test_where_an_axis_of_numbers_does_not_apply_is_beside_the_numbers_and_no_line_goes_there(make_info) -> None:
    info = make_info(steps=("-", "1", "5", "2"))
    assert info.numeric and not info.log
    assert info.ticks == ((pytest.approx(1 - 4 / 6), "-"), (1.0, "1"), (5.0, "5"), (2.0, "2"))
    ((axes, *_),) = [draw_inner_steps(info).axes]
    lines = [line for line in axes.get_lines() if len(line.get_xdata())]
    joined = [list(line.get_xdata()) for line in lines if line.get_linestyle() != "None" and len(line.get_xdata()) > 1]
    assert joined == [[1.0, 2.0, 5.0]] * 2
    alone = [line for line in lines if line.get_marker() in ("o", "s") and list(line.get_xdata()) == [info.aside]]
    assert {line.get_linestyle() for line in alone} == {"None"} and [60.0] in [list(line.get_ydata()) for line in alone]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["-", "1", "5", "2"]
    far = make_info(steps=("0.01", "-", "10"))
    assert far.log and far.aside == pytest.approx(0.01 / 1000 ** (1 / 6)) and make_info().aside is None
    assert make_info(steps=("-", "7")).aside == 6.0


def test_seeds_and_means_sit_on_their_number(make_info) -> None:
    for steps in (("1", "5", "2"), ("0.01", "0.1", "1")):
        axes = draw_inner_steps(make_info(steps=steps)).axes[0]
        clouds = [cloud.get_offsets() for cloud in axes.collections if isinstance(cloud, PathCollection)]
        drawn = {float(x) for cloud in clouds for x in cloud[:, 0]}
        drawn |= {float(x) for line in axes.lines if len(line.get_xdata()) == 3 for x in line.get_xdata()}
        assert drawn == {float(step) for step in steps}


def test_facets_of_one_task_share_their_ordinate_and_others_keep_their_own(make_info) -> None:
    info = make_info()
    low = tuple(
        line._replace(
            points=tuple(
                point._replace(mean=point.mean / 4, low=math.nan, high=math.nan, seeds=(point.mean / 4,))
                for point in line.points
            )
        )
        for line in info.panels[0].lines
    )
    panels = (info.panels[0], Panel("C", low, info.panels[0].task), Panel("D", low, (("omniglot", "5", "1"),)))
    figure = draw_inner_steps(info._replace(panels=panels, columns=3))
    first, second, other = (axes.get_ylim() for axes in figure.axes)
    assert first == second and other[1] < first[1]
    assert "Panels of one task have the same vertical axis." in figure.footer
    assert "All panels have the same" in draw_inner_steps(info._replace(panels=panels[:2])).footer
    assert "Each panel has its own" in draw_inner_steps(info._replace(panels=panels[1:])).footer


def test_a_page_shows_a_value_where_it_is_drawn_and_prints_the_texts_itself(make_info) -> None:
    figure = draw_inner_steps(make_info())
    shown = picture("figure_1", Drawn(figure, "A caption."), "sweep x")
    assert shown.caption == figure.footer and "Does it matter?" not in shown.alt
    assert len(shown.marks) == 11
    mark = shown.marks[0]
    assert mark.text == "none, steps 1: 60.0 (35.2 to 84.8), n = 3"
    width, height = figure.get_size_inches()
    x, y = figure.axes[0].transData.transform((1, 60)) / figure.dpi
    assert mark.x == pytest.approx(x / width, abs=1e-4)
    assert mark.y == pytest.approx((height - figure.head - y) / (height - figure.head - figure.foot), abs=1e-4)
    size = re.search(rb'viewBox="0 0 ([\d.]+) ([\d.]+)"', shown.data)
    assert [float(side) / 72 for side in size.groups()] == pytest.approx(
        [width, height - figure.head - figure.foot], abs=0.01
    )
    assert shown.data == picture("figure_1", Drawn(figure, "A caption."), "sweep x").data


def test_every_outer_step_has_its_panels(make_info) -> None:
    info = make_info(at=(20, 60))
    titles = ["A · outer step 20", "B · outer step 20", "A · outer step 60", "B · outer step 60"]
    assert [panel.title for panel in info.panels] == titles and info.columns == 2


CASES = {
    "last": {},
    "two outer steps": {"at": (20, 60)},
    "no data": {"at": (40,)},  # never evaluated: every panel empty
    "names": {"steps": ("few", "$many_{x}$")},
    "logarithmic": {"steps": ("1e-4", "0.01", "0.1")},
    "no hue": {"spec": FigureSpec(kind="inner_steps", x="steps", hue=None, facets=("task",))},
}


@pytest.mark.slow
@pytest.mark.parametrize(
    "case",
    [
        pytest.param(CASES[name], marks=() if name == "last" else pytest.mark.slow, id=name)
        for name in budget(["last", "no data", "names"], CASES)
    ],
)
def test_the_same_info_gives_the_same_bytes(make_info, case) -> None:
    info = make_info(**case)
    first, second = (encode(draw_inner_steps(info), "sweep x; commit abc") for _ in range(2))
    assert first == second
    assert first["png"].startswith(b"\x89PNG") and b"sweep x; commit abc" in first["png"]
    assert first["pdf"].startswith(b"%PDF") and b"sweep x; commit abc" in first["pdf"]
    assert b"CreationDate" not in first["pdf"] and b"/Type3" not in first["pdf"]
    assert b"<svg" in first["svg"] and b"sweep x; commit abc" in first["svg"] and b"<dc:date>" not in first["svg"]


def test_the_drawing_shows_percent_the_question_and_every_planned_line(make_info) -> None:
    figure = draw_inner_steps(make_info())
    texts = [text.get_text() for text in figure.texts]
    assert texts[0] == "Does it matter?" and "n = 2 to 3" in texts[1].replace("\n", " ")
    axes = figure.axes[0]
    assert axes.get_ylabel() == "test accuracy (%)"
    assert axes.lines[0].get_ydata() == pytest.approx([60, 60, 55])
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["none", "every step"]


def test_named_values_are_points_and_no_line_joins_them(make_info) -> None:
    def dashes(steps: tuple[str, ...]) -> set[str]:
        figure = draw_inner_steps(make_info(steps=steps))
        lines = [line for line in figure.axes[0].lines if len(line.get_xdata()) == len(steps)]
        keys = figure.legends[0].get_lines()
        assert len(lines) == 2 and [key.get_linestyle() for key in keys] == [line.get_linestyle() for line in lines]
        return {line.get_linestyle() for line in lines}

    assert dashes(("few", "1", "many")) == {"None"}
    assert "None" not in dashes(("1", "5", "2"))
    footer = draw_inner_steps(make_info(steps=("few", "1", "many"))).texts[1].get_text()
    assert "Large points: mean over seeds" in footer.replace("\n", " ")


def test_a_bar_ends_at_the_bounds_of_the_metric_and_says_so(make_info) -> None:
    info = make_info()
    point = Point(x=1.0, mean=0.98, low=0.9, high=1.06, planned=3, seeds=(0.94, 1.0, 1.0))
    panel = Panel("A", (Line("none", (point,)), Line("every step", (point._replace(mean=0.02, low=-0.06, high=0.1),))))
    figure = draw_inner_steps(info._replace(panels=(panel,)))
    ends = [bar.get_segments()[0][:, 1].tolist() for bar in figure.axes[0].collections if hasattr(bar, "get_segments")]
    assert ends == [pytest.approx([90, 100]), pytest.approx([0, 10])]
    assert "Intervals are cut at 0 and 100" in figure.texts[1].get_text().replace("\n", " ")
    assert "cut at" not in draw_inner_steps(make_info(at=(20,))).texts[1].get_text()


def test_panels_share_the_horizontal_axis_since_only_the_lowest_have_labels(make_info) -> None:
    info = make_info()
    short = Panel("B", tuple(line._replace(points=line.points[:1]) for line in info.panels[0].lines))
    spread = draw_inner_steps(info._replace(panels=(short, info.panels[0]), columns=1)).axes
    assert spread[0].get_xlim() == spread[1].get_xlim()
    (alone,) = draw_inner_steps(info._replace(panels=(short,))).axes
    assert alone.get_xlim()[0] <= 1 and alone.get_xlim()[1] >= 5


def test_a_long_title_of_an_axis_breaks_and_gets_its_room() -> None:
    assert upright("test accuracy (%)") == ("test accuracy (%)", EDGE)
    title, edge = upright("positive coefficients (% of pairs)\nmean of 5 probes")
    assert title.splitlines() == ["positive coefficients (% of", "pairs)", "mean of 5 probes"]
    assert edge == pytest.approx(EDGE + 2 * TITLE_LINE)


def test_lines_differ_without_their_colour() -> None:
    assert len({(look.marker, look.dash) for look in looks(35)}) == 35
