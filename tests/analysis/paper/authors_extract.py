"""A small extract of the authors' results for tests that don't have them: seed-averaged curves, no single runs.

`python tests/analysis/paper/authors_extract.py RAW.csv.gz` writes it.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd

from analysis.paper.authors.figures import FIGURES
from analysis.paper.authors.raw import read_raw
from analysis.paper.authors.values import curves

EXTRACT = Path(__file__).with_name("authors_seed_means.csv")
UNIT = 100_000
"""Accuracies are kept as whole numbers of 1 / UNIT."""

KEYS = ["family", "task", "order", "inner_steps", "zeroing", "head", "arm", "test_head", "test_steps"]


def extract(raw: pd.DataFrame) -> str:
    """Return one row per curve: its cell, and the mean over seeds of every evaluation, drawn or not."""
    rows = {}
    for figure in FIGURES:
        for curve in curves(raw, figure):
            mean = np.atleast_2d(curve.mean)  # two rows for a mixed figure: trained and zeroed
            heads = ("trained", "zeroed") if len(mean) == 2 else (curve.cell["test_head"],)
            for head, values in zip(heads, mean, strict=True):
                cell = {
                    "family": figure.family,
                    **{key: curve.cell.get(key, "") for key in KEYS[1:]},
                    "test_head": head,
                }
                text = " ".join(str(number) for number in np.rint(values * UNIT).astype(int))
                rows[tuple(cell.values())] = cell | {"mean": text}
    return pd.DataFrame([rows[key] for key in sorted(rows, key=str)]).to_csv(index=False, lineterminator="\n")


if __name__ == "__main__":
    EXTRACT.write_text(extract(read_raw(Path(sys.argv[1]))))
