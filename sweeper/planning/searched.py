"""The searches of a sweep, one for each cell of the matrix and seed, and the trials that their points stand for.

Pure: reads no results and proposes no point. A search is identified by all that its proposals depend on: space, fixed
values, sampler with its options, seed, metric and rungs. How many trials it proposes is no part of that, so it can
grow.
"""

import hashlib
import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from typing import Any

from pydantic import BaseModel

from analysis.contract.question import Endpoint
from sweeper.host.gc_pause import paused
from sweeper.planning.grid import Cell, Grid, check_exclusions, check_inclusions, grid_of, included
from sweeper.planning.identity import identify, identity, trial_id
from sweeper.planning.trial_spec import TrialSpec
from sweeper.sweepfile.axes import Setting
from sweeper.sweepfile.fields import SEED, Fields
from sweeper.sweepfile.search_key import SearchSpec
from sweeper.sweepfile.space import Param
from sweeper.sweepfile.sweep import Sweep
from sweeper.sweepfile.yaml_source import Faults, Place
from trainers.trainer import DEFAULT, ConfigError, Wanted

Params = Mapping[str, Param]
TRIES = 1000
"""Random points that are tried before a space counts as one that no trial satisfies."""
EXAMPLES = 64


@dataclass(frozen=True, kw_only=True)
class Search:
    """One search. `rungs` are the lengths at which its trials are compared; 0 is a trainer without a length.

    `facts` are what its id is the hash of.
    """

    sweep: Sweep
    spec: SearchSpec
    grid: Grid
    cell: Cell
    seed: int
    digests: Mapping[str, str]
    search_id: str
    facts: Mapping[str, Any]
    rungs: tuple[int, ...]
    length: int

    @property
    def name(self) -> str:
        """A readable name: `Omniglot 5w1s · method ANIL · s0`."""
        return f"{self.cell.name} · s{self.seed}"

    def trial(self, params: Params, rung: int) -> TrialSpec:
        """Return the trial of a point, with the length of a rung. Raises ConfigError if no trial satisfies it."""
        return self._trial(params, self.rungs[rung], self.seed, {}, self.grid.seed_origin)

    def confirmation(self, params: Params, seed: int) -> TrialSpec:
        """Return the trial that confirms a point with a fresh seed, at the full length. Raises ConfigError."""
        confirm = self.spec.confirm
        assert confirm is not None
        return self._trial(params, self.length, seed, confirm.settings, "search.confirm")

    def _trial(self, params: Params, target: int, seed: int, settings: Mapping[str, Setting], origin: str) -> TrialSpec:
        cell = cell_at(self.grid, self.spec, self.cell, params)
        if settings:
            cell = replace(cell, given={**cell.given, **settings})
        return _spec(self.sweep, cell, target, seed, origin, self.digests)

    @cached_property
    def examples(self) -> list[TrialSpec]:
        """Valid points that stand for the trials of the search before any is proposed: its data, memory and time."""
        return [
            _spec(self.sweep, cell, self.length, self.seed, "", self.digests)
            for cell, _ in _examples(self.grid, self.spec, self.cell, self.sweep)
        ]


@paused()
def searches_of(
    sweep: Sweep, profile: str | None = None, digests: Mapping[str, str] | None = None
) -> tuple[Search, ...]:
    """Return the searches of `sweep` under `profile`: cells in the order of the matrix, seeds fastest.

    Raises SweepFileError with every fault, and SweepError for an unknown profile.
    """
    spec = sweep.search
    assert spec is not None
    grid = grid_of(sweep, profile)
    faults = Faults(sweep.document)
    check_exclusions(sweep, faults)
    cells = included(sweep, grid)
    check_inclusions(grid, cells, faults)
    _check_fixed(faults, spec, grid, profile)
    if not cells:
        faults.add(("exclude",), "no cell is left; exclude less", at_key=True)
    found: list[Search] = []
    wide = replace(grid, axes={**grid.axes, **{dimension.name: () for dimension in spec.space}})
    for cell in cells:
        examples = _examples(wide, spec, cell, sweep)
        if not examples:
            _note_empty(faults, wide, spec, cell, sweep)
            continue
        _check(faults, sweep, spec, cell, examples)
        for seed in grid.seeds:
            found.append(_search(sweep, spec, wide, cell, examples, seed, digests or {}))
    _check_twins(faults, found)
    faults.raise_if_any()
    return tuple(found)


