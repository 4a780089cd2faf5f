"""Reads the authors' numbers from `published/`: what they measured, what they drew, and how the two differ.

Accuracies are fractions. `published/rules.csv` gives the source of each number. Computes none: `paper.authors` does.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Literal

import pandas as pd

from analysis.contract.record import Head

FOLDER = Path(__file__).parent / "published"
WINDOWS: Mapping[int, str] = {1: "single", 5: "value"}
"""Number of evaluations averaged, the last at or before the step -> column of the table."""

RULES = "rules.csv"
TEXT = frozenset(
    (
        *("task", "order", "inner_steps", "zeroing", "head", "arm", "method"),
        *("test_head", "rule", "figure", "legend", "metric", "source", "query", "other"),
    )
)
"""Columns of the tables that hold text."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """The source of one figure's numbers, as measured or as plotted (`kind`). "" means unknown."""

    sweep: str
    rule: str
    kind: Literal["measured", "plotted"]
    files: str
    test_steps: str
    smoothing: str
    evaluations: str
    test_episodes: str
    true_spacing: str
    x_spacing: str


@dataclass(frozen=True, kw_only=True)
class Plotted:
    """One printed curve, thinned: `value` at `x` on the printed axis, which is `outer_step` in truth.

    Values are means of `n` seeds after `test_steps` inner steps. In a figure that mixes both heads, `test_head` is the
    one in the caption. `legend` is the printed name, or "" if the labels of the cell say it.
    """

    figure: str
    labels: Mapping[str, str]
    test_head: Head
    test_steps: int
    n: int
    legend: str
    x: tuple[float, ...]
    outer_step: tuple[int, ...]
    value: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class ByHand:
    """One number without a stored result: read from a figure, or quoted. NaN and None mean unknown."""

    figure: str
    labels: Mapping[str, str]
    metric: str
    outer_step: int | None
    value: float
    half_width: float
    source: str


@dataclass(frozen=True, kw_only=True)
class Published:
    """The authors' numbers for one of our sweeps; all fields but `sweep` are empty if there are none.

    `axes` distinguish the measured cells. `sentences` maps a figure to a sentence on how it was drawn. `differences`
    maps a figure to its deviation from the measurement in its caption; figures without a deviation have no entry.
    """

    sweep: str
    axes: tuple[str, ...]
    rules: tuple[Rule, ...]
    sentences: Mapping[str, str]
    differences: Mapping[str, str]
    plotted: tuple[Plotted, ...]
    by_hand: tuple[ByHand, ...]
    measured: pd.DataFrame
    _found: dict[object, pd.DataFrame] = field(default_factory=dict, init=False, repr=False, compare=False)
    """The rows of each cell, head and number of steps that `_rows` was asked for: a report asks for them many times."""

    def values(
        self, labels: Mapping[str, str], head: Head, steps: int | Literal["inner_steps"], step: int, window: int = 5
    ) -> Mapping[int, float]:
        """Return the authors' accuracy (a fraction) by their seed at outer step `step`; empty if they have none there.

        They are tested with head `head` after `steps` inner steps. The value is the mean of the last `window` (1 or 5)
        evaluations at or before `step`; near the start there are fewer, as for our endpoints. `labels` may leave out an
        axis if the matching cells have one value on it. A label on an axis that the authors lack matches nothing.
        """
        rows = self._rows(labels, head, steps)
        rows = rows[rows["outer_step"] == step] if len(rows) else rows
        return (
            dict(zip(rows["seed"].tolist(), rows[WINDOWS[window]].tolist(), strict=True))
            if len(rows) and window in WINDOWS
            else {}
        )

    def centred(
        self, labels: Mapping[str, str], head: Head, steps: int | Literal["inner_steps"], step: int
    ) -> Mapping[int, float]:
        """Return `values`, but as means of the five evaluations around the nearest one; empty if there aren't five."""
        rows = self._rows(labels, head, steps)
        rows = rows[(rows["outer_step"] == step) & rows["centred"].notna()] if len(rows) else rows
        return dict(zip(rows["seed"].tolist(), rows["centred"].tolist(), strict=True)) if len(rows) else {}

    def steps(
        self, labels: Mapping[str, str], head: Head, steps: int | Literal["inner_steps"], least: int = 1
    ) -> tuple[int, ...]:
        """Return the outer steps at which `values` has numbers, sorted; the last is the end of their training.

        Each number there averages `least` evaluations or more.
        """
        rows = self._rows(labels, head, steps)
        if not len(rows):
            return ()
        fewest = rows.groupby("outer_step")["evaluations"].min()
        return tuple(fewest.index[fewest >= least].tolist())

    def probe_values(self, labels: Mapping[str, str], metric: str, step: int) -> Mapping[int, float]:
        """Return `metric`, a column of the table of cosine_similarity, by seed after `step` updates; empty if none."""
        rows = self._cell(labels)
        if not len(rows) or metric not in rows:
            return {}
        rows = rows[rows["outer_step"] == step]
        return dict(zip(rows["seed"].tolist(), rows[metric].tolist(), strict=True))

    def _rows(self, labels: Mapping[str, str], head: Head, steps: int | Literal["inner_steps"]) -> pd.DataFrame:
        asked = (frozenset(labels.items()), head, steps)
        if asked not in self._found:
            self._found[asked] = self._scored(labels, head, steps)
        return self._found[asked]

    def _scored(self, labels: Mapping[str, str], head: Head, steps: int | Literal["inner_steps"]) -> pd.DataFrame:
        rows = self._cell(labels)
        if not len(rows) or "test_head" not in rows:
            return rows.iloc[:0]
        scored = rows["inner_steps"].astype(int) if steps == "inner_steps" else steps
        return rows[(rows["test_head"] == head) & (rows["test_steps"] == scored)]

    def _cell(self, labels: Mapping[str, str]) -> pd.DataFrame:
        """Return the rows of the cell with these labels; none if no cell or several match."""
        rows = self.measured
        if any(axis not in self.axes for axis in labels):
            return rows.iloc[:0]
        for axis, label in labels.items():
            rows = rows[rows[axis] == label]
        several = any(rows[axis].nunique() > 1 for axis in self.axes)
        return rows.iloc[:0] if several else rows


