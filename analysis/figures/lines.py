"""Curves against the step: a track of each seed, mean and interval over seeds, and how they are drawn.

A running mean begins with the first full window. A band ends at the bounds of the metric.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from scipy.special import stdtrit

from analysis.contract.question import Endpoint, PlannedTrial
from analysis.contract.record import TrialRecord
from analysis.figures.arms import Arm
from analysis.figures.layout import clipped_sentence, note, seeds_in_words
from analysis.figures.style import GREY, Look
from analysis.numbers.bounds import Bounds
from analysis.numbers.endpoint import Unit, step_read
from analysis.numbers.measurements import EVALUATIONS, measured, number_of
from analysis.numbers.stats import CONFIDENCE, SEEDS_FOR_INTERVAL

MARKS = 8  # number of markers along one curve
MOST_POINTS = 1000  # steps of a curve that are drawn: more than a panel has dots
NOTES = 40  # number of points of a curve whose values a page shows


class Track(NamedTuple):
    """One seed's curve: `steps` and `values` (P,); a value is NaN if one that it averages is missing or not finite."""

    seed: int
    steps: np.ndarray
    values: np.ndarray


class Curve(NamedTuple):
    """All seeds of an arm over the union of their steps (P,).

    `n` is the number of seeds with a value at each step. `mean`, `low` and `high` (95 % t-interval over seeds) are NaN
    where `n` is below three.
    """

    label: str
    planned: int
    tracks: tuple[Track, ...]
    steps: np.ndarray
    n: np.ndarray
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray


def track_of(trial: PlannedTrial, records: Mapping[str, TrialRecord], endpoint: Endpoint) -> Track:
    """Return `endpoint` read at each step, up to the target, that ends a full window of measurements."""
    record = records.get(trial.trial_id)
    if record is None:
        return Track(trial.seed, np.array([], dtype=int), np.array([]))
    entries = measured(trial, record, endpoint, step_read(trial, record, endpoint, "last"))
    steps = np.array([entry["step"] for entry in entries], dtype=int)
    values = np.array([number_of(trial, record, endpoint, entry).value for entry in entries])
    return Track(trial.seed, steps[endpoint.window - 1 :], _smooth(values, endpoint.window))


def curve_of(arm: Arm, tracks: Sequence[Track], label: str | None = None) -> Curve:
    """Return the mean and interval of `tracks` at each step; a seed without a value at a step doesn't count there."""
    steps = np.unique(np.concatenate([track.steps for track in tracks]))
    values = np.full((len(tracks), len(steps)), np.nan)
    for row, track in zip(values, tracks, strict=True):
        row[np.searchsorted(steps, track.steps)] = track.values
    there = np.isfinite(values)
    n = there.sum(axis=0)
    some = np.where(n >= SEEDS_FOR_INTERVAL, n, np.nan)
    mean = np.where(there, values, 0).sum(axis=0) / some
    variance = np.where(there, (values - mean) ** 2, 0).sum(axis=0) / (some - 1)
    half = stdtrit(some - 1, (1 + CONFIDENCE) / 2) * np.sqrt(variance / some)
    return Curve(
        arm.hue if label is None else label, len(tracks), tuple(tracks), steps, n, mean, mean - half, mean + half
    )


def thinned(curve: Curve) -> Curve:
    """Return `curve` with at most `MOST_POINTS` of its steps, evenly chosen; the last one stays."""
    every = stride(curve)
    if every == 1:
        return curve
    kept = np.arange(len(curve.steps))[::-every][::-1]
    steps = curve.steps[kept]
    tracks = []
    for track in curve.tracks:
        there = np.isin(track.steps, steps)
        tracks.append(Track(track.seed, track.steps[there], track.values[there]))
    numbers = (each[kept] for each in (curve.n, curve.mean, curve.low, curve.high))
    return Curve(curve.label, curve.planned, tuple(tracks), steps, *numbers)