def cell_at(grid: Grid, spec: SearchSpec, cell: Cell, params: Params) -> Cell:
    """Return the cell of the matrix with the settings of a point. Raises ValueError for one outside the space."""
    chosen = tuple(dimension.chosen(params[dimension.name]) for dimension in spec.space)
    return grid.cell((*cell.choice, *chosen))


def _spec(sweep: Sweep, cell: Cell, target: int, seed: int, origin: str, digests: Mapping[str, str]) -> TrialSpec:
    trainer = sweep.trainer
    values = cell.values() | ({trainer.length: target} if trainer.length else {})
    config = trainer.resolve(values)
    fields = identity(trainer, config)
    dataset, recipe = trainer.dataset(config), trainer.recipe(config)
    digest = digests.get(dataset) or trainer.digest(dataset)
    point = identify({**fields, SEED: seed})
    return TrialSpec(
        trial_id=trial_id(point=point, digest=digest, recipe=recipe),
        point=point,
        cell=identify(fields),
        seed=seed,
        recipe=recipe,
        digest=digest,
        grid_cell=cell,
        cell_config=config,
        seed_origin=origin,
        trainer=trainer,
        reference=sweep.reference,
    )


def _search(
    sweep: Sweep,
    spec: SearchSpec,
    grid: Grid,
    cell: Cell,
    examples: Sequence[tuple[Cell, BaseModel]],
    seed: int,
    digests: Mapping[str, str],
) -> Search:
    trainer = sweep.trainer
    config = examples[0][1]
    length = getattr(config, trainer.length) if trainer.length else 0
    rungs = spec.rungs.steps if spec.rungs is not None else (length,)
    dataset = trainer.dataset(config)
    facts = {
        "trainer": trainer.name,
        "fixed": _fixed(sweep, cell),
        "space": {dimension.name: dimension.described for dimension in spec.space},
        "sampler": {"name": spec.sampler, **spec.options},
        "seed": seed,
        "metric": {"name": spec.metric.metric, "better": spec.better, **dict(spec.metric.coordinates)},
        "rungs": {"steps": list(rungs), "factor": spec.rungs.factor if spec.rungs is not None else 1},
        "digest": digests.get(dataset) or trainer.digest(dataset),
        "recipe": dict(trainer.recipe(config)),
    }
    return Search(
        sweep=sweep,
        spec=spec,
        grid=grid,
        cell=cell,
        seed=seed,
        digests=digests,
        search_id=search_id(facts),
        facts=facts,
        rungs=rungs,
        length=length,
    )


def search_id(facts: Mapping[str, Any]) -> str:
    """Return 16 hex digits of the sha256 of `facts` as JSON with sorted keys."""
    text = json.dumps(facts, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode("ascii")).hexdigest()[:16]


def _fixed(sweep: Sweep, cell: Cell) -> dict[str, Any]:
    """Return the values of a cell before its point, as they are in a trial's identity: without seed and length."""
    trainer = sweep.trainer
    defaults = Fields(trainer).defaults
    values = {**defaults, **cell.values()}
    for name in (SEED, trainer.length):
        values.pop(name or "", None)
    if trainer.name == DEFAULT:
        values = {name: value for name, value in values.items() if name not in defaults or value != defaults[name]}
    return values


def _points(spec: SearchSpec) -> Iterator[dict[str, Param]]:
    """Yield points in a fixed order: ends, then each value of each dimension, then random ones."""
    ends = {dimension.name: dimension.examples() for dimension in spec.space}
    low = {name: values[0] for name, values in ends.items()}
    yield low
    yield {name: values[-1] for name, values in ends.items()}
    for name, values in ends.items():
        for value in values[1:]:
            yield low | {name: value}
    for number in range(TRIES):
        draws = random.Random(f"example {number}")
        yield {dimension.name: dimension.at(draws.random()) for dimension in spec.space}


def _examples(grid: Grid, spec: SearchSpec, cell: Cell, sweep: Sweep) -> list[tuple[Cell, BaseModel]]:
    """Return valid points of a cell with their configs: at most EXAMPLES, at least one if any is found."""
    found: list[tuple[Cell, BaseModel]] = []
    fixed = sum(len(dimension.examples()) for dimension in spec.space) + 2
    for number, params in enumerate(_points(spec)):
        if len(found) >= EXAMPLES or (found and number >= fixed):
            break
        at = cell_at(grid, spec, cell, params)
        try:
            found.append((at, sweep.trainer.resolve(at.values())))
        except ConfigError:
            continue
    return found


