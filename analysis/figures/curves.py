"""The figure of curves against the outer step: `curves_info` computes, `draw_curves` draws.

Each point is the endpoint read at that outer step, so the last point is the endpoint itself. The first points average
as many evaluations as there are. Numbers stay in the metric's unit.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.contract.record import PROBES
from analysis.figures.arms import Absence, FigureRequest, absences_by_seed, absences_in_words
from analysis.figures.layout import Grid, key, lay_out, usual_columns, usual_width
from analysis.figures.lines import Curve, curve_of, draw_curve, finish_panel, marks, seeds_sentence, track_of
from analysis.figures.style import RC, Look, looks
from analysis.numbers.endpoint import axis_title, metric_sentence, read

PUBLISHED_DASH = (0, (3, 2))
Published = Mapping[tuple[str, str], Sequence[tuple[int, float]]]
"""(facet, hue) -> (outer step, value in the metric's unit) of each point of the authors' curve."""


class CurvePanel(NamedTuple):
    """One facet; `published` has the authors' curves by hue label, for the hues that have one."""

    title: str
    curves: tuple[Curve, ...]
    published: Mapping[str, tuple[tuple[int, float], ...]]


class CurvesInfo(NamedTuple):
    """All that is drawn: values times `scale` have the unit of `y_title`; `hues` are the labels in legend order."""

    question: str
    sentence: str
    y_title: str
    scale: float
    hue_title: str
    hues: tuple[str, ...]
    panels: tuple[CurvePanel, ...]
    absences: tuple[Absence, ...]


def curves_info(request: FigureRequest, published: Published | None = None) -> CurvesInfo:
    """Return the numbers of the figure: one panel per facet, one curve per hue, each trial up to its planned length.

    A seed is missing if it has no endpoint at the planned length; `endpoint.at` isn't read.
    """
    arms, records, endpoint = request.arms(), request.records, request.endpoint
    panels = []
    for facet in request.facets:
        own = [arm for arm in arms if arm.facet == facet]
        curves = tuple(curve_of(arm, [track_of(trial, records, endpoint) for trial in arm.trials]) for arm in own)
        theirs = {hue: tuple(points) for (place, hue), points in (published or {}).items() if place == facet}
        panels.append(CurvePanel(facet, curves, theirs))
    y_title, scale = axis_title(endpoint)
    kind = "probes" if endpoint.metric in PROBES else "evaluations"
    window = "" if endpoint.window == 1 else f", running mean of {endpoint.window} {kind}"
    return CurvesInfo(
        question=request.question,
        sentence=metric_sentence(endpoint) + window,
        y_title=y_title,
        scale=scale,
        hue_title=request.hue_title,
        hues=request.hues,
        panels=tuple(panels),
        absences=absences_by_seed(
            arms, lambda trial: read(trial, records.get(trial.trial_id), endpoint, trial.target).reason
        ),
    )


def draw_curves(info: CurvesInfo) -> Figure:
    """Return the figure: mean and band of three or more seeds, thin lines of fewer, the authors' curves dashed."""
    columns = usual_columns(len(info.panels))
    overlay = any(panel.published for panel in info.panels)
    with matplotlib.rc_context(RC):
        # With an overlay only the authors' curves are dashed; markers distinguish ours in a grey print.
        drawn = [look._replace(dash="-") if overlay else look for look in looks(len(info.hues))]
        by_hue = dict(zip(info.hues, drawn, strict=True))
        keys = [key(*entry) for entry in by_hue.items()] if info.hue_title else []
        if overlay:
            keys.append(key("authors", Look("0.2", "o", PUBLISHED_DASH), linewidth=0.9, markerfacecolor="white"))
        grid = Grid(len(info.panels), columns, usual_width(columns), row_gap=0.36)
        figure, places = lay_out(info.question, _footer(info), grid, keys, info.hue_title)
        for index, (axes, panel) in enumerate(zip(places, info.panels, strict=True)):
            axes.set_title(panel.title, loc="left")
            for curve in panel.curves:
                place = info.hues.index(curve.label) / len(info.hues)
                draw_curve(axes, curve, by_hue[curve.label], info.scale, place)
            for hue, points in panel.published.items():
                _draw_published(axes, points, by_hue[hue], info.scale)
            finish_panel(axes, any(len(curve.steps) for curve in panel.curves) or bool(panel.published))
            axes.set_ylabel(info.y_title if index % columns == 0 else "")
            axes.set_xlabel("outer step" if index + columns >= len(info.panels) else "")
    return figure


def _footer(info: CurvesInfo) -> str:
    curves = [curve for panel in info.panels for curve in panel.curves]
    parts = [f"{info.sentence}.", seeds_sentence(curves)]
    if any(panel.published for panel in info.panels):
        parts.append("Dashed, with hollow markers: the authors' values, in the same colours and markers.")
    if len(info.panels) > 1:
        parts.append("Each panel has its own vertical axis.")
    return " ".join(filter(None, [*parts, absences_in_words(info.absences)]))


def _draw_published(axes: Axes, points: Sequence[tuple[int, float]], look: Look, scale: float) -> None:
    steps = np.array([step for step, _ in points])
    values = scale * np.array([value for _, value in points])
    axes.plot(
        steps, values, color=look.colour, linestyle=PUBLISHED_DASH, linewidth=0.9, marker=look.marker, markersize=4.4,
        markerfacecolor="white", markeredgewidth=0.9, markevery=marks(steps, 0.5), zorder=5,
    )  # fmt: skip
