"""The figures of searches: best so far against spent steps, slices, parallel coordinates, importance. Computes none.

`analysis.numbers.searched` computes. Values are as measured, times the scale of their unit.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import matplotlib
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter, StrMethodFormatter

from analysis.contract.search import SearchDimension, SearchFound
from analysis.figures.style import GREY, HEAT, RC, looks
from analysis.numbers.endpoint import Unit, axis_title
from analysis.numbers.searched import best_so_far, last_values, unit_places

WIDTH = 6.6
MOST_NAMED = 12


class SearchFigure(NamedTuple):
    """A figure, and the sentence that says what it shows."""

    figure: Figure
    caption: str


def figures_of(searches: Sequence[SearchFound], unit: Unit) -> dict[str, SearchFigure]:
    """Return the figures of a sweep's searches by name; none where there is too little to draw."""
    begun = [found for found in searches if any(one.value is not None for one in found.values)]
    if not begun:
        return {}
    with matplotlib.rc_context(RC):
        made = {"best_so_far": _best_so_far(begun, unit), "slices": _slices(begun, unit)}
        if any(len(found.dimensions) > 1 for found in begun):
            made["parallel_coordinates"] = _parallel(begun, unit)
        if any(found.importance for found in begun):
            made["importance"] = _importance(begun)
    return made


def _title(searches: Sequence[SearchFound]) -> str:
    """Return the title of an axis with the values; searches of several trainers may have several metrics."""
    return " or\n".join(dict.fromkeys(axis_title(found.metric) for found in searches))


