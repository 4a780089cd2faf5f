"""From a sweep to its trials: every point of the grid is resolved and identified before anything runs.

Pure: reads no results, and depends on no order of a mapping, no process and no platform.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from sweeper.errors import Position, Problem
from sweeper.host.gc_pause import paused
from sweeper.planning.grid import Cell, Grid, check_exclusions, check_inclusions, grid_of, included
from sweeper.planning.identity import identify, identity, trial_id
from sweeper.planning.reading_checks import check_readings
from sweeper.planning.trial_spec import TrialSpec
from sweeper.sweepfile.axes import AxisValue
from sweeper.sweepfile.sweep import Sweep
from sweeper.sweepfile.yaml_source import Faults
from trainers.trainer import ConfigError
from trainers.trainer import Problem as ConfigProblem

PAPER = "paper"
"""The profile with exactly the paper's cells, in a file whose whole grid has more."""


@paused()
def expand(sweep: Sweep, profile: str | None = None, digests: Mapping[str, str] | None = None) -> tuple[TrialSpec, ...]:
    """Return every trial of `sweep` under `profile`: axes in file order, the last one fastest, seeds faster still.

    `digests` maps names of data sets to digests of their arrays; the trainer knows the others. Raises SweepFileError
    with the faults of all points, and SweepError for an unknown profile.
    """
    assert sweep.search is None  # `planning.searched` has its searches, and journals their trials
    grid = grid_of(sweep, profile)
    faults = Faults(sweep.document)
    check_exclusions(sweep, faults)
    cells = included(sweep, grid)
    check_inclusions(grid, cells, faults)
    if not cells:
        under = f" under profile {profile}" if profile else ""
        faults.add(("exclude",), f"no point is left{under}; exclude less", at_key=True)
    configs = _resolve(cells, faults)
    check_readings(sweep, configs, faults, whole=profile is None)
    faults.raise_if_any()
    identities = [identity(cell.found.trainer, config) for cell, config in configs]
    names = [identify(fields) for fields in identities]
    _check_twins(cells, names, faults)
    faults.raise_if_any()
    specs: list[TrialSpec] = []
    for (cell, config), fields, name in zip(configs, identities, names, strict=True):
        specs += _replicates(grid, cell, config, fields, name, digests or {})
    return tuple(specs)


def paper_configs(sweep: Sweep) -> dict[tuple[str, ...], BaseModel]:
    """Return the configs of the paper's own cells by their labels: of profile `paper`, else of the whole grid."""
    grid = grid_of(sweep, PAPER if PAPER in sweep.profiles else None)
    return {tuple(cell.labels.values()): cell.found.trainer.resolve(cell.values()) for cell in included(sweep, grid)}


def _replicates(
    grid: Grid,
    cell: Cell,
    config: BaseModel,
    fields: dict[str, Any],
    cell_id: str,
    digests: Mapping[str, str],
) -> Iterator[TrialSpec]:
    trainer = cell.found.trainer
    dataset, recipe = trainer.dataset(config), trainer.recipe(config)
    digest = digests.get(dataset) or trainer.digest(dataset)
    for seed in grid.seeds:
        point = identify({**fields, "seed": seed})
        yield TrialSpec(
            trial_id=trial_id(point=point, digest=digest, recipe=recipe),
            point=point,
            cell=cell_id,
            seed=seed,
            recipe=recipe,
            digest=digest,
            grid_cell=cell,
            cell_config=config,
            seed_origin=grid.seed_origin,
            trainer=trainer,
            reference=cell.found.reference,
        )


def _resolve(cells: Sequence[Cell], faults: Faults) -> list[tuple[Cell, BaseModel]]:
    """Return the valid cells with their configs. Each distinct fault of the others is noted once."""
    configs = []
    reasons: dict[tuple[Position, str], str] = {}
    for cell in cells:
        trainer = cell.found.trainer
        try:
            configs.append((cell, trainer.resolve(cell.values())))
        except ConfigError as error:
            for problem in error.problems:
                message = f"{problem.field}: {problem.message}"
                if trainer.protocols and cell.setting("dataset") is None:
                    message += f"; name a protocol (use: {', '.join(sorted(trainer.protocols))}) or a dataset"
                reason = (_blamed(cell, problem, faults), message)
                reasons.setdefault(reason, cell.name)
    faults.problems.extend(Problem(at, f"{message} (at {name})") for (at, message), name in reasons.items())
    return configs


def _blamed(cell: Cell, problem: ConfigProblem, faults: Faults) -> Position:
    """Return the position of the field's value in the file, else that of a field that the message names."""
    names = [problem.field, *re.findall(r"\w+", problem.message), "dataset"]
    for name in names:
        setting = cell.setting(name)
        if setting is not None and setting.position is not None:
            return setting.position
    return faults.document.key_at(("fixed",))


def _check_twins(cells: Sequence[Cell], names: Sequence[str], faults: Faults) -> None:
    """Note cells that are the same trial, once for each pair of axis values that makes them the same."""
    first: dict[str, Cell] = {}
    noted: set[tuple[str, str, str]] = set()
    for cell, name in zip(cells, names, strict=True):
        twin = first.setdefault(name, cell)
        if twin is cell:
            continue
        axis, before, after = next(
            (axis, before, after)
            for axis, before, after in zip(cell.labels, twin.choice, cell.choice, strict=True)
            if before.label != after.label
        )
        if (axis, before.label, after.label) not in noted:
            noted.add((axis, before.label, after.label))
            message = f"{twin.name} and {cell.name} are the same trial; {_remedy(axis, after, cell, cells)}"
            faults.problems.append(Problem(after.position, message))


def _remedy(axis: str, value: AxisValue, cell: Cell, cells: Sequence[Cell]) -> str:
    """Return what to do about an axis that makes no difference in `cell`."""
    unknown = next((name for name in value.settings if name in cell.left_out), None)
    chooser = next((name for name, one in zip(cell.labels, cell.choice, strict=True) if one.found is not None), None)
    if unknown is None or chooser is None:
        return f"let {axis} set a field that differs"
    having = dict.fromkeys(each.labels[chooser] for each in cells if unknown not in each.left_out)
    why = f"trainer {cell.found.trainer.name} has no {unknown}"
    return f"{why}; let the axis apply to the others alone, with when: {{{axis}: {{{chooser}: [{', '.join(having)}]}}}}"
