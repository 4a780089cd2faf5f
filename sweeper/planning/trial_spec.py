"""One planned trial, complete and resolved. Knows nothing of runs or results."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from analysis.contract.question import PlannedTrial
from sweeper.planning.grid import Cell
from trainers.maml.config import TrialConfig


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
        """The complete config, seed included."""
        return self.cell_config.model_copy(update={"seed": self.seed})

    @property
    def origins(self) -> dict[str, str]:
        """Where each field's value came from: "zeroing_vs_steps.yaml:9", "protocol omniglot" or "default"."""
        settings = {name: self.grid_cell.setting(name) for name in TrialConfig.model_fields}
        origins = {name: setting.origin for name, setting in settings.items() if setting is not None}
        return origins | {"seed": self.seed_origin}

    @property
    def target(self) -> int:
        """Outer steps to train to."""
        return self.cell_config.outer_steps

    def name(self) -> str:
        """Return a readable name of the trial: `Omniglot 5w1s · inner_steps 3 · zeroing every step · s0`."""
        return f"{self.cell_name} · s{self.seed}"

    def planned(self, paper: TrialConfig | None = None) -> PlannedTrial:
        """Return the trial as a report reads it. `paper` is the config of the paper's cell with the same labels."""
        return PlannedTrial(
            trial_id=self.trial_id,
            cell=self.cell,
            seed=self.seed,
            trainer="maml",
            length="outer_steps",
            target=self.target,
            labels=self.labels,
            config=self.config.model_dump(),
            origins=self.origins,
            paper=None if paper is None else {**paper.model_dump(), "seed": self.seed},
        )
