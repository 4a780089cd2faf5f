"""Checks of a search that need its cells resolved: spaces that hold nothing, metrics that no trial measures, rungs."""

from collections.abc import Sequence

from pydantic import BaseModel

from analysis.contract.question import Endpoint
from sweeper.planning.grid import Cell, Grid
from sweeper.planning.search_points import cell_at, confirming, first_point, space_of
from sweeper.sweepfile.search_key import SearchSpec
from sweeper.sweepfile.yaml_source import Faults, Place
from trainers.trainer import ConfigError, Wanted


def note_lacking(faults: Faults, spec: SearchSpec, cells: Sequence[Cell]) -> bool:
    """Note each dimension that sets nothing which the trainer of a cell has, and cells in which nothing is searched.

    Returns whether there is any.
    """
    noted: set[tuple[str, str]] = set()
    before = len(faults.problems)
    for cell in cells:
        trainer, space = cell.found.trainer, space_of(spec, cell)
        for dimension in space:
            keys = dimension.keys() - {"use"}
            if not keys or keys & trainer.config.model_fields.keys() or (dimension.name, trainer.name) in noted:
                continue
            noted.add((dimension.name, trainer.name))
            place: Place = ("search", "space", dimension.name)
            why = f"trainer {trainer.name} has no {min(keys)}; {_remedy(dimension.name, keys, cell, cells)}"
            faults.add(place, why, at_key=True)
        if not space:
            why = f"no dimension applies at {cell.name}, so there is nothing to search; let one apply there"
            faults.add(("search", "space"), why, at_key=True)
    return len(faults.problems) > before


def _remedy(name: str, keys: set[str], cell: Cell, cells: Sequence[Cell]) -> str:
    """Return the condition under which a dimension applies to the cells alone whose trainers have its fields."""
    chooser = next((axis for axis, one in zip(cell.labels, cell.choice, strict=True) if one.found is not None), None)
    having = [one for one in cells if keys & one.found.trainer.config.model_fields.keys()]
    if chooser is None or not having:
        return "leave the dimension out"
    labels = ", ".join(dict.fromkeys(one.labels[chooser] for one in having))
    return f"let the dimension apply to the others alone, with when: {{{name}: {{{chooser}: [{labels}]}}}}"


def note_empty(faults: Faults, grid: Grid, spec: SearchSpec, cell: Cell) -> None:
    """Note that no trial satisfies the space of a cell, with the reason at its first point."""
    first = first_point(spec, cell)
    try:
        cell.found.trainer.resolve(cell_at(grid, spec, cell, first).values())
    except ConfigError as error:
        problem = error.problems[0]
        why = f"{problem.field}: {problem.message}"
        point = ", ".join(f"{name} {value}" for name, value in first.items())
        faults.add(("search", "space"), f"no trial satisfies it (at {cell.name}); at {point}, {why}", at_key=True)


def check_fixed(faults: Faults, spec: SearchSpec, grid: Grid, profile: str | None) -> None:
    """Note a searched field to which a profile gives one value. `sweepfile.tries` refuses one of --set."""
    searched: dict[str, str] = {}
    for dimension in spec.space:
        searched |= dict.fromkeys(dimension.keys(), dimension.name)
    for name in grid.strong.keys() & searched.keys():
        said = f"is searched (dimension {searched[name]}), so it can't have one value; leave it out"
        faults.add(("profiles", str(profile), "fixed", name), said, at_key=True)


def check_cell(faults: Faults, spec: SearchSpec, cell: Cell, examples: Sequence[tuple[Cell, BaseModel]]) -> None:
    """Note a metric that no trial measures, rungs beyond the length, and final passes with rungs."""
    trainer, configs = cell.found.trainer, [config for _, config in examples]
    before = len(faults.problems)
    own: Place = ("search", "metric", "trainers", trainer.name)
    place: Place = own if own in faults.document.values else ("search", "metric")
    _check_measured(faults, place, spec.metric.of_trainer(trainer.name), cell, configs)
    if spec.rungs is not None and trainer.length is not None and len(faults.problems) == before:
        _check_rungs(faults, spec, spec.rungs.steps, cell, trainer.length, examples)
    confirm = spec.confirm
    if confirm is not None:
        confirmed = []
        for at, _ in examples:
            changed = {name: setting.value for name, setting in confirming(confirm, at).items()}
            try:
                confirmed.append(trainer.resolve(at.values() | changed))
            except ConfigError as error:
                faults.add(("search", "confirm", "on"), f"{error} (at {at.name})")
                break
        place = ("search", "confirm", "on") if confirm.on is not None else ("search", "confirm")
        _check_measured(faults, place, confirm.endpoint.of_trainer(trainer.name), cell, confirmed, inside=False)


def _check_rungs(
    faults: Faults,
    spec: SearchSpec,
    steps: Sequence[int],
    cell: Cell,
    length: str,
    examples: Sequence[tuple[Cell, BaseModel]],
) -> None:
    """Note rungs beyond the length, rungs at which nothing is measured, and final passes."""
    trainer, configs = cell.found.trainer, [config for _, config in examples]
    shortest = min(getattr(config, length) for config in configs)
    if steps[-1] > shortest:
        message = f"{steps[-1]}, but trials end at {length} {shortest} (at {cell.name})"
        faults.add(("search", "rungs", "last"), message)
        return
    for step in steps:
        try:
            ended = [trainer.resolve(at.values() | {length: step}) for at, _ in examples]
        except ConfigError as error:
            faults.add(("search", "rungs"), f"no trial can end at step {step}: {error} (at {cell.name})", at_key=True)
            return
        found = len(faults.problems)
        place: Place = ("search", "rungs")
        _check_measured(faults, place, spec.metric.of_trainer(trainer.name), cell, ended, inside=False)
        if len(faults.problems) > found:
            return
    if any(getattr(config, "final_episodes", 0) for config in configs):
        why = "every rung would pay for a last pass on test episodes, since each is the end of a training"
        faults.add(("search", "rungs"), f"can't be used with final_episodes: {why}; confirm measures", at_key=True)


def _check_measured(
    faults: Faults,
    place: Place,
    endpoint: Endpoint,
    cell: Cell,
    configs: Sequence[BaseModel],
    *,
    inside: bool = True,
) -> None:
    wanted = Wanted(endpoint.metric, dict(endpoint.coordinates), "last", 1)
    reasons: dict[tuple[str, str], None] = {}
    for config in configs:
        for key, reason in cell.found.trainer.unmeasured(config, wanted):
            reasons.setdefault((key, reason))
    for key, reason in reasons:
        at = (*place, {"metric": "name"}.get(key, key)) if inside else place
        faults.add(at, f"{reason} (at {cell.name})")
