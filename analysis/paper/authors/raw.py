"""Reads complete runs from the authors' raw results. The only module that knows the columns and copies of that file.

A row is one number: one file, one evaluation, one number of inner steps. Left out are copies in notebook checkpoints,
prefixes of longer logs, runs that stopped early, and runs that no figure uses. Two kinds of unused runs stay: tests of
used runs with the other head, and complete Omniglot and EFIL runs that the paper leaves out.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from analysis.contract.record import Head
from analysis.errors import AnalysisError
from analysis.paper.authors.families import ARMS

COLUMNS = {
    "family": "category",
    "dataset": "category",
    "ways": "int16",
    "shots": "int16",
    "order": "category",
    "zeroing": "category",
    "init_scale": "str",
    "inner_steps_train": "str",
    "seed": "int32",
    "split": "category",
    "iteration_or_epoch": "int32",
    "inner_step_test": "int16",
    "metric": "category",
    "value": "float64",
    "source_file": "category",
    "eval_index": "int32",
    "test_w": "category",
    "variant": "category",
    "used_in_figure": "category",
    "note": "category",
}
COSINE = "cos_sim_analysis"
UNDRAWN = ("training_stage_zeroing", "exact_contrastiveness", "omniglot_basic")
"""Families whose complete runs count even if no figure uses them."""

HEADS: Mapping[str, Head] = {"as_trained": "trained", "zeroed": "zeroed"}
ORDERS = {"FO": "first", "SO": "second"}
ZEROING = {"none": "none", "at_init": "at the start", "each_outer_iteration": "every step"}
SCALES = {"1": "random", "0.7": "x0.7", "0.5": "x0.5", "0": "zero-init"}


class Run(NamedTuple):
    """One stored run tested with one head: `accuracy` (evaluations, inner steps from 0) after `updates` (evaluations,).

    `labels` has all axes of our sweeps. `figures` has the tokens of the figures that show this run.
    """

    family: str
    labels: Mapping[str, str]
    seed: int
    head: Head
    figures: frozenset[str]
    file: str
    updates: np.ndarray
    accuracy: np.ndarray


def read_raw(path: Path) -> pd.DataFrame:
    """Return the rows of the raw file, plain or gzipped. Raises AnalysisError if it is another file or unreadable."""
    try:
        header = pd.read_csv(path, nrows=0).columns
        missing = [column for column in COLUMNS if column not in header]
        if missing:
            raise AnalysisError(
                f"{path} isn't the authors' raw results: it lacks the columns {', '.join(missing)}; give the CSV with "
                "one stored number a row"
            )
        return pd.read_csv(path, usecols=list(COLUMNS), dtype=COLUMNS, na_values=[""], keep_default_na=False)
    except (OSError, EOFError, ValueError) as error:  # pandas' own parser errors are ValueErrors
        reason = str(error).partition("\n")[0]
        raise AnalysisError(
            f"The authors' raw results {path} can't be read: {reason}; give the path of their CSV"
        ) from error


def runs(raw: pd.DataFrame, family: str) -> list[Run]:
    """Return the family's complete runs, sorted by labels, seed and head. Raises AnalysisError if there is none."""
    rows = raw[(raw["family"] == family) & (raw["split"] == "test") & (raw["metric"] == "accuracy")]
    copies = rows["source_file"].str.contains(".ipynb_checkpoints", regex=False)
    stopped = rows["note"].str.contains("stopped", regex=False, na=False)
    wanted = rows["used_in_figure"].notna() | (family in UNDRAWN)
    rows = rows[wanted & ~copies & ~stopped & rows["test_w"].notna()]
    if family == "exact_contrastiveness":
        rows = rows[rows["variant"].isin(ARMS)]
    rows = rows.sort_values(["source_file", "test_w", "eval_index", "inner_step_test"])
    found = [_run(rows_of_one) for _, rows_of_one in rows.groupby(["source_file", "test_w"], observed=True)]
    if not found:
        raise AnalysisError(f"The authors' raw results have no runs of {family}; give the whole file")
    return sorted(found, key=lambda run: (sorted(run.labels.items()), run.seed, run.head))


def _run(rows: pd.DataFrame) -> Run:
    first = rows.iloc[0]
    evaluations, steps = rows["eval_index"].nunique(), rows["inner_step_test"].nunique()
    if len(rows) != evaluations * steps:
        raise AnalysisError(
            f"{first['source_file']} has {len(rows)} numbers for {evaluations} evaluations of {steps} inner steps in "
            "the authors' raw results; the file is cut off or has rows twice"
        )
    used = "" if pd.isna(first["used_in_figure"]) else first["used_in_figure"]
    return Run(
        family=first["family"],
        labels=labels_of(first),
        seed=int(first["seed"]),
        head=HEADS[first["test_w"]],
        figures=frozenset(token for token in used.split(";") if token and "not reproduced" not in token),
        file=first["source_file"],
        updates=rows["iteration_or_epoch"].to_numpy().reshape(evaluations, steps)[:, 0],
        accuracy=rows["value"].to_numpy().reshape(evaluations, steps),
    )


def labels_of(row: pd.Series) -> dict[str, str]:
    """Return the run's label on every axis of our sweeps; "" if the axis doesn't apply to the run."""
    zeroing = ZEROING[row["zeroing"]]
    return {
        "task": f"{row['dataset']} {row['ways']}w{row['shots']}s",
        "order": ORDERS[row["order"]],
        "inner_steps": row["inner_steps_train"],
        "zeroing": zeroing,
        "head": "zeroing" if zeroing == "every step" else SCALES[row["init_scale"]],
        "arm": "" if pd.isna(row["variant"]) else ARMS.get(row["variant"], ""),
    }
