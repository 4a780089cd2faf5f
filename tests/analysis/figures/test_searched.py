"""Figures of many searches: a panel for each task, and each method named once, outside the panels."""

import pytest
from matplotlib.figure import Figure

from analysis.contract.search import SearchDimension, SearchFound, SearchPoint, SearchValue
from analysis.figures.searched import figures_of
from analysis.numbers.endpoint import unit_of
from tests.analysis.any_trainer import ACCURACY

METHODS = ("MAML", "ANIL", "Reptile", "a method with quite a long name")


def search(labels: dict[str, str]) -> SearchFound:
    name = " · ".join(labels.values())
    return SearchFound(
        search_id=name, name=name, labels=labels, seed=0, sampler="tpe", trials=2, rungs=(20,), factor=3,
        better="higher", metric=ACCURACY, dimensions=(SearchDimension("lr", "log"),),
        points=tuple(SearchPoint(n, {"lr": 0.1 + n}, f"{name}{n}", None, "") for n in range(2)),
        values=tuple(SearchValue(n, 0, 20, 0.3 + n / 100, "done", 20) for n in range(2)), confirmed=(), importance={},
    )  # fmt: skip


def named(figure: Figure) -> list[str]:
    """Return the names of the legend, which must not lie on a panel."""
    figure.draw_without_rendering()
    (legend,) = figure.legends
    panels = [axes.get_window_extent() for axes in figure.axes if axes.get_visible()]
    assert legend.get_window_extent().y1 < min(box.y0 for box in panels)
    return [text.get_text() for text in legend.get_texts()]


@pytest.mark.slow
@pytest.mark.parametrize("tasks", [("5w1s",), ("5w1s", "20w1s"), ("a", "b", "c", "d")])
def test_tasks_have_a_panel_each_and_methods_are_named_once_below_them(tasks: tuple[str, ...]) -> None:
    searches = [search({"task": task, "method": method}) for task in tasks for method in METHODS]
    made = figures_of(searches, unit_of(ACCURACY))
    best = made["best_so_far"].figure
    assert [axes.get_title() for axes in best.axes if axes.get_visible()] == list(tasks)
    assert named(best) == list(METHODS)
    assert named(made["slices"].figure) == [f"{task} · {method}" for task in tasks for method in METHODS]


def test_one_search_needs_no_legend() -> None:
    made = figures_of([search({})], unit_of(ACCURACY))
    assert not made["best_so_far"].figure.legends and not made["slices"].figure.legends
