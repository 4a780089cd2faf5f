"""The searches of a sweep, one for each cell of the matrix and seed, and the trials that their points stand for.

Pure: reads no results and proposes no point. A search is identified by all that its proposals depend on: space, fixed
values, sampler with its options, seed, metric and rungs. How many trials it proposes is no part of that, so it can
grow.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from pydantic import BaseModel

from analysis.contract.question import Endpoint
from sweeper.host.gc_pause import paused
from sweeper.planning.grid import Cell, Grid, check_exclusions, check_inclusions, grid_of, included
from sweeper.planning.identity import identify, identity, trial_id
from sweeper.planning.search_checks import check_cell, check_fixed, note_empty, note_lacking
from sweeper.planning.search_points import Params, cell_at, confirming, examples_of, space_of
from sweeper.planning.trial_spec import TrialSpec
from sweeper.sweepfile.fields import SEED, Fields
from sweeper.sweepfile.search_key import SearchSpec
from sweeper.sweepfile.space import Dimension
from sweeper.sweepfile.sweep import Sweep
from sweeper.sweepfile.yaml_source import Faults
from trainers.described import DescribedTrainer
from trainers.trainer import DEFAULT, Trainer


@dataclass(frozen=True, kw_only=True)
class Search:
    """One search. `rungs` are the lengths at which its trials are compared; 0 is a trainer without a length.

    `space` has the dimensions that apply in its cell. `facts` are what its id is the hash of.
    """

    sweep: Sweep
    spec: SearchSpec
    grid: Grid
    cell: Cell
    space: tuple[Dimension, ...]
    seed: int
    digests: Mapping[str, str]
    search_id: str
    facts: Mapping[str, Any]
    rungs: tuple[int, ...]
    length: int

    @property
    def trainer(self) -> Trainer:
        """What trains its trials."""
        return self.cell.found.trainer

    @property
    def metric(self) -> Endpoint:
        """What its trials are compared by."""
        return self.spec.metric.of_trainer(self.trainer.name)

    @property
    def name(self) -> str:
        """A readable name: `Omniglot 5w1s · method ANIL · s0`."""
        return f"{self.cell.name} · s{self.seed}"

    def trial(self, params: Params, rung: int) -> TrialSpec:
        """Return the trial of a point, with the length of a rung. Raises ConfigError if no trial satisfies it."""
        cell = cell_at(self.grid, self.spec, self.cell, params)
        return _spec(cell, self.rungs[rung], self.seed, self.grid.seed_origin, self.digests, self.facts)

    def confirmation(self, params: Params, seed: int) -> TrialSpec:
        """Return the trial that confirms a point with a fresh seed, at the full length. Raises ConfigError."""
        confirm = self.spec.confirm
        assert confirm is not None
        cell = cell_at(self.grid, self.spec, self.cell, params)
        cell = replace(cell, given={**cell.given, **confirming(confirm, cell)})
        return _spec(cell, self.length, seed, "search.confirm", self.digests, self.facts)

    @cached_property
    def examples(self) -> list[TrialSpec]:
        """Valid points that stand for the trials of the search before any is proposed: its data, memory and time."""
        return [
            _spec(cell, self.length, self.seed, "", self.digests)
            for cell, _ in examples_of(self.grid, self.spec, self.cell)
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
    check_fixed(faults, spec, grid, profile)
    if not cells:
        faults.add(("exclude",), "no cell is left; exclude less", at_key=True)
    found: list[Search] = []
    axes = {**grid.axes, **{dimension.name: () for dimension in spec.space}}
    wide = replace(grid, axes=axes, conditions={**grid.conditions, **spec.conditions})
    faults.raise_if_any_of(None if note_lacking(faults, spec, cells) else cells)
    for cell in cells:
        examples = examples_of(wide, spec, cell)
        if not examples:
            note_empty(faults, wide, spec, cell)
            continue
        check_cell(faults, spec, cell, examples)
        for seed in grid.seeds:
            found.append(_search(sweep, spec, wide, cell, examples, seed, digests or {}))
    _check_twins(faults, found)
    faults.raise_if_any()
    return tuple(found)


def _spec(
    cell: Cell,
    target: int,
    seed: int,
    origin: str,
    digests: Mapping[str, str],
    facts: Mapping[str, Any] | None = None,
) -> TrialSpec:
    """Return the trial of a cell. Of a trainer without its code, an untrained config has what `facts` note."""
    trainer = cell.found.trainer
    values = cell.values() | ({trainer.length: target} if trainer.length else {})
    config = trainer.resolve(values)
    fields = identity(trainer, config)
    dataset, recipe = trainer.dataset(config), trainer.recipe(config)
    digest = digests.get(dataset) or trainer.digest(dataset)
    if facts is not None and isinstance(trainer, DescribedTrainer) and trainer.recall(vars(config)) is None:
        digest, recipe = facts["digest"], facts["recipe"]
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
        reference=cell.found.reference,
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
    trainer, space = cell.found.trainer, space_of(spec, cell)
    metric = spec.metric.of_trainer(trainer.name)
    config = examples[0][1]
    length = getattr(config, trainer.length) if trainer.length else 0
    rungs = spec.rungs.steps if spec.rungs is not None else (length,)
    dataset = trainer.dataset(config)
    facts: Mapping[str, Any] = {
        "trainer": trainer.name,
        "fixed": _fixed(cell),
        "space": {dimension.name: dimension.described for dimension in space},
        "sampler": {"name": spec.sampler, **spec.options},
        "seed": seed,
        "metric": {"name": metric.metric, "better": spec.better, **dict(metric.coordinates)},
        "rungs": {"steps": list(rungs), "factor": spec.rungs.factor if spec.rungs is not None else 1},
        "digest": digests.get(dataset) or trainer.digest(dataset),
        "recipe": dict(trainer.recipe(config)),
    }
    if isinstance(trainer, DescribedTrainer):
        facts = trainer.recall_search(facts) or facts
    return Search(
        sweep=sweep,
        spec=spec,
        grid=grid,
        cell=cell,
        space=space,
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


def _fixed(cell: Cell) -> dict[str, Any]:
    """Return the values of a cell before its point, as they are in a trial's identity: without seed and length."""
    trainer = cell.found.trainer
    defaults = Fields(trainer).defaults
    values = {**defaults, **cell.values()}
    for name in (SEED, trainer.length):
        values.pop(name or "", None)
    if trainer.name == DEFAULT:
        values = {name: value for name, value in values.items() if name not in defaults or value != defaults[name]}
    return values


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
