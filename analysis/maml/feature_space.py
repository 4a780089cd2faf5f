"""The figure of one outer step's effect on features (Figs. 1 and 6): `feature_space_info` computes, `draw_...` draws.

Both orders are measured in the same trial, at the same parameters: only the order of the outer gradient differs.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import matplotlib
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from analysis.figures.arms import Absence, FigureRequest, absences_in_words
from analysis.figures.layout import Grid, Sheet, clipped_sentence, key, lay_out, note, seeds_in_words
from analysis.figures.style import GREY, RC, Look, looks
from analysis.maml.probed import ProbedArm, probed
from analysis.numbers.bounds import NORM, UNBOUNDED
from analysis.numbers.probes import Probe
from analysis.numbers.stats import Summary, summary

ORDERS = ("first", "second")
GRADIENTS = (("support", "gradient"), ("query", "gradient"))
MOVES = (("support", "same"), ("support", "other"), ("query", "same"), ("query", "other"))


class Dot(NamedTuple):
    """One entry of `feature_pull` in one order: its value of each seed, and their statistics."""

    order: str
    features: str
    what: str
    seeds: tuple[float, ...]
    summary: Summary


class FeatureRow(NamedTuple):
    """One arm at one outer step: a dot for each entry and order, in the order of the entries; none without a probe."""

    arm: str
    step: str
    gradients: tuple[Dot, ...]
    moves: tuple[Dot, ...]
    planned: int


class FeatureSpaceInfo(NamedTuple):
    """All that is drawn, row by row."""

    question: str
    rows: tuple[FeatureRow, ...]
    absences: tuple[Absence, ...]


def feature_space_info(request: FigureRequest) -> FeatureSpaceInfo:
    """Return the numbers of the figure: one row per arm (facet and hue) and outer step of `endpoint.at`."""
    found = probed(request, _refusal)
    return FeatureSpaceInfo(request.question, tuple(map(_row, found.arms)), found.absences)


def draw_feature_space(info: FeatureSpaceInfo) -> Sheet:
    """Return the figure: gradients on the features on the left, displacements of the features on the right."""
    grid = Grid(2 * len(info.rows), 2, 6.6, 0.95, edge=0.62, row_gap=0.3, column_gap=1.12, foot=0.74)
    with matplotlib.rc_context(RC):
        drawn = dict(zip(ORDERS, looks(len(ORDERS)), strict=True))
        keys = [key(f"{order} order", look._replace(dash="none"), markersize=5) for order, look in drawn.items()]
        figure, places = lay_out(info.question, _footer(info), grid, keys, "outer gradient")
        for index, row in enumerate(info.rows):
            left, right = places[2 * index : 2 * index + 2]
            left.set_title(" · ".join(filter(None, (row.arm, f"outer step {row.step}"))), loc="left", x=-0.22)
            _draw_dots(left, row.gradients, GRADIENTS, ("support", "query"), drawn)
            names = tuple(f"{features}, {what} class" for features, what in MOVES)
            _draw_dots(right, row.moves, MOVES, names, drawn)
            right.axvline(0, color=GREY, linewidth=0.7, zorder=1)
            left.set_xlim(left=0)
        places[-2].set_xlabel("norm of the outer gradient on the features\n(loss per unit of a feature)")
        places[-1].set_xlabel("displacement along the other set's features\n(change / norm per encoder step / norm)")
    return figure


def _refusal(probe: Probe) -> str:
    """Return why a probe can't be shown, or "" if it can."""
    if "feature_pull" not in probe:
        return "probe of a version without feature_pull"
    pull = probe["feature_pull"]
    if set(ORDERS) - pull.keys():
        return "probe of its own order only (probe_orders: own)"
    finite = all(value is not None for sets in pull.values() for entries in sets.values() for value in entries.values())
    return "" if finite else "not finite"


def _row(found: ProbedArm) -> FeatureRow:
    pulls = [probe["feature_pull"] for probe in found.probes.values()]
    gradients, moves = (
        tuple(_dot(pulls, order, *entry) for entry in entries for order in ORDERS) if pulls else ()
        for entries in (GRADIENTS, MOVES)
    )
    return FeatureRow(found.arm.name, found.step, gradients, moves, len(found.arm.trials))


def _dot(pulls: Sequence[Mapping], order: str, features: str, what: str) -> Dot:
    values = tuple(pull[order][features][what] for pull in pulls)
    return Dot(order, features, what, values, summary(values))


def _draw_dots(
    axes: Axes,
    dots: Sequence[Dot],
    entries: Sequence[tuple[str, str]],
    names: Sequence[str],
    drawn: Mapping[str, Look],
) -> None:
    axes.grid(False)
    axes.set_yticks(range(len(entries)), names)
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(entries) - 0.4, -0.6)
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=(1, 2, 2.5, 5, 10)))
    for place in range(len(entries)):
        axes.axhline(place, color="0.9", linewidth=0.5, zorder=0)
    for dot in dots:
        look = drawn[dot.order]
        y = entries.index((dot.features, dot.what)) + 0.36 * (ORDERS.index(dot.order) - 0.5)
        if not math.isnan(dot.summary.low):
            low, high = (NORM if dot.what == "gradient" else UNBOUNDED).clip((dot.summary.low, dot.summary.high))
            ends = [[dot.summary.mean - low], [high - dot.summary.mean]]
            axes.errorbar(dot.summary.mean, y, xerr=ends, color=look.colour, capsize=2, linewidth=0.9, zorder=3)
        axes.scatter(dot.seeds, [y] * len(dot.seeds), s=6, color=look.colour, alpha=0.4, linewidths=0, zorder=2)
        axes.plot(
            dot.summary.mean, y, color=look.colour, marker=look.marker, markersize=4.6, markeredgecolor="white",
            markeredgewidth=0.5, linestyle="none", clip_on=False, zorder=4,
        )  # fmt: skip
        if dot.seeds:
            text = f"{dot.order} order, {dot.features}: {dot.summary.mean:.3g}, n = {len(dot.seeds)}"
            note(axes, dot.summary.mean, y, text)
        if dot.what == "gradient" and not any(dot.seeds):
            axes.annotate("exactly 0", (0, y), (7, 0), textcoords="offset points", va="center", size=6.5, color=GREY)
    if not dots:
        axes.text(0.5, 0.5, "no probe", transform=axes.transAxes, ha="center", va="center", color=GREY)
        axes.set_xticks([])


def _footer(info: FeatureSpaceInfo) -> str:
    n = seeds_in_words([len(row.gradients[0].seeds) for row in info.rows if row.gradients])
    parts = [
        f"Large points: mean over seeds ({n}); bars: 95 % t-interval, none below 3 seeds; faint points: single seeds.",
        "Left: gradient in feature space, with only the head adapted. Right: displacement by one small plain step of "
        "the encoder along either order's outer gradient; positive is towards the other set's features of that class.",
    ]
    norms = [end for row in info.rows for dot in row.gradients for end in (dot.summary.low, dot.summary.high)]
    parts.append(clipped_sentence(norms, 1.0, NORM))
    if len(info.rows) > 1:
        parts.append("Each row has its own horizontal axis.")
    return " ".join(filter(None, [*parts, absences_in_words(info.absences)]))
