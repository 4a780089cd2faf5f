"""The figure of contrastive coefficients by sign (Fig. 9), from probes: `shares_info` and `draw_shares`."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import matplotlib
import numpy as np

from analysis.contract.question import PlannedTrial
from analysis.contract.record import TrialRecord
from analysis.figures.arms import Absence, Arm, FigureRequest, Task, absences_by_seed, absences_in_words
from analysis.figures.layout import (
    Grid,
    Sheet,
    key,
    lay_out,
    ordinates_sentence,
    share_ordinates,
    usual_columns,
    usual_height,
    usual_width,
)
from analysis.figures.lines import Curve, Track, curve_of, draw_curve, finish_panel, seeds_sentence
from analysis.figures.style import GREY, PRINTED, RC, looks
from analysis.numbers.bounds import FRACTION
from analysis.numbers.endpoint import PERCENT, why_not


class SharesPanel(NamedTuple):
    """One facet: for each hue the positive and the negative shares, as fractions.

    `chance` is (1 - 1/N, 1/N), the shares of a zero head; empty if the trials differ in ways or none ran.
    """

    title: str
    positive: tuple[Curve, ...]
    negative: tuple[Curve, ...]
    chance: tuple[float, ...]
    task: Task = ()


class SharesInfo(NamedTuple):
    """All that is drawn; `hues` are the labels in legend order."""

    question: str
    hue_title: str
    hues: tuple[str, ...]
    panels: tuple[SharesPanel, ...]
    absences: tuple[Absence, ...]


def shares_info(request: FigureRequest) -> SharesInfo:
    """Return the numbers of the figure: one panel per facet, two curves per hue, each trial up to its planned length.

    The figure shows every probe; `endpoint` isn't read.
    """
    arms, records = request.arms(), request.records
    panels = []
    for facet in request.facets:
        own = [arm for arm in arms if arm.facet == facet]
        positive, negative = (
            tuple(curve_of(arm, [_track(trial, records, sign) for trial in arm.trials]) for arm in own)
            for sign in ("positive", "negative")
        )
        panels.append(SharesPanel(facet, positive, negative, _chance(own, records), request.tasks[facet]))
    return SharesInfo(
        question=request.question,
        hue_title=request.hue_title,
        hues=request.hues,
        panels=tuple(panels),
        absences=absences_by_seed(arms, lambda trial: _why_incomplete(trial, records.get(trial.trial_id))),
    )


def draw_shares(info: SharesInfo, *, printed: bool = False) -> Sheet:
    """Return the figure: positive shares filled, negative shares hollow, the shares of a zero head dotted.

    If `printed`, it has the width of a paper's column or page.
    """
    columns = usual_columns(len(info.panels))
    with matplotlib.rc_context(PRINTED if printed else RC):
        by_hue = dict(zip(info.hues, looks(len(info.hues)), strict=True))
        keys = [key(*entry) for entry in by_hue.items()] if info.hue_title else []
        width, height = usual_width(columns, printed=printed), usual_height(columns, printed=printed)
        grid = Grid(len(info.panels), columns, width, height, row_gap=0.36)
        figure, places = lay_out(info.question, _footer(info), grid, keys, info.hue_title)
        for index, (axes, panel) in enumerate(zip(places, info.panels, strict=True)):
            axes.set_title(panel.title, loc="left")
            for level in panel.chance:
                axes.axhline(100 * level, color=GREY, linewidth=0.8, linestyle=":", zorder=1)
            for sign, curves in (("positive", panel.positive), ("negative", panel.negative)):
                for curve in curves:
                    place = info.hues.index(curve.label) / len(info.hues)
                    name = f"{curve.label}, {sign}" if curve.label else sign
                    look = by_hue[curve.label]
                    draw_curve(axes, curve, look, PERCENT, FRACTION, place, name, hollow=sign == "negative")
            finish_panel(axes, panel.positive)
            axes.set_ylabel("share of pairs (%)" if index % columns == 0 else "")
            axes.set_xlabel("outer step" if index + columns >= len(info.panels) else "")
        share_ordinates(places, [panel.task for panel in info.panels])
    return figure


def _track(trial: PlannedTrial, records: Mapping[str, TrialRecord], sign: str) -> Track:
    record = records.get(trial.trial_id)
    probes = [] if record is None else [probe for probe in record["probes"] if probe["step"] <= trial.target]
    values = np.array([np.mean(probe[sign]) for probe in probes])
    return Track(trial.seed, np.array([probe["step"] for probe in probes], dtype=int), values)


def _chance(own: Sequence[Arm], records: Mapping[str, TrialRecord]) -> tuple[float, ...]:
    every = [records[trial.trial_id] for arm in own for trial in arm.trials if trial.trial_id in records]
    ways = {record["config"]["ways"] for record in every}
    if len(ways) != 1:
        return ()
    share = 1 / ways.pop()
    return (1 - share, share)


def _why_incomplete(trial: PlannedTrial, record: TrialRecord | None) -> str:
    whole = record is not None and record["probes"] and record["step"] >= trial.target
    return "" if whole else why_not(trial, record, "probe", trial.target)


def _footer(info: SharesInfo) -> str:
    parts = [
        "Share of (support, query) pairs with a positive (filled) and a negative (hollow) contrastive coefficient, "
        "mean over the probed episodes.",
        seeds_sentence(
            [curve for panel in info.panels for curve in (*panel.positive, *panel.negative)], 100.0, FRACTION
        ),
    ]
    if any(panel.chance for panel in info.panels):
        parts.append("Dotted lines: 1 - 1/N and 1/N, the shares of a zero head.")
    parts.append(ordinates_sentence([panel.task for panel in info.panels]))
    return " ".join(filter(None, [*parts, absences_in_words(info.absences)]))
