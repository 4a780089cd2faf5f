"""The space of a search: its dimensions, from the sweep file to the settings of one trial. Proposes no point.

A parameter is what a journal holds for a dimension: a number, or the label of a choice.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from sweeper.errors import Position, shown, suggest
from sweeper.sweepfile.axes import AxisValue, Setting, label_of, read_axis, read_plain_values, read_value
from sweeper.sweepfile.fields import SEED, Fields
from sweeper.sweepfile.yaml_source import Faults, Place

Param = int | float | str
Kind = Literal["log", "uniform", "int", "choice"]
RANGES: tuple[Kind, ...] = ("log", "uniform", "int")
DIGITS = 6
"""Significant digits of a proposed fraction: more would only make names long, and ids depend on a platform's exp()."""


@dataclass(frozen=True, kw_only=True)
class Dimension:
    """One dimension. A range has its two ends, both included; a choice has its values, of which each sets some fields.

    The bundles of a dimension that is no field are choices, too.
    """

    name: str
    kind: Kind
    low: int | float = 0
    high: int | float = 0
    values: tuple[AxisValue, ...] = ()
    position: Position
    origin: str

    def keys(self) -> set[str]:
        """Return every field (or `use`) that some point sets."""
        return {key for value in self.values for key in value.settings} if self.kind == "choice" else {self.name}

    @property
    def described(self) -> Any:
        """The dimension as plain data, on which the identity of a search depends."""
        if self.kind != "choice":
            return {self.kind: [self.low, self.high]}
        return {
            "choice": [
                [value.label, {key: setting.value for key, setting in sorted(value.settings.items())}]
                for value in self.values
            ]
        }

    def at(self, unit: float) -> Param:
        """Return the parameter at `unit`, a number from 0 to below 1."""
        if self.kind == "choice":
            return self.values[int(unit * len(self.values))].label
        if self.kind == "int":
            return int(self.low) + int(unit * (int(self.high) - int(self.low) + 1))
        if self.kind == "log":
            return self.rounded(math.exp(math.log(self.low) + unit * (math.log(self.high) - math.log(self.low))))
        return self.rounded(self.low + unit * (self.high - self.low))

    def rounded(self, number: float) -> float:
        """Return `number` with DIGITS digits, inside the range."""
        return float(min(max(float(f"{number:.{DIGITS}g}"), self.low), self.high))

    def chosen(self, param: Param) -> AxisValue:
        """Return the value that `param` stands for. Raises ValueError if it lies outside the space."""
        if self.kind == "choice":
            found = next((value for value in self.values if value.label == param), None)
            if found is None:
                raise ValueError(f"{self.name} has no value {shown(param)}")
            return found
        whole = self.kind == "int"
        if type(param) is not (int if whole else float) or not self.low <= param <= self.high:
            raise ValueError(f"{self.name}: {shown(param)} is not from {self.low} to {self.high}")
        setting = Setting(value=param, origin=self.origin, position=self.position)
        return AxisValue(label=label_of(param), settings={self.name: setting}, position=self.position)

    def examples(self) -> list[Param]:
        """Return both ends of a range, or every value of a choice."""
        if self.kind == "choice":
            return [value.label for value in self.values]
        return [self.low, self.high]


def read_space(faults: Faults, fields: Fields, place: Place, given: Mapping[str, Any]) -> tuple[Dimension, ...]:
    """Return the dimensions at `place`; those with faults are noted and left out."""
    if not given:
        faults.add(place, "a search needs at least one dimension, such as inner_lr: {log: [0.01, 1]}")
    found = (_dimension(faults, fields, (*place, name), name, value) for name, value in given.items())
    return tuple(dimension for dimension in found if dimension is not None)


def _dimension(faults: Faults, fields: Fields, place: Place, name: str, given: Any) -> Dimension | None:
    before = len(faults.problems)
    if name in fields.lengths:
        reason = "a longer run continues the same trial, so its length is not searched; rungs give lengths"
        faults.add(place, reason, at_key=True)
        return None
    if name in (SEED, "use"):
        faults.add(place, "can't be searched; " + _INSTEAD[name], at_key=True)
        return None
    if name in fields.names and isinstance(given, dict):
        return _of_field(faults, fields, place, name, given)
    if isinstance(given, dict) and len(given) == 1 and next(iter(given)) in (*RANGES, "choice"):
        faults.add(place, f"unknown field; {suggest(name, fields.names)}", at_key=True)
        return None
    axis = read_axis(faults, fields, place, name, given)
    if axis is None or len(faults.problems) > before:
        return None
    return _choice(faults, place, name, axis.values)


_INSTEAD = {SEED: "seeds: gives the seeds of the searches", "use": "name protocols in the named values of a dimension"}


def _of_field(faults: Faults, fields: Fields, place: Place, name: str, given: dict[str, Any]) -> Dimension | None:
    known = (*RANGES, "choice")
    if len(given) != 1:
        faults.add(place, f"must be exactly one of {', '.join(known)}, got {', '.join(map(shown, given)) or 'none'}")
        return None
    kind, value = next(iter(given.items()))
    inside = (*place, kind)
    if kind not in known:
        faults.add(inside, f"unknown key; {suggest(kind, known)}", at_key=True)
        return None
    before = len(faults.problems)
    if kind == "choice":
        if not isinstance(value, list):
            faults.add(inside, f"must be a list of values, got {shown(value)}")
            return None
        values = read_plain_values(faults, fields, inside, name, value)
        return _choice(faults, place, name, values) if len(faults.problems) == before else None
    return _range(faults, fields, inside, name, kind, value)


def _choice(faults: Faults, place: Place, name: str, values: tuple[AxisValue, ...]) -> Dimension:
    at = faults.document.at(place)
    return Dimension(name=name, kind="choice", values=values, position=at, origin=_origin(faults, place))


def _range(faults: Faults, fields: Fields, place: Place, name: str, kind: Kind, given: Any) -> Dimension | None:
    kinds = fields.kinds(name)
    whole = kind == "int"
    if whole and int not in kinds:
        faults.add(place, f"{name} takes no whole numbers; write log or uniform for fractions, or choice", at_key=True)
        return None
    if not whole and float not in kinds:
        instead = "int, such as {int: [1, 7]}" if int in kinds else "choice"
        faults.add(place, f"{name} takes no fractions; write {instead}", at_key=True)
        return None
    if not isinstance(given, list) or len(given) != 2:
        faults.add(place, f"must be [lowest, highest], got {shown(given)}")
        return None
    ends: list[int | float] = []
    for index, number in enumerate(given):
        inside = (*place, index)
        if type(number) not in (int, float) or not math.isfinite(number) or (whole and type(number) is not int):
            faults.add(inside, f"must be a {'whole' if whole else 'finite'} number, got {shown(number)}")
        elif kind == "log" and number <= 0:
            faults.add(inside, f"a logarithm needs both ends above 0, got {shown(number)}; use uniform from there")
        elif (setting := read_value(faults, fields, inside, name, number)) is not None:
            assert isinstance(setting.value, int | float)
            ends.append(setting.value)
    if len(ends) < 2:
        return None
    low, high = ends
    if low >= high:
        faults.add(place, f"the lowest, {shown(low)}, must be below the highest, {shown(high)}")
        return None
    at = faults.document.at(place)
    return Dimension(name=name, kind=kind, low=low, high=high, position=at, origin=_origin(faults, place))


def _origin(faults: Faults, place: Place) -> str:
    return f"{faults.document.path.name}:{faults.document.at(place).line}"
