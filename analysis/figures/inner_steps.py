"""The figure of the endpoint against any axis of the sweep: `inner_steps_info` computes, `draw_inner_steps` draws.

Percentages in the info are fractions; only the drawing is in percent. A line joins points along numbers, and none joins
named values: nothing lies between them.
"""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple, get_args

import matplotlib
import pandas as pd
from matplotlib.axes import Axes

from analysis.contract.question import NOT_APPLICABLE, Word
from analysis.figures.arms import FACET, FigureRequest, Task, facet_of
from analysis.figures.layout import (
    COLUMN_GAP,
    Grid,
    Sheet,
    clipped_sentence,
    key,
    lay_out,
    note,
    ordinates_sentence,
    seeds_in_words,
    share_ordinates,
    short_ticks,
    tick_room,
    upright,
    usual_columns,
    usual_height,
    usual_width,
)
from analysis.figures.lines import written
from analysis.figures.style import GREY, PRINTED, RC, Look, looks
from analysis.numbers.bounds import Bounds
from analysis.numbers.endpoint import Unit, axis_title, bounds_of, endpoint_sentence, unit_of
from analysis.numbers.measurements import any_reading, measurement_of
from analysis.numbers.tables import Cell, cells
from analysis.numbers.tidy import axis_column

TICKS = 12  # with more labels on the horizontal axis, only some are printed
LOG_RATIO = 100  # if positive values span this ratio or more, the horizontal axis is logarithmic
ASIDE = 1 / 6  # how far left of the numbers the cells without one are, as a part of the numbers' range


class Point(NamedTuple):
    """One cell: `low` and `high` are NaN without an interval, and `mean` is NaN without a seed."""

    x: float
    mean: float
    low: float
    high: float
    planned: int
    seeds: tuple[float, ...]


class Line(NamedTuple):
    """One value of the hue axis within a panel, with the points that the sweep plans."""

    label: str
    points: tuple[Point, ...]


class Panel(NamedTuple):
    """One facet at one step; every panel has the same lines in the same order."""

    title: str
    lines: tuple[Line, ...]
    task: Task = ()


class InnerStepsInfo(NamedTuple):
    """All that is drawn: values have the `unit` of `y_title`.

    `bounds` are those of the metric; intervals may leave them. `ticks` are the positions on the horizontal axis with
    their labels, in the order of the plan; `numeric` says whether the positions are the labels' numbers. `aside` is
    then where the cells stand in which the axis does not apply: left of all numbers, and no line goes there.
    `room` is what the tick labels need beyond the usual width, in inches.
    """

    question: str
    sentence: str
    x_title: str
    y_title: str
    unit: Unit
    room: float
    bounds: Bounds
    hue_title: str
    ticks: tuple[tuple[float, str], ...]
    numeric: bool
    aside: float | None
    log: bool
    columns: int
    panels: tuple[Panel, ...]


def inner_steps_info(request: FigureRequest, values: pd.DataFrame) -> InnerStepsInfo:
    """Return the numbers of the figure: one panel per facet and step, one line per hue.

    `values` are the `endpoint_values` of the request's endpoint. The horizontal axis is numeric if every label of
    `spec.x` where it applies is a finite number and no number occurs twice; otherwise the labels are at 0, 1, 2, ...
    """
    spec, x = request.spec, request.spec.x
    assert x is not None, "a sweep file names the x of every line figure"
    keys = [axis for axis in (*spec.facets, spec.hue, x) if axis is not None]
    unit, step = unit_of(request.endpoint, values["value"]), measurement_of(request.endpoint).step
    by_key = cells(values, request.axes, keys, unit, step)
    labels = {axis: tuple(values[axis_column(axis)].cat.categories) for axis in keys}
    facets = tuple(dict.fromkeys(place[1 : 1 + len(spec.facets)] for place in by_key))
    hues = labels[spec.hue] if spec.hue else ("",)
    ats = tuple(values["at"].cat.categories)
    numbers = _numbers([label for label in labels[x] if label != NOT_APPLICABLE])
    spread = numbers or tuple(map(float, range(len(labels[x]))))
    log = min(spread) > 0 and (spec.logarithmic or max(spread) / min(spread) >= LOG_RATIO)
    aside = _aside(numbers, log) if numbers and NOT_APPLICABLE in labels[x] else None
    rest = iter(spread)
    positions = tuple(aside if aside is not None and label == NOT_APPLICABLE else next(rest) for label in labels[x])
    panels = []
    for at in ats:
        for facet in facets:
            start = (at, *facet)
            lines = tuple(
                Line(hue, _points(by_key, (*start, hue) if spec.hue else start, labels[x], positions)) for hue in hues
            )
            named = facet_of(spec, facet)
            title = FACET.join(part for part in (named, f"{step} {at}" if at not in get_args(Word) else "") if part)
            panels.append(Panel(title, lines, request.tasks[named]))
    return InnerStepsInfo(
        question=request.question,
        sentence=endpoint_sentence(request.endpoint),
        x_title=x.replace("_", " "),
        y_title=axis_title(request.endpoint),
        unit=unit,
        room=tick_room(unit.scale * values["value"]) if any_reading(request.endpoint) else 0.0,
        bounds=bounds_of(request.endpoint),
        hue_title=request.hue_title,
        ticks=tuple(zip(positions, labels[x], strict=True)),
        numeric=bool(numbers),
        aside=aside,
        log=log,
        columns=len(facets) if len(ats) > 1 else usual_columns(len(facets)),
        panels=tuple(panels),
    )


