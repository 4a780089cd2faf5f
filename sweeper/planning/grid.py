"""The cells of a sweep's grid under a profile: the product of the axes, the values of fields, and exclusions.

Precedence, weakest first: trainer default, protocol, `fixed`, axis, profile. Identifies no trial: `identity` does.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any

from sweeper.errors import SweepError, suggest
from sweeper.sweepfile.axes import AxisValue, Setting
from sweeper.sweepfile.fields import Fields
from sweeper.sweepfile.sweep import Exclusion, Sweep
from sweeper.sweepfile.yaml_source import Faults, Place
from trainers.trainer import Trainer


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One combination of axis values. The values in `given` come from the file and override those of the protocol.

    `defaults` are the trainer's own, the same mapping for all cells.
    """

    choice: tuple[AxisValue, ...]
    labels: Mapping[str, str]
    protocol: Mapping[str, Setting]
    given: Mapping[str, Setting]
    defaults: Mapping[str, Setting]
    name: str

    def setting(self, name: str) -> Setting | None:
        """Return the value of field `name` with the highest precedence, or None if it has no value."""
        return self.given.get(name) or self.protocol.get(name) or self.defaults.get(name)

    def values(self) -> dict[str, Any]:
        """Return the value of every field that the file or the protocol gives."""
        return {name: setting.value for name, setting in {**self.protocol, **self.given}.items()}

    def excluded_by(self, rule: Exclusion) -> bool:
        """Return whether the cell has every label and every field value of `rule`."""
        return all(self.labels[axis] == label for axis, label in rule.labels.items()) and all(
            (setting := self.setting(name)) is not None and setting.value == value
            for name, value in rule.fields.items()
        )


@dataclass(frozen=True, kw_only=True)
class Grid:
    """A grid under one profile. Axes override the `weak` settings, and the `strong` ones override the axes."""

    weak: Mapping[str, Setting]
    axes: Mapping[str, tuple[AxisValue, ...]]
    strong: Mapping[str, Setting]
    seeds: tuple[int, ...]
    seed_origin: str
    task_axis: str | None
    trainer: Trainer

    def cells(self) -> Iterator[Cell]:
        """Yield every cell of the product of the axes. The last axis varies fastest."""
        for choice in product(*self.axes.values()):
            yield self.cell(choice)

    def cell(self, choice: tuple[AxisValue, ...]) -> Cell:
        """Return the cell with one value of each axis."""
        explicit = dict(self.weak)
        for value in choice:
            explicit.update(value.settings)
        explicit.update(self.strong)
        use = explicit.pop("use", None)
        if use not in self._chosen:
            assert use is not None
            self._chosen[use] = self._protocol(use)
        protocol = self._chosen[use]
        labels = dict(zip(self.axes, [value.label for value in choice], strict=True))
        name = self._name(labels, explicit.get("dataset") or protocol.get("dataset"))
        return Cell(choice=choice, labels=labels, protocol=protocol, given=explicit, defaults=self._defaults, name=name)

    @cached_property
    def _chosen(self) -> dict[Setting | None, dict[str, Setting]]:
        """The settings of each protocol that a cell has used."""
        return {None: {}}

    @cached_property
    def _defaults(self) -> Mapping[str, Setting]:
        values = Fields(self.trainer).defaults
        return {name: Setting(value=value, origin="default", position=None) for name, value in values.items()}

    def _protocol(self, use: Setting) -> dict[str, Setting]:
        origin = f"protocol {use.value}"
        fields = self.trainer.protocols[str(use.value)]
        return {name: Setting(value=value, origin=origin, position=use.position) for name, value in fields.items()}

    def _name(self, labels: Mapping[str, str], dataset: Setting | None) -> str:
        # Labels of the axis that chooses the data set are clear alone. Other labels need the name of their axis.
        if self.task_axis is not None:
            task = labels[self.task_axis]
        elif "dataset" in self.trainer.config.model_fields:
            task = str(dataset.value) if dataset else "no data set"
        else:
            task = ""
        axes = [f"{axis} {label}" for axis, label in labels.items() if axis != self.task_axis]
        return " · ".join([task, *axes] if task else axes) or "the only cell"


def grid_of(sweep: Sweep, profile: str | None) -> Grid:
    """Return the grid of `sweep` under `profile` (None: the whole grid). Raises SweepError for an unknown profile."""
    if profile is not None and profile not in sweep.profiles:
        names = ", ".join(sweep.profiles) or "none"
        hint = suggest(profile, sweep.profiles)
        raise SweepError(f"{sweep.path}: unknown profile {profile!r}; {hint} (profiles of this file: {names})")
    variant = None if profile is None else sweep.profiles[profile]
    place: Place = ("seeds",)
    seeds = sweep.seeds
    if variant is not None and variant.seeds is not None:
        place, seeds = ("profiles", variant.name, "seeds"), variant.seeds
    task_axes = (axis.name for axis in sweep.axes if axis.bundled and axis.keys() & {"use", "dataset"})
    values = {} if variant is None else variant.values
    return Grid(
        weak=sweep.fixed,
        axes={axis.name: values.get(axis.name, axis.values) for axis in sweep.axes},
        strong={} if variant is None else variant.fixed,
        seeds=seeds,
        seed_origin=f"{sweep.path.name}:{sweep.document.at(place).line}",
        task_axis=next(task_axes, None),
        trainer=sweep.trainer,
    )


def included(sweep: Sweep, grid: Grid) -> list[Cell]:
    """Return the cells of `grid` that `exclude` does not leave out."""
    return [cell for cell in grid.cells() if not any(cell.excluded_by(rule) for rule in sweep.exclude)]


def check_exclusions(sweep: Sweep, faults: Faults) -> None:
    """Note every entry of `exclude` that matches no cell of the whole grid."""
    idle = dict(enumerate(sweep.exclude))
    for cell in grid_of(sweep, None).cells():
        if not idle:
            return
        idle = {index: rule for index, rule in idle.items() if not cell.excluded_by(rule)}
    for index in idle:
        faults.add(("exclude", index), "matches no point of the grid; correct or remove it")
