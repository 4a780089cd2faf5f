"""From a sweep to its trials: every point of the grid complete, resolved and identified before anything runs.

Pure: no result is read, and nothing depends on the order of a mapping, on the process or on the platform.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from sweeper.answerable import check_readings
from sweeper.collector import paused
from sweeper.errors import Position, Problem, SweepError
from sweeper.grid import DEFAULTS, Cell, Grid, check_exclusions, grid_of, included
from sweeper.schema import PlannedTrial
from sweeper.sweepfile import Sweep
from sweeper.yaml_source import Faults
from trainers.catalog import CATALOG
from trainers.config import ConfigError, TrialConfig, resolve
from trainers.config import Problem as ConfigProblem
from trainers.recipe import recipe_of

_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False)
_NO_DEFAULT = object()
PAPER = "paper"
"""The profile that holds exactly the paper's cells, in a file whose whole grid is more than these."""
_IDENTIFYING = {
    name: DEFAULTS[name].value if name in DEFAULTS else _NO_DEFAULT
    for name in TrialConfig.model_fields
    if name not in ("outer_steps", "eval_steps", "seed")
}
"""The fields that tell configs apart by themselves, with the value that leaves each out."""


@dataclass(frozen=True, kw_only=True)
class TrialSpec:
    """One planned trial.

    `labels` maps each axis, in file order, to its value's label. `cell` is `point` without the seed, and `cell_name`
    what a person calls it. What all seeds of a cell share is kept once: plans of 100,000 trials are made at a go.
    """

    trial_id: str
    point: str
    cell: str
    seed: int
    recipe: Mapping[str, int]
    digest: str
    grid_cell: Cell
    cell_config: TrialConfig
    seed_origin: str

    @property
    def labels(self) -> Mapping[str, str]:
        return self.grid_cell.labels

    @property
    def cell_name(self) -> str:
        return self.grid_cell.name

    @cached_property
    def config(self) -> TrialConfig:
        """The complete config."""
        return self.cell_config.model_copy(update={"seed": self.seed})

    @property
    def origins(self) -> dict[str, str]:
        """Where each field's value came from: "zeroing_vs_steps.yaml:9", "protocol omniglot" or "default"."""
        found = {name: self.grid_cell.setting(name) for name in TrialConfig.model_fields}
        origins = {name: setting.origin for name, setting in found.items() if setting is not None}
        return origins | {"seed": self.seed_origin}

    @property
    def target(self) -> int:
        """Outer steps to train to."""
        return self.cell_config.outer_steps

    def name(self) -> str:
        """Return what a person calls the trial: `Omniglot 5w1s · inner_steps 3 · zeroing every step · s0`."""
        return f"{self.cell_name} · s{self.seed}"

    def planned(self, paper: TrialConfig | None = None) -> PlannedTrial:
        """Return what a report needs to know of the trial; `paper` is the config of the paper's cell beside it."""
        return PlannedTrial(
            trial_id=self.trial_id,
            cell=self.cell,
            seed=self.seed,
            target=self.target,
            inner_steps=self.cell_config.inner_steps,
            eval_every=self.cell_config.eval_every,
            labels=self.labels,
            config=self.config.model_dump(),
            origins=self.origins,
            paper=None if paper is None else {**paper.model_dump(), "seed": self.seed},
        )


def identity(config: TrialConfig) -> dict[str, Any]:
    """Return the fields of `config` that tell it from others, without the seed: those that differ from their default.

    `outer_steps` is no part of it, since a trial can be continued; `eval_steps` is one only where it differs from
    `inner_steps`, which is what null means.
    """
    values = vars(config)
    fields = {name: values[name] for name, left_out in _IDENTIFYING.items() if values[name] != left_out}
    if config.scored_steps != config.inner_steps:
        fields["eval_steps"] = config.scored_steps
    return fields


def identify(fields: Mapping[str, Any]) -> str:
    """Return 16 hex digits for `fields`: the sha256 of their JSON with sorted keys, no spaces and floats by repr."""
    return _hash(",".join(_members(fields)))


def _members(fields: Mapping[str, Any]) -> list[str]:
    return [_member(name, type(fields[name]), fields[name]) for name in sorted(fields)]


@lru_cache(maxsize=100_000)
def _member(name: str, kind: type, value: Any) -> str:
    """Return `"name":value` in canonical JSON; `kind` keeps 1, 1.0 and True apart, which are one key otherwise."""
    return _CANONICAL.encode({name: value})[1:-1]


