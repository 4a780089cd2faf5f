"""One planned trial, complete and resolved. Knows nothing of runs or results."""

import json
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pydantic import BaseModel

from analysis.contract.question import PlannedTrial
from sweeper.planning.grid import Cell
from sweeper.sweepfile.axes import Setting
from sweeper.sweepfile.fields import SEED
from trainers.trainer import Reference, Trainer


@dataclass(frozen=True, kw_only=True)
class TrialSpec:
    """One planned trial.

    `labels` maps each axis, in file order, to its value's label. `point` is a hash of the config, and `cell` one of the
    config without the seed. All seeds of a cell share its objects, so that plans of 100,000 trials stay small.
    """

    trial_id: str
    point: str
    cell: str
    seed: int
    recipe: Mapping[str, int]
    digest: str
    grid_cell: Cell
    cell_config: BaseModel
    seed_origin: str
    trainer: Trainer
    reference: Reference

    @property
    def labels(self) -> Mapping[str, str]:
        return self.grid_cell.labels

    @property
    def cell_name(self) -> str:
        return self.grid_cell.name

    @cached_property
    def config(self) -> BaseModel:
        """The complete config, seed included."""
        return self.cell_config.model_copy(update={"seed": self.seed})

    @property
    def origins(self) -> dict[str, str]:
        """Where each field's value came from: "zeroing_vs_steps.yaml:9", "protocol omniglot" or "default"."""
        settings = {name: self.grid_cell.setting(name) for name in self.trainer.config.model_fields}
        origins = {name: setting.origin for name, setting in settings.items() if setting is not None}
        return origins | {"seed": self.seed_origin}

    @property
    def left_out(self) -> Mapping[str, Setting]:
        """The values of the file that this trial's trainer has no field for."""
        return self.grid_cell.left_out

    @property
    def target(self) -> int:
        """Steps to train to; 0 for a trainer without a length, whose trials end by themselves."""
        return self.field(self.trainer.length) if self.trainer.length else 0

    def field(self, name: str) -> Any:
        """Return the value of a field of the config, the seed excepted."""
        return getattr(self.cell_config, name)

    def shared_by_pack(self) -> Hashable:
        """Return what trials of one pack must share: the trainer, and all fields of the config that may not differ."""
        packable = self.trainer.packable
        found = self.trainer.name, json.dumps(self.reference.says, sort_keys=True), self.reference.folder
        fields = tuple((name, value) for name, value in self.cell_config if name not in packable and name != SEED)
        return found, fields, None if SEED in packable else self.seed

    def name(self) -> str:
        """Return a readable name of the trial: `Omniglot 5w1s · inner_steps 3 · zeroing every step · s0`."""
        return f"{self.cell_name} · s{self.seed}"

    def planned(self, paper: BaseModel | None = None) -> PlannedTrial:
        """Return the trial as a report reads it. `paper` is the config of the paper's cell with the same labels."""
        return PlannedTrial(
            trial_id=self.trial_id,
            cell=self.cell,
            seed=self.seed,
            trainer=self.trainer.name,
            length=self.trainer.length,
            target=self.target,
            labels=self.labels,
            config=self.config.model_dump(),
            origins=self.origins,
            paper=None if paper is None else {**paper.model_dump(), "seed": self.seed},
        )
