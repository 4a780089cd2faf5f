"""Cosine similarities of Fig. 2: the values of each seed, and the mean matrices as drawn."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from analysis.errors import AnalysisError
from analysis.paper.authors.families import AXES
from analysis.paper.authors.raw import COSINE, labels_of
from analysis.paper.authors.values import ordered

SWEEP = "cosine_similarity"
WAYS = 5
IMAGES = 20
"""Images per class, in the support set and in the query set."""

READ = (1, 11, 51, 101)
DRAWN = (1, 11, 101)
NAMES = tuple(f"{part}{index + 1}" for part in ("support", "query") for index in range(WAYS))


class Matrices(NamedTuple):
    """One seed: `cosine` (len(updates), 10, 10) has mean cosines of 5 support, then 5 query classes after `updates`."""

    labels: Mapping[str, str]
    seed: int
    file: str
    updates: np.ndarray
    cosine: np.ndarray


def matrices(raw: pd.DataFrame) -> list[Matrices]:
    """Return the matrices of every seed, sorted by labels and seed. Raises AnalysisError if runs are missing or cut."""
    rows = raw[raw["family"] == COSINE]
    if rows.empty:
        raise AnalysisError(f"The authors' raw results have no runs of {COSINE}; give the whole file")
    found = [_matrices(of_one) for _, of_one in rows.groupby("source_file", observed=True)]
    return sorted(found, key=lambda one: (sorted(one.labels.items()), one.seed))


def _matrices(rows: pd.DataFrame) -> Matrices:
    first = rows.iloc[0]
    table = rows.pivot(index="iteration_or_epoch", columns="metric", values="value")
    ordered = [f"mean_cosine[{a},{b}]" for a in NAMES for b in NAMES]
    if sorted(table.columns) != sorted(ordered) or table.isna().any(axis=None):
        raise AnalysisError(f"{first['source_file']} isn't whole in the authors' raw results; give the whole file")
    return Matrices(
        labels=labels_of(first),
        seed=int(first["seed"]),
        file=first["source_file"],
        updates=table.index.to_numpy(),
        cosine=table[ordered].to_numpy().reshape(-1, 2 * WAYS, 2 * WAYS),
    )


def cosine_values(raw: pd.DataFrame) -> pd.DataFrame:
    """Return axes, seed, outer_step and one column per metric, sorted.

    `same` is a mean over pairs of one class, `other` over pairs of different classes, and `gap` their difference.
    `query_query_gap` includes self-pairs, as drawn; `query_query_gap_without_self` doesn't.
    """
    rows = [
        {
            **{axis: one.labels[axis] for axis in AXES[SWEEP]},
            "seed": one.seed,
            "outer_step": step,
            **_metrics(one.cosine[list(one.updates).index(step)]),
        }
        for one in matrices(raw)
        for step in READ
    ]
    return ordered(pd.DataFrame(rows), [*AXES[SWEEP], "outer_step", "seed"])


def _metrics(cosine: np.ndarray) -> dict[str, float]:
    same = np.eye(WAYS, dtype=bool)
    support, query = cosine[WAYS:, :WAYS], cosine[WAYS:, WAYS:]
    apart = (IMAGES * query[same].mean() - 1) / (IMAGES - 1)
    return {
        "support_query_same": support[same].mean(),
        "support_query_other": support[~same].mean(),
        "support_query_gap": support[same].mean() - support[~same].mean(),
        "query_query_same": query[same].mean(),
        "query_query_other": query[~same].mean(),
        "query_query_gap": query[same].mean() - query[~same].mean(),
        "query_query_gap_without_self": apart - query[~same].mean(),
    }


def cosine_plotted(raw: pd.DataFrame) -> pd.DataFrame:
    """Return Fig. 2's matrices, averaged over seeds: axes, figure, n, outer_step, query, other (classes), value."""
    frame = []
    cells: dict[tuple[str, ...], list[Matrices]] = {}
    for one in matrices(raw):
        cells.setdefault(tuple(one.labels[axis] for axis in AXES[SWEEP]), []).append(one)
    for labels, cell in cells.items():
        for step in DRAWN:
            mean = np.mean([one.cosine[list(one.updates).index(step)] for one in cell], axis=0)
            frame += [
                {
                    "figure": "Fig. 2",
                    **dict(zip(AXES[SWEEP], labels, strict=True)),
                    "n": len(cell),
                    "outer_step": step,
                    "query": NAMES[row],
                    "other": NAMES[column],
                    "value": mean[row, column],
                }
                for row in range(WAYS, 2 * WAYS)
                for column in range(2 * WAYS)
            ]
    return pd.DataFrame(frame)
