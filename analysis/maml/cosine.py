"""The figure of mean cosine similarities between classes, from probes: `cosine_info` computes, `draw_cosine` draws.

As in the paper's Fig. 2, each panel has two blocks. Rows are query classes; columns are support, then query classes.
"""

import math
from typing import NamedTuple

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from analysis.figures.arms import Absence, FigureRequest, absences_in_words
from analysis.figures.layout import LEFT, RIGHT, Grid, Sheet, lay_out, note, seeds_in_words
from analysis.figures.style import GREY, HEAT, RC
from analysis.maml.probed import ProbedArm, probed
from analysis.numbers.probes import Pairs, blocks, query_query, support_query

RANGE = (0.0, 0.6)  # of the colour scale, as in the paper; a number outside widens it
NUMBERED = 7  # classes; with more, cells are too small for numbers
SIDE = 1.0  # width and height of one block, in inches
GAP = 0.06  # between the blocks, as a fraction of a block
BAR = 0.5  # inches for the colour bar below
NOTHING = Pairs(math.nan, math.nan)


class Heat(NamedTuple):
    """One arm at one outer step: `cosines` (N, 2N) is the mean over seeds, or None if no seed has a probe.

    `within` includes the self-pairs of query images, as the paper does; `own` leaves them out (NaN if unknown).
    """

    arm: str
    step: str
    seeds: tuple[int, ...]
    planned: int
    cosines: np.ndarray | None
    between: Pairs
    within: Pairs
    own: float


class CosineInfo(NamedTuple):
    """All that is drawn: `columns` outer steps of each arm, row by row; colours go from `low` to `high`."""

    question: str
    columns: int
    low: float
    high: float
    heats: tuple[Heat, ...]
    absences: tuple[Absence, ...]


def cosine_info(request: FigureRequest) -> CosineInfo:
    """Return the numbers of the figure: one row per arm (facet and hue), one column per outer step of `endpoint.at`."""
    found = probed(request, lambda probe: "not finite" if blocks(probe) is None else "")
    heats = tuple(_heat(arm, request) for arm in found.arms)
    means = [heat.cosines for heat in heats if heat.cosines is not None]
    low = min([RANGE[0], *(float(mean.min()) for mean in means)])
    high = max([RANGE[1], *(float(mean.max()) for mean in means)])
    return CosineInfo(
        question=request.question,
        columns=len(request.endpoint.ats),
        low=math.floor(round(10 * low, 6)) / 10,
        high=math.ceil(round(10 * high, 6)) / 10,
        heats=heats,
        absences=found.absences,
    )


def draw_cosine(info: CosineInfo) -> Sheet:
    """Return the figure: one colour scale for all panels, and numbers in the cells if they fit."""
    panel = (2 + GAP) * SIDE
    named = any(heat.arm for heat in info.heats)
    edge, gap = (0.62 if named else 0.4), 0.28
    width = max(edge + info.columns * panel + (info.columns - 1) * gap + RIGHT, 3.4)
    rows = len(info.heats) // info.columns
    room = (width - edge - RIGHT - (info.columns - 1) * gap) / info.columns
    height = SIDE * room / panel
    grid = Grid(
        len(info.heats),
        info.columns,
        width,
        height,
        edge=edge,
        title=0.34,
        row_gap=0.06,
        column_gap=gap,
        foot=0.3 + BAR,
    )
    with matplotlib.rc_context(RC):
        figure, places = lay_out(info.question, _footer(info), grid)
        for index, (axes, heat) in enumerate(zip(places, info.heats, strict=True)):
            row, column = divmod(index, info.columns)
            _draw_heat(axes, heat, info)
            axes.set_title(_title(heat, row == 0), loc="left", size=7.5, pad=13)
            if column == 0:
                axes.set_ylabel(f"{heat.arm}\nquery classes" if heat.arm else "query classes", size=7.5)
            if row == rows - 1:
                for middle, name in ((0.5, "support classes"), (1.5 + GAP, "query classes")):
                    axes.text(
                        middle / (2 + GAP), -0.04, name, transform=axes.transAxes, ha="center", va="top", size=7.5
                    )
        _colour_bar(figure, info, places[-1])
    return figure


