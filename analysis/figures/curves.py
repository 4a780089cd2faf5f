"""The figure of curves against the step: `curves_info` computes, `draw_curves` draws.

Each point is the endpoint read at that step, so the last point is the endpoint itself. A curve begins with the
first full window. The authors' values are points and no line: nothing was measured between them. Numbers stay in the
metric's unit.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import matplotlib
import numpy as np
from matplotlib.axes import Axes

from analysis.contract.question import Endpoint, PlannedTrial
from analysis.contract.record import TrialRecord
from analysis.figures.arms import Absence, FigureRequest, Task, absences_by_seed, absences_in_words
from analysis.figures.layout import (
    COLUMN_GAP,
    Grid,
    Sheet,
    key,
    lay_out,
    note,
    ordinates_sentence,
    share_ordinates,
    short_ticks,
    tick_room,
    upright,
    usual_columns,
    usual_height,
    usual_width,
)
from analysis.figures.lines import (
    Curve,
    curve_of,
    draw_curve,
    finish_panel,
    only_step,
    seeds_sentence,
    stride,
    thinned,
    track_of,
    written,
)
from analysis.figures.style import PRINTED, RC, Look, looks
from analysis.numbers.bounds import Bounds
from analysis.numbers.endpoint import Unit, axis_title, bounds_of, metric_sentence, read, unit_of
from analysis.numbers.measurements import any_reading, measurement_of

Published = Mapping[tuple[str, str], Sequence[tuple[int, float]]]
"""(facet, hue) -> (outer step, value in the metric's unit) of each of the authors' points."""


class CurvePanel(NamedTuple):
    """One facet; `published` has the authors' points by hue label, for the hues that have some."""

    title: str
    curves: tuple[Curve, ...]
    published: Mapping[str, tuple[tuple[int, float], ...]]
    task: Task = ()


class CurvesInfo(NamedTuple):
    """All that is drawn: values have the `unit` of `y_title`; `hues` are the labels in legend order.

    `bounds` are those of the metric; intervals may leave them. `step` is what the trainer calls a step, and
    `room` is what the tick labels need beyond the usual width, in inches.
    """

    question: str
    sentence: str
    y_title: str
    unit: Unit
    room: float
    step: str
    bounds: Bounds
    hue_title: str
    hues: tuple[str, ...]
    panels: tuple[CurvePanel, ...]
    absences: tuple[Absence, ...]


def curves_info(request: FigureRequest, published: Published | None = None) -> CurvesInfo:
    """Return the numbers of the figure: one panel per facet, one curve per hue, each trial up to its planned length.

    A seed is missing if it has no endpoint at the planned length, or no full window there; `endpoint.at` isn't read.
    Where every endpoint averages fewer measurements than the window, the window is as many as the most has.
    """
    arms, records = request.arms(), request.records
    endpoint = _with_a_window_that_fits(request.endpoint, [trial for arm in arms for trial in arm.trials], records)
    panels, drawn_of = [], 1
    for facet in request.facets:
        own = [arm for arm in arms if arm.facet == facet]
        whole = [curve_of(arm, [track_of(trial, records, endpoint) for trial in arm.trials]) for arm in own]
        drawn_of = max([drawn_of, *map(stride, whole)])
        curves = tuple(map(thinned, whole))
        theirs = {hue: tuple(points) for (place, hue), points in (published or {}).items() if place == facet}
        panels.append(CurvePanel(facet, curves, theirs, request.tasks[facet]))
    y_title, kind = axis_title(endpoint), measurement_of(endpoint).many
    tracks = [track for panel in panels for curve in panel.curves for track in curve.tracks]
    values = np.concatenate([track.values for track in tracks])
    unit = unit_of(endpoint, values)
    sentence, window = metric_sentence(endpoint), endpoint.window
    if window > 1:
        y_title += f"\nmean of {window} {kind}"
        sentence += f", running mean of {window} {kind} from the first full window"
    if window < request.endpoint.window:
        sentence += f", since no trial has the {request.endpoint.window} that the endpoint asks for"
        if published:
            sentence += " and the authors' values average"
    if drawn_of > 1:
        sentence += f", drawn at one of {drawn_of} steps with a measurement"
    return CurvesInfo(
        question=request.question,
        sentence=sentence,
        y_title=y_title,
        unit=unit,
        room=tick_room(unit.scale * values) if any_reading(endpoint) else 0.0,
        step=measurement_of(endpoint).step,
        bounds=bounds_of(endpoint),
        hue_title=request.hue_title,
        hues=request.hues,
        panels=tuple(panels),
        absences=absences_by_seed(arms, lambda trial: _why_missing(trial, records, endpoint, kind)),
    )


def draw_curves(info: CurvesInfo, *, printed: bool = False) -> Sheet:
    """Return the figure: mean and band of three or more seeds, thin lines of fewer, the authors' values as points.

    If `printed`, it has the width of a paper's column or page.
    """
    columns = usual_columns(len(info.panels))
    overlay = any(panel.published for panel in info.panels)
    with matplotlib.rc_context(PRINTED if printed else RC):
        by_hue = dict(zip(info.hues, looks(len(info.hues)), strict=True))
        place_of = {hue: index / len(info.hues) for index, hue in enumerate(info.hues)}
        keys = [key(*entry) for entry in by_hue.items()] if info.hue_title else []
        if overlay:
            keys.append(key("authors", Look("0.2", "o", "none"), markerfacecolor="white"))
        height = usual_height(columns, printed=printed)
        y_title, edge = upright(info.y_title, height)
        width = usual_width(columns, printed=printed) + (0 if printed else info.room * columns)
        gap = COLUMN_GAP + info.room
        grid = Grid(len(info.panels), columns, width, height, edge + info.room, row_gap=0.36, column_gap=gap)
        figure, places = lay_out(info.question, _footer(info), grid, keys, info.hue_title)
        for index, (axes, panel) in enumerate(zip(places, info.panels, strict=True)):
            axes.set_title(panel.title, loc="left")
            for curve in panel.curves:
                place = place_of[curve.label]
                name = curve.label or panel.title or "mean"
                draw_curve(axes, curve, by_hue[curve.label], info.unit, info.bounds, place, name, step=info.step)
            theirs = [step for points in panel.published.values() for step, _ in points]
            alone = only_step(panel.curves, theirs) is not None
            for hue, points in panel.published.items():
                place = place_of[hue] if alone else 0.0
                _draw_published(axes, points, by_hue[hue], info.unit, place, f"authors, {hue}" if hue else "authors")
            finish_panel(axes, panel.curves, theirs)
            axes.set_ylabel(y_title if index % columns == 0 else "")
            axes.set_xlabel(info.step if index + columns >= len(info.panels) else "")
        share_ordinates(places, [panel.task for panel in info.panels])
        if info.room:
            short_ticks(places)
    return figure


def _footer(info: CurvesInfo) -> str:
    curves = [curve for panel in info.panels for curve in panel.curves]
    parts = [f"{info.sentence}.", seeds_sentence(curves, info.unit.scale, info.bounds)]
    if any(panel.published for panel in info.panels):
        parts.append("Hollow markers: the authors' values, in the same colours and markers.")
    parts.append(ordinates_sentence([panel.task for panel in info.panels]))
    return " ".join(filter(None, [*parts, absences_in_words(info.absences)]))


def _with_a_window_that_fits(
    endpoint: Endpoint, trials: Sequence[PlannedTrial], records: Mapping[str, TrialRecord]
) -> Endpoint:
    most = max(read(trial, records.get(trial.trial_id), endpoint, "last").evaluations for trial in trials)
    return replace(endpoint, window=min(endpoint.window, most or endpoint.window))


def _why_missing(trial: PlannedTrial, records: Mapping[str, TrialRecord], endpoint: Endpoint, kind: str) -> str:
    """Return why a trial has no full window at its planned length, or "" if it has one."""
    found = read(trial, records.get(trial.trial_id), endpoint, "last")
    if found.reason or found.evaluations == endpoint.window:
        return found.reason
    return f"with {found.evaluations} of the {endpoint.window} {kind} that a mean takes"


def _draw_published(
    axes: Axes, points: Sequence[tuple[int, float]], look: Look, unit: Unit, place: float, name: str
) -> None:
    """Draw the authors' points by `place` of a step to the right, where a curve of one step stands too."""
    steps = np.array([step + place for step, _ in points])
    values = unit.scale * np.array([value for _, value in points])
    axes.plot(
        steps, values, color=look.colour, linestyle="none", marker=look.marker, markersize=4.4,
        markerfacecolor="white", markeredgewidth=0.9, zorder=5,
    )  # fmt: skip
    for step, value in points:
        text = f"{name}, outer step {step:,}: {written(value, unit.scale, unit.digits)}"
        note(axes, step + place, unit.scale * value, text)