def _hash(members: str) -> str:
    return hashlib.sha256(f"{{{members}}}".encode("ascii")).hexdigest()[:16]


def trial_id(*, point: str, digest: str, recipe: Mapping[str, int]) -> str:
    """Return the id of the trial that computes `point` from the data array of `digest` by `recipe`."""
    return _hash(f'{_member("digest", str, digest)},"point":"{point}","recipe":{{{",".join(_members(recipe))}}}')


@paused()
def expand(sweep: Sweep, profile: str | None = None, digests: Mapping[str, str] | None = None) -> tuple[TrialSpec, ...]:
    """Return every trial of `sweep` under `profile`: axes in file order, the last fastest, seeds faster still.

    `digests` maps data set names to the digests of their arrays; the catalogue has those that are not given.
    Raises SweepFileError with every point that can't be, and SweepError for an unknown profile.
    """
    known = {name: facts.digest for name, facts in CATALOG.items()} | dict(digests or {})
    grid = grid_of(sweep, profile)
    faults = Faults(sweep.document)
    check_exclusions(sweep, faults)
    cells = included(sweep, grid)
    if not cells:
        under = f" under profile {profile}" if profile else ""
        faults.add(("exclude",), f"no point is left{under}; exclude less", at_key=True)
    configs = _resolve(cells, faults)
    check_readings(sweep, configs, faults, whole=profile is None)
    faults.raise_if_any()
    identities = [identity(config) for _, config in configs]
    names = [identify(fields) for fields in identities]
    _check_twins(cells, names, faults)
    faults.raise_if_any()
    specs = []
    for (cell, config), fields, name in zip(configs, identities, names, strict=True):
        specs += _replicates(grid, cell, config, fields, name, known[config.dataset])
    return tuple(specs)


def paper_configs(sweep: Sweep) -> dict[tuple[str, ...], TrialConfig]:
    """Return the config of each cell of the paper's own grid by its labels: profile `paper`, else the whole grid."""
    grid = grid_of(sweep, PAPER if PAPER in sweep.profiles else None)
    return {tuple(cell.labels.values()): resolve(cell.values()) for cell in included(sweep, grid)}


def expand_every(sweep: Sweep, digests: Mapping[str, str] | None = None) -> list[TrialSpec]:
    """Return the trials of `sweep` under no profile and under each: what none of them names is an orphan."""
    every: list[TrialSpec] = []
    for name in (None, *sweep.profiles):
        with suppress(SweepError):  # a profile with faults of its own names nothing
            every += expand(sweep, name, digests)
    return every


def _replicates(
    grid: Grid, cell: Cell, config: TrialConfig, fields: dict[str, Any], cell_id: str, digest: str
) -> Iterator[TrialSpec]:
    recipe = recipe_of(config)
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
        )


def _resolve(cells: Sequence[Cell], faults: Faults) -> list[tuple[Cell, TrialConfig]]:
    """Return the cells that can be, with their configs; each distinct reason why one can't is noted once."""
    configs = []
    reasons: dict[tuple[Position, str], str] = {}
    for cell in cells:
        try:
            configs.append((cell, resolve(cell.values())))
        except ConfigError as error:
            for problem in error.problems:
                message = f"{problem.field}: {problem.message}"
                if cell.setting("dataset") is None:
                    message += "; name a protocol (use: omniglot) or a dataset"
                reason = (_blamed(cell, problem, faults), message)
                reasons.setdefault(reason, cell.name)
    faults.problems.extend(Problem(at, f"{message} (at {name})") for (at, message), name in reasons.items())
    return configs


def _blamed(cell: Cell, problem: ConfigProblem, faults: Faults) -> Position:
    """Return where to look: the field's own value in the file, else that of a field the message speaks of."""
    spoken_of = [problem.field, *re.findall(r"\w+", problem.message), "dataset"]
    for name in spoken_of:
        setting = cell.setting(name)
        if setting is not None and setting.position is not None:
            return setting.position
    return faults.document.key_at(("fixed",))


def _check_twins(cells: Sequence[Cell], names: Sequence[str], faults: Faults) -> None:
    """Note cells that are one and the same trial, once for each pair of axis values that makes them so."""
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
            message = f"{twin.name} and {cell.name} are the same trial; let {axis} set what tells them apart"
            faults.problems.append(Problem(after.position, message))