def draw_inner_steps(info: InnerStepsInfo, *, printed: bool = False) -> Sheet:
    """Return the figure: means with 95 % t-intervals over seeds, faint points for seeds, gaps for cells without one.

    If `printed`, it has the width of a paper's column or page.
    """
    labels = [line.label for line in info.panels[0].lines]
    height = usual_height(info.columns, printed=printed)
    y_title, edge = upright(info.y_title, height)
    width = usual_width(info.columns, printed=printed) + (0 if printed else info.room * info.columns)
    gap = COLUMN_GAP + info.room
    grid = Grid(len(info.panels), info.columns, width, height, edge=edge + info.room, column_gap=gap)
    with matplotlib.rc_context(PRINTED if printed else RC):
        drawn = zip(labels, _looks(info), strict=True)
        keys = [key(*entry) for entry in drawn] if info.hue_title else []
        figure, places = lay_out(info.question, _footer(info), grid, keys, info.hue_title)
        for index, (axes, panel) in enumerate(zip(places, info.panels, strict=True)):
            _draw_panel(axes, panel, info)
            axes.set_ylabel(y_title if index % info.columns == 0 else "")
            lowest = index + info.columns >= len(info.panels)
            axes.set_xlabel(info.x_title if lowest else "")
            axes.tick_params(labelbottom=lowest)
        _share_horizontal(places, info)
        filled = [any(point.seeds for line in panel.lines for point in line.points) for panel in info.panels]
        share_ordinates(places, [panel.task if full else None for panel, full in zip(info.panels, filled, strict=True)])
        if info.room:
            short_ticks(axes for axes, full in zip(places, filled, strict=True) if full)
    return figure


def _numbers(labels: Sequence[str]) -> tuple[float, ...]:
    """Return the labels as numbers; () unless all are finite numbers and no two are equal."""
    try:
        numbers = tuple(float(label) for label in labels)
    except ValueError:
        return ()
    return numbers if len(set(numbers)) == len(numbers) and all(map(math.isfinite, numbers)) else ()


def _aside(numbers: Sequence[float], log: bool) -> float:
    """Return the position of the cells in which the axis of `numbers` does not apply."""
    low, high = min(numbers), max(numbers)
    if log:
        return low / ((high / low) ** ASIDE if high > low else 2)
    return low - (ASIDE * (high - low) or 1)


def _looks(info: InnerStepsInfo) -> list[Look]:
    """Return the look of each line; along named values it has markers alone."""
    every = looks(len(info.panels[0].lines))
    return every if info.numeric else [look._replace(dash="none") for look in every]


def _points(
    by_key: dict[tuple[str, ...], Cell], start: tuple[str, ...], labels: Sequence[str], positions: Sequence[float]
) -> tuple[Point, ...]:
    points = []
    for position, label in sorted(zip(positions, labels, strict=True)):
        if (*start, label) in by_key:
            cell = by_key[*start, label]
            _, mean, _, low, high = cell.summary
            points.append(Point(position, mean, low, high, cell.planned, tuple(cell.values.values())))
    return tuple(points)


def _draw_panel(axes: Axes, panel: Panel, info: InnerStepsInfo) -> None:
    axes.set_title(panel.title, loc="left")
    positions = sorted(position for position, _ in info.ticks)
    if info.log:
        axes.set_xscale("log")
    step = math.ceil(len(info.ticks) / TICKS)
    kept = [tick for index, tick in enumerate(info.ticks) if index % step == 0 or tick[0] == info.aside]
    axes.set_xticks([position for position, _ in kept], [label for _, label in kept])
    axes.set_xticks([], minor=True)
    axes.margins(x=0.08, y=0.1)
    beside = _exactly if info.numeric else _beside(positions, len(panel.lines))
    for index, (line, look) in enumerate(zip(panel.lines, _looks(info), strict=True)):
        place = index - (len(panel.lines) - 1) / 2
        _draw_line(axes, line, look, info, beside, place)
    if not any(point.seeds for line in panel.lines for point in line.points):
        axes.text(0.5, 0.5, "no finished trial", transform=axes.transAxes, ha="center", color=GREY)
        axes.set_yticks([])


