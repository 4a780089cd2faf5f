"""Sweeps of trials: plan one from a YAML file, run it, journal it, track it, report it and export it.

Owns everything between the sweep file and the records. Does not train (`trainers` does) or compute statistics
(`analysis` does). For notebooks, `results` reads what a sweep has measured, `plan` what it would train, and `study`
what a search has proposed. For a trainer of one's own, `trainer` makes one of a function, `Metric` says what a number
is, and `Diverged` ends a trial.
"""

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweeper.errors import SweepError

if TYPE_CHECKING:
    import pandas as pd

    from sweeper.reporting.sweep_results import SweepResults
    from trainers.function.decorator import trainer
    from trainers.trainer import Diverged, Metric

__all__ = ["Diverged", "Metric", "SweepError", "plan", "results", "study", "trainer"]

_OF_A_TRAINER = {
    "trainer": "trainers.function.decorator",
    "Metric": "trainers.trainer",
    "Diverged": "trainers.trainer",
}

import_module("sweeper.results")  # before the function of that name: its first import sets the name to the package


def __getattr__(name: str) -> Any:
    """Load what a user's own trainer needs when it is asked for: most commands need none of it."""
    if name not in _OF_A_TRAINER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_OF_A_TRAINER[name]), name)


def results(
    sweep: str | Path | None = None,
    results: str | Path = "results",
    *,
    profile: str | None = None,
    tracking_uri: str | None = None,
    only: Sequence[str] = (),
    settings: Sequence[str] = (),
    raw: str | Path | None = None,
    mix_engines: bool = False,
) -> "SweepResults":
    """Return the results of a sweep as they are now, with the same numbers as `sweeper report`.

    `sweep` is the path of a sweep file or the name of a shipped sweep. The runs are read from the MLflow store of the
    folder `results`, or from `tracking_uri`. `raw` is a folder that `sweeper report --format data` wrote, read instead
    of a store; it needs no `sweep`. `only` are selectors as in `--only`, and `settings` values as in `--set`:
    `"inner_lr=0.1"`. If `mix_engines`, a cell may have trials of two engines.

    Raises SweepError, whose text says what is wrong and what to do.
    """
    from sweeper.reporting.sweep_results import read

    return read(
        sweep,
        results,
        profile=profile,
        tracking_uri=tracking_uri,
        only=only,
        settings=settings,
        raw=raw,
        mix_engines=mix_engines,
    )


def plan(
    sweep: str | Path,
    results: str | Path = "results",
    *,
    profile: str | None = None,
    only: Sequence[str] = (),
    settings: Sequence[str] = (),
    config: bool = False,
) -> "pd.DataFrame":
    """Return one row per trial that `sweep` plans, with its state in the folder `results`, as `sweeper plan` shows it.

    Columns: trial_id, seed, one per axis, cell (trials that differ in their seed alone share it), target (outer steps),
    state, why (what a run would do, or why nothing); with `config`, each field of the trial's config that has no column
    yet. `settings` are values as in `--set`. Trains nothing and writes nothing. Raises SweepError.
    """
    from sweeper.reporting.sweep_results import planned

    return planned(sweep, results, profile=profile, only=only, settings=settings, config=config)


def study(
    sweep: str | Path,
    results: str | Path = "results",
    *,
    profile: str | None = None,
    search: str | None = None,
    storage: str | None = None,
) -> Any:
    """Return the proposals of a search as an `optuna.Study`, for its own plots and dashboard.

    `search` is the start of the id of one search, as `sweeper status` shows it; a sweep with one search needs none. A
    trial below the last rung is pruned at its step. A proposal without a value has the worst one. With `storage`, such
    as `sqlite:///study.db`, the study is written there for `optuna-dashboard`; else nothing is written. Raises
    SweepError, also if Optuna is not installed or the storage has a study of this name.
    """
    from sweeper.search.study import study as of_search

    return of_search(sweep, results, profile=profile, search=search, storage=storage)
