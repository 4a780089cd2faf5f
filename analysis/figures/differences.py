"""The figure of the claims: each one's difference, paired by seed, with the interval that decides it.

`differences_info` computes, `draw_differences` draws. Judges nothing.
"""

import math
import textwrap
from collections.abc import Callable, Sequence
from typing import NamedTuple

import matplotlib
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from analysis.figures.layout import Grid, Sheet, key, lay_out, note, seeds_in_words, usual_width
from analysis.figures.style import GREY, PRINTED, RC, Look, looks
from analysis.judging.claims import Judged
from analysis.numbers.endpoint import PERCENT, Unit, unit_of

ROW = 0.5  # height in inches of one claim
LETTERS = 17  # of a claim along one inch
EFFECT, EQUIVALENCE = looks(2)


class Row(NamedTuple):
    """One claim: its sentence, the difference in words, and its numbers in the unit of the metric.

    The interval has 90 % for an equivalence, else 95 %; its ends are NaN below three seeds. `margin` is None unless the
    claim is an equivalence with a margin. `authors` is their difference, or None.
    """

    says: str
    text: str
    equivalence: bool
    mean: float
    low: float
    high: float
    seeds: tuple[float, ...]
    margin: float | None
    authors: float | None


class DifferencesInfo(NamedTuple):
    """The contents of the figure, without any claim that has no common seed."""

    question: str
    words: str
    unit: Unit
    rows: tuple[Row, ...]


def differences_info(question: str, judged: Sequence[Judged], text_of: Callable[[Judged], str]) -> DifferencesInfo:
    """Return the claims that are planned and have a common seed, in order.

    All have one horizontal axis, so only the claims on the metric of the first of them are shown. `text_of` puts a
    claim's numbers in words.
    """
    found = [one for one in judged if one.contrast is not None and one.contrast.by_seed]
    shown = [one for one in found if _metric(one) == _metric(found[0])]
    if not shown:
        return DifferencesInfo(question, "", PERCENT, ())
    endpoint = shown[0].claim.of.endpoint
    values = [value for one in shown if one.contrast for value in one.contrast.by_seed.values()]
    rows = tuple(_row(one, text_of(one)) for one in shown)
    words = endpoint.declared.words
    return DifferencesInfo(question, words[:1].lower() + words[1:], unit_of(endpoint, values), rows)


def draw_differences(info: DifferencesInfo, *, printed: bool = False) -> Sheet:
    """Return the figure: a row for each claim, with the margins of equivalences shaded.

    If `printed`, it has the width of a paper's column.
    """
    width = usual_width(1, printed=printed)
    letters = int((width - 0.4) * LETTERS)
    labels = [textwrap.wrap(f"{row.says.rstrip('.')}: {row.text}.", letters) for row in info.rows]
    lines = max(map(len, labels), default=1)
    row = ROW + 0.13 * (lines - 1)
    grid = Grid(1, 1, width, max(len(info.rows), 1) * row, edge=0.2, title=0.06)
    with matplotlib.rc_context(PRINTED if printed else RC):
        figure, (axes,) = lay_out(info.question, _footer(info), grid, _keys(info))
        axes.grid(False)
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        axes.set_ylim(max(len(info.rows), 1), 0)
        unit = "points" if info.unit == PERCENT else info.unit.name
        axes.set_xlabel(f"difference in {info.words or 'accuracy'}{f' ({unit})' if unit else ''}")
        for index, (entry, label) in enumerate(zip(info.rows, labels, strict=True)):
            _draw_row(axes, entry, index, 1 - 0.17 / row, info.unit.scale)
            axes.text(
                0,
                index + 0.04 / row,
                "\n".join(label),
                transform=axes.get_yaxis_transform(),
                va="top",
                linespacing=1.15,
            )
        if not info.rows:
            axes.text(0.5, 0.5, "no claim has run", transform=axes.transAxes, ha="center", color=GREY)
            axes.set_xticks([])
    return figure


def _metric(judged: Judged) -> tuple[str, str]:
    declared = judged.claim.of.endpoint.declared
    return declared.words, declared.unit


def _row(judged: Judged, text: str) -> Row:
    contrast = judged.contrast
    assert contrast is not None, "a claim that isn't planned is left out"
    equivalence = judged.claim.kind == "equivalence"
    low, high = contrast.interval_90 if equivalence else (contrast.paired.low, contrast.paired.high)
    return Row(
        says=judged.claim.says,
        text=text,
        equivalence=equivalence,
        mean=contrast.mean,
        low=low,
        high=high,
        seeds=tuple(contrast.by_seed.values()),
        margin=judged.margin if equivalence else None,
        authors=None if judged.published is None else judged.published.mean,
    )


def _draw_row(axes: Axes, row: Row, index: int, share: float, scale: float) -> None:
    """Draw a claim at `share` of its row's height, below its sentence."""
    y, look = index + share, EQUIVALENCE if row.equivalence else EFFECT
    axes.plot([0, 0], [y - 0.25, y + 0.25], color=GREY, linewidth=0.7, zorder=1)
    if row.margin is not None:
        band = scale * row.margin
        axes.fill_betweenx([y - 0.18, y + 0.18], -band, band, color=look.colour, alpha=0.18, linewidth=0, zorder=0)
    if not math.isnan(row.low):
        ends = [[scale * (row.mean - row.low)], [scale * (row.high - row.mean)]]
        axes.errorbar(scale * row.mean, y, xerr=ends, color=look.colour, capsize=2, linewidth=1.1, zorder=3)
    seeds = [scale * value for value in row.seeds]
    axes.scatter(
        seeds, [y] * len(seeds), s=9, marker=look.marker, color=look.colour, alpha=0.45, linewidths=0, zorder=2
    )
    axes.plot(
        scale * row.mean, y, color=look.colour, marker=look.marker, markersize=5, markeredgecolor="white",
        markeredgewidth=0.5, linestyle="none", zorder=4,
    )  # fmt: skip
    if row.authors is not None:
        axes.plot(
            scale * row.authors, y, color=look.colour, marker=look.marker, markersize=4.6, markerfacecolor="white",
            markeredgewidth=0.9, linestyle="none", zorder=5,
        )  # fmt: skip
    note(axes, scale * row.mean, y, f"{row.says.rstrip('.')}: {row.text}")


def _keys(info: DifferencesInfo) -> list[Line2D]:
    """Return the entries of the legend: the kinds of claims that the figure has."""
    kinds = (("difference", EFFECT, False), ("equivalence, with its margin", EQUIVALENCE, True))
    drawn = [(label, look) for label, look, kind in kinds if any(row.equivalence is kind for row in info.rows)]
    keys = [key(label, look._replace(dash="none")) for label, look in drawn]
    if any(row.authors is not None for row in info.rows):
        keys.append(key("authors", Look("0.2", "o", "none"), markerfacecolor="white"))
    return keys


def _footer(info: DifferencesInfo) -> str:
    if not info.rows:
        return ""
    n = seeds_in_words([len(row.seeds) for row in info.rows])
    parts = [f"Differences are paired by seed: mean over seeds ({n}); faint points: single seeds."]
    if any(not row.equivalence for row in info.rows):
        parts.append("Bars: 95 % t-interval, none below 3 seeds.")
    if any(row.equivalence for row in info.rows):
        parts.append(
            "Bars of an equivalence: 90 % t-interval; it holds if the bar lies within the shaded margin, after the "
            "adjustment for the number of claims."
        )
    if any(row.authors is not None for row in info.rows):
        parts.append("Hollow: the authors' runs at the same step.")
    return " ".join(parts)