def _legend(figure: Figure) -> None:
    """Name what the panels share below them, once each, and give the figure the height that the names take."""
    named: dict[str, Artist] = {}
    for axes in figure.axes:
        for handle, name in zip(*axes.get_legend_handles_labels(), strict=True):
            named.setdefault(name, handle)
    if len(named) > 1:
        columns = 3 if max(map(len, named)) < 28 else 2
        figure.set_figheight(figure.get_figheight() + 0.17 * -(-len(named) // columns))
        figure.legend(handles=list(named.values()), labels=list(named), loc="outside lower center", ncols=columns)


def _dimensions(searches: Sequence[SearchFound]) -> list[SearchDimension]:
    """Return every dimension of some search, in order. One that applies to some cells alone is in some searches."""
    return list({one.name: one for found in searches for one in found.dimensions}.values())


def _best_so_far(searches: Sequence[SearchFound], unit: Unit) -> SearchFigure:
    """Draw a step line for each cell. Several seeds are a band from the worst to the best, with the line between.

    Cells of a matrix of several axes are in a panel for each value of the first axis.
    """
    cells: dict[tuple[str, ...], list[SearchFound]] = {}
    for found in searches:
        cells.setdefault(tuple(found.labels.values()), []).append(found)
    facets = list(dict.fromkeys(labels[0] for labels in cells if labels[1:])) or [""]
    columns = min(len(facets), 3)
    figure = Figure(figsize=(WIDTH, 3.0 * -(-len(facets) // columns)), layout="constrained")
    panels = figure.subplots(-(-len(facets) // columns), columns, squeeze=False, sharex=True, sharey=True)
    for panel, facet in zip(panels.flat, facets, strict=False):
        panel.set_title(facet)
        panel.set_xlabel("steps spent by all trials of a search")
        inside = [labels for labels in cells if not facet or labels[0] == facet]
        _curves(panel, {labels[bool(facet) :]: cells[labels] for labels in inside}, unit)
    for panel in list(panels.flat)[len(facets) :]:
        panel.set_visible(False)
    panels[0][0].set_ylabel(_title(searches))
    _legend(figure)
    seeds = max(len(group) for group in cells.values())
    band = (
        f" The line is the median of {seeds} seeds, the band goes from the least to the largest." if seeds > 1 else ""
    )
    return SearchFigure(
        figure,
        "Best so far, read at the highest rung that any trial has reached, against the steps that were spent."
        f"{band} A search chose this value, so it flatters.",
    )


def _curves(axes: Axes, cells: Mapping[tuple[str, ...], Sequence[SearchFound]], unit: Unit) -> None:
    for (labels, group), look in zip(cells.items(), looks(len(cells)), strict=True):
        curves = [best_so_far(found) for found in group]
        steps = sorted({point.steps for curve in curves for point in curve})
        rows = [[_at(curve, step) for curve in curves] for step in steps]
        shown = [(step, [value for value in row if value is not None]) for step, row in zip(steps, rows, strict=True)]
        shown = [(step, values) for step, values in shown if len(values) == len(curves)]
        middle = [unit.scale * sorted(values)[len(values) // 2] for _, values in shown]
        xs = [step for step, _ in shown]
        axes.step(xs, middle, where="post", color=look.colour, linestyle=look.dash, label=" · ".join(labels) or None)
        if len(curves) > 1:
            low, high = ([unit.scale * pick(values) for _, values in shown] for pick in (min, max))
            axes.fill_between(xs, low, high, step="post", color=look.colour, alpha=0.2, linewidth=0)


def _at(curve: Sequence[tuple[int, float, int]], step: int) -> float | None:
    before = [value for steps, value, _ in curve if steps <= step]
    return before[-1] if before else None


def _slices(searches: Sequence[SearchFound], unit: Unit) -> SearchFigure:
    """Draw a panel for each dimension: each proposal's value, darker the further its rung."""
    dimensions = _dimensions(searches)
    columns = min(len(dimensions), 3)
    rows = -(-len(dimensions) // columns)
    figure = Figure(figsize=(WIDTH, 2.4 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False, sharey=True)
    for panel, dimension in zip(panels.flat, dimensions, strict=False):
        for found, look in zip(searches, looks(len(searches)), strict=True):
            if dimension.name not in found.points[0].params:
                continue
            heard = [one for one in last_values(found).values() if one.value is not None]
            places = [_place(dimension, found.points[one.number].params[dimension.name]) for one in heard]
            shades = [0.25 + 0.75 * (one.rung + 1) / len(found.rungs) for one in heard]
            values = [unit.scale * one.value for one in heard if one.value is not None]
            panel.scatter(places, values, s=14, alpha=shades, color=look.colour, marker=look.marker, linewidths=0)
            name = " · ".join(found.labels.values())
            panel.plot([], [], look.marker, color=look.colour, markersize=4, linestyle="", label=name or None)
        if dimension.kind == "log":
            panel.set_xscale("log")
            panel.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
            panel.xaxis.set_minor_formatter(NullFormatter())
        if dimension.kind == "int":
            panel.xaxis.set_major_locator(MaxNLocator(integer=True))
        if dimension.kind == "choice":
            panel.margins(x=0.2)
            panel.set_xticks(range(len(dimension.labels)), dimension.labels)
        panel.set_xlabel(dimension.name.replace("_", " "))
    for panel in list(panels.flat)[len(dimensions) :]:
        panel.set_visible(False)
    panels[0][0].set_ylabel(_title(searches))
    _legend(figure)
    return SearchFigure(
        figure, "Each proposal's value at the rung it reached, against each dimension; darker is further."
    )


def _place(dimension: SearchDimension, param: int | float | str) -> float:
    return float(dimension.labels.index(str(param))) if dimension.kind == "choice" else float(param)


def _parallel(searches: Sequence[SearchFound], unit: Unit) -> SearchFigure:
    """Draw a line for each proposal across the dimensions, coloured by its value."""
    dimensions = _dimensions(searches)
    figure = Figure(figsize=(WIDTH, 3.0), layout="constrained")
    axes = figure.add_subplot()
    every = [(found, one) for found in searches for one in last_values(found).values() if one.value is not None]
    values = [one.value for _, one in every if one.value is not None]
    low, high = min(values), max(values)
    colours = matplotlib.colormaps[HEAT]
    places = [{one.name: unit_places(found, one.name) for one in found.dimensions} for found in searches]
    for found, one in sorted(every, key=lambda pair: (pair[1].rung, pair[1].number)):
        assert one.value is not None
        share = (one.value - low) / (high - low) if high > low else 0.5
        own = places[list(searches).index(found)]
        through = [(n, own[each.name][one.number]) for n, each in enumerate(dimensions) if each.name in own]
        xs, ys = [n for n, _ in through], [height for _, height in through]
        marker, width = "" if through[1:] else "o", 0.8 + 0.6 * one.rung
        axes.plot(xs, ys, color=colours(share), linewidth=width, alpha=0.8, marker=marker, markersize=3)
    for number, dimension in enumerate(dimensions):
        axes.axvline(number, color=GREY, linewidth=0.6)
        if dimension.kind == "choice":
            last = max(len(dimension.labels) - 1, 1)
            for index, label in enumerate(dimension.labels[:MOST_NAMED]):
                axes.annotate(label, (number, index / last), xytext=(3, 0), textcoords="offset points", fontsize=6.5)
        else:
            params = [found.points[number].params for found in searches for number in last_values(found)]
            points = [float(of[dimension.name]) for of in params if dimension.name in of]
            for place, end in ((0.0, min(points)), (1.0, max(points))):
                axes.annotate(f"{end:.4g}", (number, place), xytext=(3, 2), textcoords="offset points", fontsize=6.5)
    axes.set_xticks(range(len(dimensions)), [dimension.name.replace("_", " ") for dimension in dimensions])
    axes.set_yticks([])
    axes.grid(False)
    scale = matplotlib.cm.ScalarMappable(matplotlib.colors.Normalize(unit.scale * low, unit.scale * high), colours)
    figure.colorbar(scale, ax=axes, label=_title(searches))
    return SearchFigure(
        figure, "Every proposal as a line across the dimensions, coloured by its value; thicker is further."
    )


def _importance(searches: Sequence[SearchFound]) -> SearchFigure:
    """Draw a bar for each dimension: its share in the spread of the values."""
    shares: list[Mapping[str, float]] = [found.importance for found in searches if found.importance]
    names = [dimension.name for dimension in _dimensions(searches)]
    figure = Figure(figsize=(WIDTH, 0.8 + 0.3 * len(names) * len(shares)), layout="constrained")
    axes = figure.add_subplot()
    height = 0.8 / len(shares)
    named = [found.name for found in searches if found.importance]
    for index, (share, name, look) in enumerate(zip(shares, named, looks(len(shares)), strict=True)):
        places = [number + index * height for number in range(len(names))]
        axes.barh(places, [share.get(one, 0.0) for one in names], height, color=look.colour, label=name)
    axes.set_yticks([number + 0.4 - height / 2 for number in range(len(names))], names)
    axes.invert_yaxis()
    axes.set_xlabel("share of the spread of the values (fANOVA)")
    axes.grid(axis="x")
    if len(shares) > 1:
        axes.legend()
    return SearchFigure(figure, "The share of each dimension in the spread of the values, by Optuna's fANOVA.")