def stride(curve: Curve) -> int:
    """Return of how many steps of a curve one is drawn."""
    return max(1, -(-len(curve.steps) // MOST_POINTS))


def draw_curve(
    axes: Axes,
    curve: Curve,
    look: Look,
    unit: Unit,
    bounds: Bounds,
    place: float,
    name: str,
    hollow: bool = False,
    step: str = EVALUATIONS.step,
) -> None:
    """Draw one curve, with its band clipped to `bounds`. A page shows its values after `name`, with its `step`.

    `place` in [0, 1) shifts its markers along it, so that those of several curves don't coincide. A curve of one step
    stands by so much of a step to the right.
    """
    scale, digits, _ = unit
    face, edge, edge_width = ("white", look.colour, 0.9) if hollow else (look.colour, "white", 0.5)

    def line(steps: np.ndarray, values: np.ndarray, width: float, size: float, alpha: float, zorder: int) -> None:
        axes.plot(
            steps, values, color=look.colour, linestyle=look.dash, linewidth=width, alpha=alpha, zorder=zorder,
            marker=look.marker, markersize=size, markerfacecolor=face, markeredgecolor=edge, markeredgewidth=edge_width,
            markevery=_marks(steps, place),
        )  # fmt: skip

    if (curve.n >= SEEDS_FOR_INTERVAL).any():
        low, high = scale * bounds.clip(curve.low), scale * bounds.clip(curve.high)
        steps = curve.steps + (place if len(curve.steps) == 1 else 0.0)
        axes.fill_between(steps, low, high, color=look.colour, alpha=0.15, linewidth=0, zorder=2)
        if (bars := _lonely(curve)).any():
            axes.vlines(steps[bars], low[bars], high[bars], color=look.colour, linewidth=1.3, alpha=0.6, zorder=3)
        line(steps, scale * curve.mean, width=1.3, size=4.4, alpha=1.0, zorder=4)
        for index in _noted(curve.mean):
            numbers = [written(each[index], scale, digits) for each in (curve.mean, curve.low, curve.high)]
            interval = f"({numbers[1]} to {numbers[2]}), n = {curve.n[index]}"
            text = f"{name}, {step} {curve.steps[index]:,}: {numbers[0]} {interval}"
            note(axes, float(steps[index]), scale * float(curve.mean[index]), text)
    alone = curve.steps[curve.n < SEEDS_FOR_INTERVAL]
    for track in curve.tracks:
        values = np.where(np.isin(track.steps, alone), scale * track.values, np.nan)
        if np.isfinite(values).any():
            line(track.steps, values, width=0.8, size=3, alpha=0.8, zorder=3)
        for index in _noted(values):
            text = f"{name}, seed {track.seed}, {step} {track.steps[index]:,}: {written(values[index], 1, digits)}"
            note(axes, float(track.steps[index]), float(values[index]), text)


def finish_panel(axes: Axes, curves: Sequence[Curve], points: Collection[int] = ()) -> None:
    """Set margins and ticks of a panel along the step; one without a value says so. `points` are the authors' steps."""
    axes.margins(x=0.03, y=0.08)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True, steps=(1, 2, 2.5, 5, 10)))
    if not points and not any(curve.n.any() for curve in curves):
        axes.text(0.5, 0.5, "nothing to draw", transform=axes.transAxes, ha="center", color=GREY)
        axes.set_xticks([])
        axes.set_yticks([])
    elif (step := only_step(curves, points)) is not None:  # the curves stand side by side, in the middle
        middle = axes.dataLim.intervalx.mean()
        axes.set_xticks([middle], [str(step)])
        axes.set_xlim(middle - 2, middle + 2)


def only_step(curves: Sequence[Curve], points: Collection[int] = ()) -> int | None:
    """Return the step of a panel whose curves and points are all of one step, None if there are more or none."""
    steps = {int(step) for curve in curves for step in curve.steps} | set(points)
    return steps.pop() if len(steps) == 1 else None


def seeds_sentence(curves: Sequence[Curve], scale: float, bounds: Bounds) -> str:
    """Return a footer's sentences on the lines, bands and thin lines of these curves."""
    counts = [int(curve.n.max()) if len(curve.n) else 0 for curve in curves]
    parts = []
    if any(count >= SEEDS_FOR_INTERVAL for count in counts):
        many = seeds_in_words([count for count in counts if count >= SEEDS_FOR_INTERVAL])
        bars = any(_lonely(curve).any() for curve in curves)
        drawn = "bands: 95 % t-interval at each step" + (", a bar where a step stands alone" if bars else "")
        parts.append(f"Lines: mean over seeds ({many}); {drawn}.")
        parts.append(clipped_sentence([end for curve in curves for end in (*curve.low, *curve.high)], scale, bounds))
    if any((curve.n < SEEDS_FOR_INTERVAL).any() for curve in curves):
        parts.append("Thin lines: single seeds, where fewer than 3 have a value.")
    short = [curve.label for curve in curves if (curve.n < curve.planned).any() and curve.n.max() > curve.n.min()]
    if short:
        parts.append("The number of seeds changes along a line if a seed ends early or was measured at other steps.")
    return " ".join(filter(None, parts))


def _lonely(curve: Curve) -> np.ndarray:
    """Return at which steps there is an interval, but none at the steps beside: a band has no width there."""
    there = np.concatenate([[False], curve.n >= SEEDS_FOR_INTERVAL, [False]])
    return there[1:-1] & ~there[:-2] & ~there[2:]


def _smooth(values: np.ndarray, window: int) -> np.ndarray:
    """Return the mean of each full window of `values`: `window` - 1 numbers fewer, or none."""
    if window == 1 or len(values) < window:
        return values[window - 1 :]
    return np.lib.stride_tricks.sliding_window_view(values, window).mean(axis=1)


def written(value: float, factor: float, digits: int) -> str:
    """Return `value` times `factor` as a page shows it, with `digits` decimals."""
    return f"{factor * value:.{digits}f}"


def _noted(values: np.ndarray) -> np.ndarray:
    """Return the indices of about NOTES finite values, the last included."""
    finite = np.flatnonzero(np.isfinite(values))
    return finite[::-1][:: max(1, len(finite) // NOTES)][::-1]


def _marks(steps: np.ndarray, place: float) -> list[int]:
    """Return the indices of the points with a marker: about MARKS, evenly spaced, or all if there are no more."""
    if len(steps) <= MARKS:
        return list(range(len(steps)))
    gap = len(steps) / MARKS
    return sorted({int((mark + place) * gap) for mark in range(MARKS)})