def _share_horizontal(places: Sequence[Axes], info: InnerStepsInfo) -> None:
    """Give all panels the horizontal axis that shows every tick, since only the lowest row has tick labels."""
    positions = [position for position, _ in info.ticks]
    filled = [axes.get_xlim() for axes in places if axes.has_data()]
    left = min([min(positions), *(left for left, _ in filled)])
    right = max([max(positions), *(right for _, right in filled)])
    for axes in places:
        axes.set_xlim(left, right)


def _exactly(x: float, place: float) -> float:
    """Return `x`: a number has one place on its axis."""
    return x


def _beside(positions: Sequence[float], lines: int) -> Callable[[float, float], float]:
    """Return (x, place) -> x shifted by `place` parts of the tick distance, so that lines don't overlap."""
    part = min(0.14, 0.5 / lines)
    pairs = list(pairwise(positions))
    if not pairs:
        return lambda x, place: x + part * place
    distance = part * min(b - a for a, b in pairs)
    return lambda x, place: x + distance * place


def _draw_line(
    axes: Axes, line: Line, look: Look, info: InnerStepsInfo, at: Callable[[float, float], float], place: float
) -> None:
    scale = info.unit.scale
    xs = [at(point.x, place) for point in line.points]
    means = [scale * point.mean for point in line.points]
    joined = [index for index, point in enumerate(line.points) if point.x != info.aside]
    alone = [index for index, point in enumerate(line.points) if point.x == info.aside]
    for part, dash in ((joined, look.dash), (alone, "none")):
        axes.plot(
            [xs[index] for index in part], [means[index] for index in part], color=look.colour, marker=look.marker,
            markersize=4.4, markeredgecolor="white", linestyle=dash, linewidth=1.3, markeredgewidth=0.5, zorder=4,
        )  # fmt: skip
    for x, mean, point in zip(xs, means, line.points, strict=True):
        if not math.isnan(point.low):
            low, high = scale * info.bounds.clip((point.low, point.high))
            ends = [[mean - low], [high - mean]]
            axes.errorbar(x, mean, ends, color=look.colour, capsize=2, linewidth=0.9, zorder=3)
        scores = [scale * score for score in point.seeds]
        axes.scatter(
            [x] * len(scores), scores, s=9, marker=look.marker, color=look.colour, alpha=0.45, linewidths=0, zorder=2
        )
        if point.seeds:
            note(axes, x, mean, _noted(point, line.label, info))
        if not point.seeds:
            foot = axes.get_xaxis_transform()
            axes.plot(x, 0.03, marker="x", color=look.colour, markersize=4, transform=foot, clip_on=False)
        elif len(point.seeds) < point.planned:
            text = f"n={len(point.seeds)}"
            axes.annotate(text, (x, mean), (-4, -8), textcoords="offset points", ha="right", size=6, color=look.colour)


def _noted(point: Point, label: str, info: InnerStepsInfo) -> str:
    """Return what a page shows of a point."""
    numbers = [written(value, info.unit.scale, info.unit.digits) for value in (point.mean, point.low, point.high)]
    interval = "" if math.isnan(point.low) else f" ({numbers[1]} to {numbers[2]})"
    where = f"{info.x_title} {dict(info.ticks)[point.x]}"
    return f"{label + ', ' if label else ''}{where}: {numbers[0]}{interval}, n = {len(point.seeds)}"


def _footer(info: InnerStepsInfo) -> str:
    points = [point for panel in info.panels for line in panel.lines for point in line.points]
    n = seeds_in_words([len(point.seeds) for point in points])
    means = "Lines" if info.numeric else "Large points"
    parts = [
        f"{info.sentence}.",
        f"{means}: mean over seeds ({n}); bars: 95 % t-interval, none below 3 seeds; faint points: single seeds.",
        clipped_sentence([end for point in points for end in (point.low, point.high)], info.unit.scale, info.bounds),
    ]
    if info.aside is not None:
        parts.append(f"At {NOT_APPLICABLE}, {info.x_title} does not apply.")
    if any(not point.seeds for point in points):
        parts.append("Cross at the bottom: no finished trial.")
    parts.append(ordinates_sentence([panel.task for panel in info.panels]))
    return " ".join(filter(None, parts))
