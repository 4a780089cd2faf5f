"""The engines that trained a sweep's cells. They round differently, so a mean is over trials of one engine."""

from collections.abc import Mapping, Sequence

from analysis.contract.question import PlannedTrial
from analysis.contract.record import TrialRecord
from analysis.errors import AnalysisError

Cell = tuple[str, ...]
"""The labels of a cell, one for each axis."""


def engines_of_cells(
    plan: Sequence[PlannedTrial], records: Mapping[str, TrialRecord]
) -> dict[Cell, dict[str, list[int]]]:
    """Return each cell's engines with the seeds that they trained; a trial without an attempt counts for none."""
    cells: dict[Cell, dict[str, list[int]]] = {}
    for trial in plan:
        record = records.get(trial.trial_id)
        if record is not None and record["attempts"]:
            engines = cells.setdefault(tuple(trial.labels.values()), {})
            engines.setdefault(record["attempts"][0]["engine"], []).append(trial.seed)
    return cells


def refuse_mixed(cells: Mapping[Cell, Mapping[str, Sequence[int]]]) -> None:
    """Raise AnalysisError if two engines trained one cell."""
    for cell, engines in cells.items():
        if len(engines) > 1:
            whose = "; ".join(f"{engine}: seed {', '.join(map(str, seeds))}" for engine, seeds in engines.items())
            raise AnalysisError(
                f"the cell {', '.join(cell) or 'of this sweep'} was trained by {len(engines)} engines ({whose}), whose "
                "rounding differs; pick the seeds of one with --only, or accept both with --mix-engines"
            )


def engine_remarks(cells: Mapping[Cell, Mapping[str, Sequence[int]]]) -> tuple[str, ...]:
    """Return a sentence if the cells, which claims compare, were trained by different engines; otherwise nothing."""
    users: dict[str, list[str]] = {}
    for cell, engines in cells.items():
        for engine in engines:
            users.setdefault(engine, []).append(", ".join(cell) or "the only cell")
    if len(users) < 2:
        return ()
    named = "; ".join(f"{engine}: {' | '.join(names)}" for engine, names in sorted(users.items()))
    return (f"Engines differ among the cells that this report compares. {named}.",)