def _heat(found: ProbedArm, request: FigureRequest) -> Heat:
    heat = Heat(
        arm=found.arm.name,
        step=found.step,
        seeds=tuple(found.probes),
        planned=len(found.arm.trials),
        cosines=None,
        between=NOTHING,
        within=NOTHING,
        own=math.nan,
    )
    read = [block for probe in found.probes.values() if (block := blocks(probe)) is not None]
    if not read:
        return heat
    mean = np.mean(read, axis=0)
    shown = [trial.trial_id for trial in found.arm.trials if trial.seed in found.probes]
    queries = {request.records[trial_id]["config"]["queries"] for trial_id in shown}
    return heat._replace(
        cosines=mean,
        between=support_query(mean),
        within=query_query(mean),
        own=query_query(mean, queries.pop()).same if len(queries) == 1 else math.nan,
    )


def _draw_heat(axes: Axes, heat: Heat, info: CosineInfo) -> None:
    axes.grid(False)
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)
    if heat.cosines is None:
        axes.text(0.5, 0.5, "no probe", transform=axes.transAxes, ha="center", color=GREY)
        return
    ways = len(heat.cosines)
    step = 1 / ways
    norm, colours = Normalize(info.low, info.high), matplotlib.colormaps[HEAT]
    blocks_of = ((heat.cosines[:, :ways], 0.0, "support"), (heat.cosines[:, ways:], 1 + GAP, "query"))
    for block, start, features in blocks_of:
        edges = start + step * np.arange(ways + 1)
        axes.pcolormesh(
            edges, step * np.arange(ways + 1), block, norm=norm, cmap=colours, edgecolors="face", linewidth=0.1
        )
        for (row, column), value in np.ndenumerate(block):
            place = (start + step * (column + 0.5), step * (row + 0.5))
            note(axes, *place, f"query class {row + 1}, {features} class {column + 1}: {value:z.3f}")
            if ways <= NUMBERED:
                colour = "white" if _dark(colours(norm(value))) else "black"
                axes.text(*place, _short(value), ha="center", va="center", size=5.2, color=colour)
    axes.set_xlim(0, 2 + GAP)
    axes.set_ylim(1, 0)
    _write_means(axes, heat)


def _title(heat: Heat, top: bool) -> str:
    first = f"after outer step {heat.step}" if top else ""
    if heat.cosines is None or len(heat.seeds) == heat.planned:
        return first
    return f"{first} (n = {len(heat.seeds)} of {heat.planned})".strip()


def _write_means(axes: Axes, heat: Heat) -> None:
    """Write above each block its means over the same class and over other classes."""
    own = "" if math.isnan(heat.own) else f" [{_short(heat.own)}]"
    for start, pairs, more in ((0.0, heat.between, ""), (1 + GAP, heat.within, own)):
        text = f"{_short(pairs.same)}{more} / {_short(pairs.other)}"
        axes.text(start / (2 + GAP), 1.02, text, transform=axes.transAxes, va="bottom", size=6.5, color=GREY)


def _colour_bar(figure: Figure, info: CosineInfo, last: Axes) -> None:
    width, height = figure.get_size_inches()
    place = last.get_position()
    inches = 1.7
    bar = figure.add_axes((LEFT / width + 0.02, place.y0 - (0.3 + 0.1) / height, inches / width, 0.09 / height))
    mappable = ScalarMappable(Normalize(info.low, info.high), matplotlib.colormaps[HEAT])
    figure.colorbar(mappable, cax=bar, orientation="horizontal")
    bar.tick_params(labelsize=6.5, length=2, pad=1)
    bar.text(1.03, 0.5, "mean cosine similarity", transform=bar.transAxes, va="center", size=7)


def _footer(info: CosineInfo) -> str:
    parts = [
        "Mean cosine similarity between the features of two classes in the first probed episode, mean over seeds "
        f"({seeds_in_words([len(heat.seeds) for heat in info.heats])}).",
        "Above each block: mean over pairs of the same class / of different classes.",
    ]
    if not all(math.isnan(heat.own) for heat in info.heats):
        parts.append("Query-to-query means include self-pairs of images, as in the paper; in brackets: without them.")
    elif any(heat.cosines is not None for heat in info.heats):
        parts.append("Query-to-query means include self-pairs of images, as in the paper.")
    return " ".join(filter(None, [*parts, absences_in_words(info.absences)]))


def _short(value: float) -> str:
    """Return two decimals without the leading zero."""
    return f"{value:z.2f}".replace("0.", ".", 1)


def _dark(colour: tuple[float, float, float, float]) -> bool:
    red, green, blue, _ = colour
    return 0.299 * red + 0.587 * green + 0.114 * blue < 0.5