@cache
def load(sweep: str) -> Published:
    """Return the authors' numbers for `sweep`; the files are read once per process."""
    rules = _rows(RULES)
    rules = rules[rules["sweep"] == sweep] if len(rules) else rules
    figures = {row["rule"]: (row["drawn"], row["differs"]) for _, row in rules.iterrows() if row["kind"] == "plotted"}
    axes = tuple(rules["axes"].iloc[0].split()) if len(rules) else ()
    names = tuple(Rule.__dataclass_fields__)
    return Published(
        sweep=sweep,
        axes=axes,
        rules=tuple(Rule(**{name: row[name] for name in names}) for _, row in rules.iterrows()),
        sentences={figure: drawn for figure, (drawn, _) in figures.items()},
        differences={figure: differs for figure, (_, differs) in figures.items() if differs},
        plotted=_plotted(_rows(f"{sweep}_plotted.csv"), axes),
        by_hand=_by_hand(_rows(f"{sweep}_by_hand.csv")),
        measured=_rows(f"{sweep}.csv"),
    )


def matrices() -> pd.DataFrame:
    """Return Fig. 2's mean matrices as drawn. Columns: figure, axes, n, outer_step, query, other (classes), value."""
    return _rows("cosine_similarity_plotted.csv")


def _rows(name: str) -> pd.DataFrame:
    """Return the table: text in the columns of `TEXT`, else numbers. It is empty if there is no such file."""
    path = FOLDER / name
    if not path.is_file():
        return pd.DataFrame()
    rows = pd.read_csv(path, dtype=str, keep_default_na=False)
    if name == RULES:
        return rows
    for column in rows.columns.difference(list(TEXT)):
        rows[column] = pd.to_numeric(rows[column].where(rows[column] != ""))
    return rows


def _plotted(rows: pd.DataFrame, axes: tuple[str, ...]) -> tuple[Plotted, ...]:
    if "x" not in rows:  # Fig. 2 shows matrices, not curves
        return ()
    by = ["figure", *axes, "test_head", "test_steps", "n", "legend"]
    return tuple(
        Plotted(
            figure=first["figure"],
            labels={axis: first[axis] for axis in axes},
            test_head=first["test_head"],
            test_steps=int(first["test_steps"]),
            n=int(first["n"]),
            legend=first["legend"],
            x=tuple(curve["x"].tolist()),
            outer_step=tuple(curve["outer_step"].tolist()),
            value=tuple(curve["value"].tolist()),
        )
        for _, curve in rows.groupby(by, sort=False)
        for first in [curve.iloc[0]]
    )


def _by_hand(rows: pd.DataFrame) -> tuple[ByHand, ...]:
    axes = [column for column in rows if column in TEXT and column not in ("figure", "metric", "source")]
    return tuple(
        ByHand(
            figure=row["figure"],
            labels={axis: row[axis] for axis in axes},
            metric=row["metric"],
            outer_step=None if pd.isna(row["outer_step"]) else int(row["outer_step"]),
            value=float(row["value"]),
            half_width=float(row["half_width"]),
            source=row["source"],
        )
        for _, row in rows.iterrows()
    )