def _note_empty(faults: Faults, grid: Grid, spec: SearchSpec, cell: Cell, sweep: Sweep) -> None:
    """Note that no trial satisfies the space of a cell, with the reason at its first point."""
    (first,) = islice(_points(spec), 1)
    try:
        sweep.trainer.resolve(cell_at(grid, spec, cell, first).values())
    except ConfigError as error:
        problem = error.problems[0]
        why = f"{problem.field}: {problem.message}"
        point = ", ".join(f"{name} {value}" for name, value in first.items())
        faults.add(("search", "space"), f"no trial satisfies it (at {cell.name}); at {point}, {why}", at_key=True)


def _check_fixed(faults: Faults, spec: SearchSpec, grid: Grid, profile: str | None) -> None:
    """Note a searched field to which a profile gives one value. `sweepfile.tries` refuses one of --set."""
    searched: dict[str, str] = {}
    for dimension in spec.space:
        searched |= dict.fromkeys(dimension.keys(), dimension.name)
    for name in grid.strong.keys() & searched.keys():
        said = f"is searched (dimension {searched[name]}), so it can't have one value; leave it out"
        faults.add(("profiles", str(profile), "fixed", name), said, at_key=True)


def _check(
    faults: Faults, sweep: Sweep, spec: SearchSpec, cell: Cell, examples: Sequence[tuple[Cell, BaseModel]]
) -> None:
    """Note a metric that no trial measures, rungs beyond the length, and final passes with rungs."""
    trainer, configs = sweep.trainer, [config for _, config in examples]
    _check_measured(faults, ("search", "metric"), sweep, spec.metric, cell, configs)
    confirm = spec.confirm
    if confirm is not None:
        confirmed = []
        for at, _ in examples:
            changed = {name: setting.value for name, setting in confirm.settings.items()}
            try:
                confirmed.append(trainer.resolve(at.values() | changed))
            except ConfigError as error:
                faults.add(("search", "confirm", "on"), f"{error} (at {at.name})")
                break
        place: Place = ("search", "confirm", "on") if confirm.on is not None else ("search", "confirm")
        _check_measured(faults, place, sweep, confirm.endpoint, cell, confirmed, inside=False)
    if spec.rungs is None or trainer.length is None:
        return
    shortest = min(getattr(config, trainer.length) for config in configs)
    if spec.rungs.steps[-1] > shortest:
        message = f"{spec.rungs.steps[-1]}, but trials end at {trainer.length} {shortest} (at {cell.name})"
        faults.add(("search", "rungs", "last"), message)
    if any(getattr(config, "final_episodes", 0) for config in configs):
        why = "every rung would pay for a last pass on test episodes, since each is the end of a training"
        faults.add(("search", "rungs"), f"can't be used with final_episodes: {why}; confirm measures", at_key=True)


def _check_measured(
    faults: Faults,
    place: Place,
    sweep: Sweep,
    endpoint: Endpoint,
    cell: Cell,
    configs: Sequence[BaseModel],
    *,
    inside: bool = True,
) -> None:
    wanted = Wanted(endpoint.metric, dict(endpoint.coordinates), "last", 1)
    reasons: dict[tuple[str, str], None] = {}
    for config in configs:
        for key, reason in sweep.trainer.unmeasured(config, wanted):
            reasons.setdefault((key, reason))
    for key, reason in reasons:
        at = (*place, {"metric": "name"}.get(key, key)) if inside else place
        faults.add(at, f"{reason} (at {cell.name})")


def _check_twins(faults: Faults, searches: Sequence[Search]) -> None:
    first: dict[str, Search] = {}
    for search in searches:
        twin = first.setdefault(search.search_id, search)
        if twin is not search:
            axis, value = next(
                (axis, value)
                for axis, before, value in zip(search.grid.axes, twin.cell.choice, search.cell.choice, strict=False)
                if before.label != value.label
            )
            names = f"{twin.cell.name} and {search.cell.name}"
            message = f"{names} are the same search; let {axis} set a field that differs"
            faults.add(("matrix", axis, value.label), message, at_key=True)
