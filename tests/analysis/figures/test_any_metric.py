"""Figures of numbers of any size: their tick labels are short, have room, and an empty panel changes no other one."""

import pytest
from matplotlib import pyplot
from matplotlib.backends.backend_agg import FigureCanvasAgg

from analysis.contract.question import FigureSpec
from analysis.figures.arms import FigureRequest
from analysis.figures.curves import curves_info, draw_curves
from analysis.figures.inner_steps import draw_inner_steps, inner_steps_info
from analysis.figures.layout import EDGE, short_ticks
from analysis.numbers.endpoint import endpoint_values
from tests.analysis.any_trainer import LOSS, endpoint_of, planned, recorded

PLAN = [planned({"lr": rate, "model": model}, seed) for rate in ("1", "2") for model in "abc" for seed in range(3)]


def request(kind: str, size: float, endpoint=LOSS) -> FigureRequest:
    """Losses of about `size`; model c has none."""
    records = {
        trial.trial_id: recorded(trial, {step: {endpoint.name: size * (trial.seed + 1) / step} for step in (30, 60)})
        for trial in PLAN
        if trial.labels["model"] != "c"
    }
    spec = FigureSpec(kind=kind, x="lr" if kind == "line" else None, hue=None, facets=("model",))
    if kind == "curves":
        spec = FigureSpec(kind=kind, x=None, hue="lr", facets=("model",))
    return FigureRequest(plan=PLAN, records=records, axes=("lr", "model"), spec=spec, question="?", endpoint=endpoint)


def drawn(kind: str, size: float, endpoint=LOSS):
    asked = request(kind, size, endpoint)
    if kind == "curves":
        figure = draw_curves(curves_info(asked))
    else:
        figure = draw_inner_steps(inner_steps_info(asked, endpoint_values(PLAN, asked.records, endpoint)))
    FigureCanvasAgg(figure).draw()
    return figure


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["line", "curves"])
@pytest.mark.parametrize("size", [1e-7, 3e-3, 1.0, 5e6, -4e9, 1e12])
def test_no_tick_label_reaches_into_another_panel_or_over_the_edge(kind: str, size: float) -> None:
    figure = drawn(kind, size, endpoint_of("reward"))
    renderer = figure.canvas.get_renderer()
    boxes = [axes.get_window_extent(renderer) for axes in figure.axes]
    for axes in figure.axes:
        left = axes.get_window_extent(renderer).x0
        own = [box for box in boxes if box.x1 <= left]
        for label in axes.get_yticklabels():
            if label.get_text():
                box = label.get_window_extent(renderer)
                assert box.x0 > max((other.x1 for other in own), default=0.0), label.get_text()
        assert axes.yaxis.label.get_window_extent(renderer).x0 >= 0.0
        assert not axes.yaxis.get_offset_text().get_text()


def test_very_small_numbers_are_written_in_powers_and_an_empty_panel_changes_no_other() -> None:
    axes = drawn("line", 1e-6).axes
    labels = [label.get_text() for label in axes[0].get_yticklabels()]
    assert "2e−8" in labels and all(len(label) <= 7 for label in labels)
    assert axes[0].get_ylim() == axes[1].get_ylim() and axes[0].get_ylim()[1] < 2e-7


def test_usual_numbers_keep_their_usual_labels() -> None:
    _, axes = pyplot.subplots()
    axes.plot([1000.01, 1000.02])
    short_ticks([axes])
    axes.figure.canvas.draw()
    assert axes.get_yticklabels()[1].get_text().startswith("1000.0")
    pyplot.close("all")
    assert EDGE == 0.56  # of MAML's figures, which have no other room
