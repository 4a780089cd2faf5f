"""Endpoint values -> the figure "accuracy against an axis": `inner_steps_info` computes, `draw_inner_steps` draws.

Numbers in the info are fractions; percent appears on paper only.
"""

import math
import textwrap
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

import matplotlib
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.endpoint import endpoint_sentence
from analysis.style import GREY, RC, Look, looks
from analysis.tables import Cell, cells
from analysis.tidy import axis_column
from sweeper.schema import Endpoint, FigureSpec

TICKS = 12  # more labels than this along one abscissa are thinned out
LOG_RATIO = 100  # positive values that span more than this are drawn on a logarithmic abscissa

LEFT, EDGE, RIGHT = 0.08, 0.56, 0.12  # inches: margin of texts, of the leftmost panel, at the right
PANEL, PANEL_TITLE, ROW_GAP, COLUMN_GAP = 1.7, 0.24, 0.16, 0.42


class Point(NamedTuple):
    """One cell: `low` and `high` are NaN without an interval, `mean` too without a seed."""

    x: float
    mean: float
    low: float
    high: float
    planned: int
    seeds: tuple[float, ...]


class Line(NamedTuple):
    """One value of the hue axis within a panel; only points that the sweep plans."""

    label: str
    points: tuple[Point, ...]


class Panel(NamedTuple):
    """One value of the facets axis at one outer step; every panel has the same lines in the same order."""

    title: str
    lines: tuple[Line, ...]


class InnerStepsInfo(NamedTuple):
    """All that is drawn. `ticks` are the abscissa's positions with their labels, in the order of the plan."""

    question: str
    sentence: str
    x_title: str
    y_title: str
    hue_title: str
    ticks: tuple[tuple[float, str], ...]
    log: bool
    columns: int
    panels: tuple[Panel, ...]


def inner_steps_info(
    values: pd.DataFrame, axes: Sequence[str], spec: FigureSpec, question: str, endpoint: Endpoint
) -> InnerStepsInfo:
    """Return the numbers of the figure over `endpoint_values`: one panel a facet and outer step, one line a hue.

    The abscissa is numeric if every label of `spec.x` is a finite number; otherwise labels stand at 0, 1, 2, ...
    """
    keys = [axis for axis in (spec.facets, spec.hue, spec.x) if axis is not None]
    by_key = cells(values, axes, keys)
    labels = {axis: tuple(values[axis_column(axis)].cat.categories) for axis in keys}
    facets = labels[spec.facets] if spec.facets else ("",)
    hues = labels[spec.hue] if spec.hue else ("",)
    ats = tuple(values["at"].cat.categories)
    positions = _positions(labels[spec.x])
    panels = []
    for at in ats:
        for facet in facets:
            start = (at, facet) if spec.facets else (at,)
            lines = tuple(
                Line(hue, _points(by_key, (*start, hue) if spec.hue else start, labels[spec.x], positions))
                for hue in hues
            )
            title = " · ".join(part for part in (facet, f"outer step {at}" if at != "last" else "") if part)
            panels.append(Panel(title, lines))
    split = endpoint.metric.removesuffix("_accuracy")
    return InnerStepsInfo(
        question=question,
        sentence=endpoint_sentence(endpoint),
        x_title=spec.x.replace("_", " "),
        y_title=f"{split} accuracy (%)",
        hue_title=spec.hue.replace("_", " ") if spec.hue else "",
        ticks=tuple(zip(positions, labels[spec.x], strict=True)),
        log=min(positions) > 0 and max(positions) / min(positions) > LOG_RATIO,
        columns=len(facets) if len(ats) > 1 or len(facets) <= 3 else (2 if len(facets) == 4 else 3),
        panels=tuple(panels),
    )


def draw_inner_steps(info: InnerStepsInfo) -> Figure:
    """Return the figure: means with 95 % t-intervals over seeds, single seeds as faint points, gaps where none ran.

    All places are given in inches: matplotlib's layout solvers round differently from call to call, and the same info
    shall give the same bytes.
    """
    rows = math.ceil(len(info.panels) / info.columns)
    width = {1: 4.6, 2: 6.6}.get(info.columns, 2.5 * info.columns)
    title = textwrap.wrap(info.question, int(width * 12.5))
    footer = textwrap.wrap(_footer(info), int(width * 19.5))
    hues = len(info.panels[0].lines)
    legend_columns = min(hues, 2 * info.columns)
    top = 0.1 + 0.17 * len(title)
    head = top + (0.27 + 0.16 * math.ceil(hues / legend_columns) if info.hue_title else 0.05)
    foot = 0.55 + 0.12 * len(footer)
    height = head + rows * (PANEL_TITLE + PANEL) + (rows - 1) * ROW_GAP + foot
    with matplotlib.rc_context(RC):
        figure = Figure(figsize=(width, height))
        figure.text(LEFT / width, 1 - 0.08 / height, "\n".join(title), va="top", size=9.5, weight="bold")
        figure.text(LEFT / width, 0.08 / height, "\n".join(footer), va="bottom", size=6.5, color=GREY, linespacing=1.3)
        if info.hue_title:
            _legend(figure, info, legend_columns, (LEFT / width, 1 - top / height))
        panel_width = (width - EDGE - RIGHT - (info.columns - 1) * COLUMN_GAP) / info.columns
        for index, panel in enumerate(info.panels):
            row, column = divmod(index, info.columns)
            x = EDGE + column * (panel_width + COLUMN_GAP)
            y = height - head - (row + 1) * (PANEL_TITLE + PANEL) - row * ROW_GAP
            axes = figure.add_axes((x / width, y / height, panel_width / width, PANEL / height))
            _draw_panel(axes, panel, info)
            axes.set_ylabel(info.y_title if column == 0 else "")
            lowest = index + info.columns >= len(info.panels)
            axes.set_xlabel(info.x_title if lowest else "")
            axes.tick_params(labelbottom=lowest)
    return figure


