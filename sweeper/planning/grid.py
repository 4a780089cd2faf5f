"""The cells of a sweep's grid under a profile: the product of the axes, the values of fields, and exclusions.

Precedence, weakest first: trainer default, protocol, `fixed`, axis, profile, `--set`. `identity` identifies trials.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any

from analysis.contract.question import NOT_APPLICABLE
from sweeper.errors import Problem, SweepError, suggest
from sweeper.sweepfile.axes import AxisValue, Setting, label_of
from sweeper.sweepfile.conditions import Condition
from sweeper.sweepfile.fields import Fields
from sweeper.sweepfile.inclusions import Inclusion
from sweeper.sweepfile.sweep import Exclusion, Sweep
from sweeper.sweepfile.trainer_key import Found, Trainers
from sweeper.sweepfile.yaml_source import Faults, Place
from trainers.trainer import Trainer


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One combination of axis values. The values in `given` come from the file and override those of the protocol.

    `defaults` are the trainer's own, the same mapping for all its cells. `left_out` are values of the file that its
    trainer, `found`, has no field for; another trainer of the sweep has.
    """

    choice: tuple[AxisValue, ...]
    labels: Mapping[str, str]
    protocol: Mapping[str, Setting]
    given: Mapping[str, Setting]
    defaults: Mapping[str, Setting]
    name: str
    found: Found
    left_out: Mapping[str, Setting]

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
    tried: Mapping[str, Setting]
    seeds: tuple[int, ...]
    seed_origin: str
    task_axis: str | None
    trainers: Trainers
    conditions: Mapping[str, Condition]
    include: tuple[Inclusion, ...]

    def cells(self) -> Iterator[Cell]:
        """Yield every cell of the product of the axes. The last axis varies fastest."""
        for choice in product(*self.axes.values()):
            applying = self._applying(choice) if self.conditions else choice
            if applying is not None:
                yield self.cell(applying)

    def included(self) -> Iterator[Cell]:
        """Yield the cells beside the product."""
        for inclusion in self.include:
            yield self.cell(tuple(inclusion.values.values()))

    def _applying(self, choice: tuple[AxisValue, ...]) -> tuple[AxisValue, ...] | None:
        """Return `choice` without the values of axes that don't apply; None if an earlier choice stands for it."""
        chosen = dict(zip(self.axes, choice, strict=True))
        for name, condition in self.conditions.items():
            if not condition.holds({axis: value.label for axis, value in chosen.items()}):
                if chosen[name] is not self.axes[name][0]:
                    return None
                chosen[name] = condition.absent()
        return tuple(chosen.values())

    @cached_property
    def _kinds(self) -> "dict[str, _Kind]":
        return {found.trainer.name: _Kind(found) for found in self.trainers.every}

    def cell(self, choice: tuple[AxisValue, ...]) -> Cell:
        """Return the cell with one value of each axis."""
        explicit = dict(self.weak)
        for value in choice:
            explicit.update(value.settings)
        explicit.update(self.strong)
        found = next((value.found for value in choice if value.found is not None), self.trainers.own)
        kind = self._kinds[found.trainer.name]
        left_out = kind.taken_out_of(explicit) if len(self._kinds) > 1 else {}
        protocol = kind.protocol(explicit.pop("use", None))
        labels = dict(zip(self.axes, [value.label for value in choice], strict=True))
        return Cell(
            choice=choice,
            labels=labels,
            protocol=protocol,
            given=explicit,
            defaults=kind.defaults,
            name=self._name(found.trainer, labels, explicit.get("dataset") or protocol.get("dataset")),
            found=found,
            left_out=left_out,
        )

    def _name(self, trainer: Trainer, labels: Mapping[str, str], dataset: Setting | None) -> str:
        # Labels of the axis that chooses the data set are clear alone. Other labels need the name of their axis.
        if self.task_axis is not None:
            task = labels[self.task_axis]
        elif "dataset" in trainer.config.model_fields:
            task = str(dataset.value) if dataset else "no data set"
        else:
            task = ""
        axes = [
            f"{axis} {label}"
            for axis, label in labels.items()
            if axis != self.task_axis and (label != NOT_APPLICABLE or axis not in self.conditions)
        ]
        axes += [f"{name} {label_of(setting.value)}" for name, setting in self.tried.items()]
        return " · ".join([task, *axes] if task else axes) or "the only cell"


class _Kind:
    """The cells of one trainer: what they share."""

    def __init__(self, found: Found) -> None:
        self.trainer = found.trainer
        self.defaults = {
            name: Setting(value=value, origin="default", position=None)
            for name, value in Fields(found.trainer).defaults.items()
        }
        self._protocols: dict[Setting | None, dict[str, Setting]] = {None: {}}

    def taken_out_of(self, explicit: dict[str, Setting]) -> dict[str, Setting]:
        """Remove what the trainer has no field for, or no protocol, and return it."""
        fields = self.trainer.config.model_fields
        unknown = [name for name in explicit if name != "use" and name not in fields]
        if "use" in explicit and explicit["use"].value not in self.trainer.protocols:
            unknown.append("use")
        return {name: explicit.pop(name) for name in unknown}

    def protocol(self, use: Setting | None) -> dict[str, Setting]:
        """Return the values of a protocol."""
        if use is not None and use not in self._protocols:
            origin, fields = f"protocol {use.value}", self.trainer.protocols[str(use.value)]
            self._protocols[use] = {
                name: Setting(value=value, origin=origin, position=use.position) for name, value in fields.items()
            }
        return self._protocols[use]


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
        strong={**({} if variant is None else variant.fixed), **sweep.tried},
        tried=sweep.tried,
        seeds=seeds,
        seed_origin=f"{sweep.path.name}:{sweep.document.at(place).line}",
        task_axis=next(task_axes, None),
        trainers=sweep.trainers,
        conditions=sweep.conditions,
        include=sweep.include if variant is None else variant.include,
    )


def included(sweep: Sweep, grid: Grid) -> list[Cell]:
    """Return the cells of `grid` that `exclude` does not leave out, then those of `include`."""
    kept = [cell for cell in grid.cells() if not any(cell.excluded_by(rule) for rule in sweep.exclude)]
    return [*kept, *grid.included()]


def check_inclusions(grid: Grid, cells: Iterable[Cell], faults: Faults) -> None:
    """Note every included cell whose labels another of `cells` has."""
    seen = Counter(tuple(cell.labels.values()) for cell in cells) if grid.include else Counter()
    for inclusion in grid.include:
        labels = tuple(value.label for value in inclusion.values.values())
        if seen[labels] > 1:
            faults.problems.append(
                Problem(inclusion.position, f"{', '.join(labels)} is a cell of this grid already; remove the entry")
            )


def check_exclusions(sweep: Sweep, faults: Faults) -> None:
    """Note every entry of `exclude` that matches no cell of the whole grid."""
    idle = dict(enumerate(sweep.exclude))
    for cell in grid_of(sweep, None).cells():
        if not idle:
            return
        idle = {index: rule for index, rule in idle.items() if not cell.excluded_by(rule)}
    for index in idle:
        faults.add(("exclude", index), "matches no point of the grid; correct or remove it")
