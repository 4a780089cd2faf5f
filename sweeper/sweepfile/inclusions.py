"""`include:` of a sweep file: single cells beside the grid, each given by a value of every axis.

A plain axis takes any value of its field there, a bundled axis one of its names, or a new name with its fields.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sweeper.errors import Position, shown, suggest
from sweeper.sweepfile.axes import Axis, AxisValue, label_of, read_named_values, read_value
from sweeper.sweepfile.conditions import Condition
from sweeper.sweepfile.fields import Fields
from sweeper.sweepfile.yaml_source import Faults, Place


@dataclass(frozen=True, kw_only=True)
class Inclusion:
    """A cell beside the grid: its value of each axis, in the order of the axes."""

    values: Mapping[str, AxisValue]
    position: Position


def read_inclusions(
    faults: Faults,
    fields: Fields,
    place: Place,
    given: Sequence[Mapping[str, Any]],
    axes: Mapping[str, Axis],
) -> tuple[dict[str, AxisValue], ...]:
    """Return the values that each entry gives, by axis; faults are noted and their entries left out."""
    entries = (_read_entry(faults, fields, (*place, index), entry, axes) for index, entry in enumerate(given))
    return tuple(entry for entry in entries if entry is not None)


def _read_entry(
    faults: Faults, fields: Fields, place: Place, given: Mapping[str, Any], axes: Mapping[str, Axis]
) -> dict[str, AxisValue] | None:
    before = len(faults.problems)
    if not given:
        faults.add(place, "names no cell; give a value of each axis")
    chosen: dict[str, AxisValue] = {}
    for name, value in given.items():
        if name in axes:
            found = _value(faults, fields, (*place, name), axes[name], value)
            chosen |= {} if found is None else {name: found}
        elif name in fields.names or name == "use":
            why = (
                "is not an axis; a cell is given by values of axes, and a bundled axis takes a new one with its fields"
            )
            faults.add((*place, name), f"{why}: AXIS: {{NAME: {{{name}: {shown(value)}}}}}", at_key=True)
        else:
            faults.add((*place, name), f"unknown axis; {suggest(name, axes)}", at_key=True)
    return chosen if len(faults.problems) == before else None


def _value(faults: Faults, fields: Fields, place: Place, axis: Axis, given: Any) -> AxisValue | None:
    position = faults.document.at(place)
    if not axis.bundled:
        if isinstance(given, list | dict):
            faults.add(place, f"takes one value, got {shown(given)}; write an entry for each")
            return None
        setting = read_value(faults, fields, place, axis.name, given)
        if setting is None:
            return None
        return AxisValue(label=label_of(setting.value), settings={axis.name: setting}, position=position)
    known = {value.label: value for value in axis.values}
    if isinstance(given, dict) and len(given) == 1 and not axis.choosing:
        (new,) = read_named_values(faults, fields, place, axis.name, given, {})
        if new.label in known:
            faults.add((*place, new.label), f"axis {axis.name} has this value; give its name alone", at_key=True)
        return new
    if isinstance(given, list | dict):
        form = "" if axis.choosing else ", or a mapping of one new name to its fields"
        faults.add(place, f"takes the name of one value of axis {axis.name}{form}, got {shown(given)}")
        return None
    label = label_of(given)
    if label not in known:
        faults.add(place, f"axis {axis.name} has no value {shown(label)}; {suggest(label, known)}")
    return known.get(label)


def completed(
    faults: Faults,
    place: Place,
    entries: Sequence[Mapping[str, AxisValue]],
    axes: Mapping[str, Axis],
    conditions: Mapping[str, Condition],
) -> tuple[Inclusion, ...]:
    """Return the cells of `entries` at `place`: an axis of one value, or one that does not apply, may be left out."""
    found = []
    for index, entry in enumerate(entries):
        inside = (*place, index)
        chosen = {name: axis.values[0] for name, axis in axes.items() if len(axis.values) == 1} | dict(entry)
        for name, condition in conditions.items():
            if condition.holds({axis: value.label for axis, value in chosen.items()}):
                continue
            if name in entry:
                faults.add((*inside, name), f"axis {name} does not apply in this cell (see when); leave it out")
            chosen[name] = condition.absent()
        lacking = [name for name in axes if name not in chosen]
        if lacking:
            faults.add(inside, f"gives no value of axis {' and '.join(lacking)}; a cell has one of each")
        else:
            cell = {name: chosen[name] for name in axes}
            found.append(Inclusion(values=cell, position=faults.document.at(inside)))
    return tuple(found)