def _positions(labels: Sequence[str]) -> tuple[float, ...]:
    try:
        numbers = tuple(float(label) for label in labels)
    except ValueError:
        return tuple(float(index) for index in range(len(labels)))
    if len(set(numbers)) < len(numbers) or not all(map(math.isfinite, numbers)):
        return tuple(float(index) for index in range(len(labels)))
    return numbers


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
    kept = info.ticks[::step]
    axes.set_xticks([position for position, _ in kept], [label for _, label in kept])
    axes.set_xticks([], minor=True)
    axes.margins(x=0.08, y=0.1)
    beside = _beside(positions, info.log, len(panel.lines))
    for index, (line, look) in enumerate(zip(panel.lines, looks(len(panel.lines)), strict=True)):
        place = index - (len(panel.lines) - 1) / 2
        _draw_line(axes, line, look, lambda x, shift, place=place: beside(x, place + shift))
    if not any(point.seeds for line in panel.lines for point in line.points):
        axes.text(0.5, 0.5, "no finished trial", transform=axes.transAxes, ha="center", color=GREY)
        axes.set_yticks([])


def _beside(positions: Sequence[float], log: bool, lines: int) -> Callable[[float, float], float]:
    """Return (x, place) -> x moved by `place` small parts of the closest ticks' distance: lines side by side."""
    part = min(0.14, 0.5 / lines)
    pairs = list(pairwise(positions))
    if not pairs:
        return lambda x, place: x + part * place
    if log:
        ratio = min(b / a for a, b in pairs) ** part
        return lambda x, place: x * ratio**place
    distance = part * min(b - a for a, b in pairs)
    return lambda x, place: x + distance * place


def _draw_line(axes: Axes, line: Line, look: Look, at: Callable[[float, float], float]) -> None:
    xs = [at(point.x, 0) for point in line.points]
    means = [100 * point.mean for point in line.points]
    style = {"color": look.colour, "marker": look.marker, "markersize": 4.4, "markeredgecolor": "white"}
    axes.plot(xs, means, linestyle=look.dash, linewidth=1.3, markeredgewidth=0.5, zorder=4, **style)
    for x, mean, point in zip(xs, means, line.points, strict=True):
        if not math.isnan(point.low):
            half = 50 * (point.high - point.low)
            axes.errorbar(x, mean, half, color=look.colour, capsize=2, linewidth=0.9, zorder=3)
        scores = [100 * score for score in point.seeds]
        beside = [at(point.x, 0.7)] * len(scores)
        axes.scatter(beside, scores, s=7, marker=look.marker, color=look.colour, alpha=0.45, linewidths=0, zorder=2)
        if not point.seeds:
            foot = axes.get_xaxis_transform()
            axes.plot(x, 0.03, marker="x", color=look.colour, markersize=4, transform=foot, clip_on=False)
        elif len(point.seeds) < point.planned:
            text = f"n={len(point.seeds)}"
            axes.annotate(text, (x, mean), (-4, -8), textcoords="offset points", ha="right", size=6, color=look.colour)


def _legend(figure: Figure, info: InnerStepsInfo, columns: int, corner: tuple[float, float]) -> None:
    labels = [line.label for line in info.panels[0].lines]
    handles = [
        Line2D([], [], color=look.colour, marker=look.marker, linestyle=look.dash, linewidth=1.3, markersize=4.4)
        for look in looks(len(labels))
    ]
    where = {"loc": "upper left", "bbox_to_anchor": corner, "borderaxespad": 0.0, "borderpad": 0.0}
    figure.legend(handles, labels, title=info.hue_title, alignment="left", ncols=columns, handlelength=3.2, **where)


def _footer(info: InnerStepsInfo) -> str:
    points = [point for panel in info.panels for line in panel.lines for point in line.points]
    counts = sorted({len(point.seeds) for point in points if point.seeds})
    n = "no seed" if not counts else f"n = {counts[0]}" if len(counts) == 1 else f"n = {counts[0]} to {counts[-1]}"
    parts = [
        f"{info.sentence}.",
        f"Lines: mean over seeds ({n}); bars: 95 % t-interval, none below 3 seeds; faint: single seeds.",
    ]
    if any(not point.seeds for point in points):
        parts.append("Cross at the foot: no finished trial.")
    if len(info.panels) > 1:
        parts.append("Panels have their own ordinates.")
    return " ".join(parts)
