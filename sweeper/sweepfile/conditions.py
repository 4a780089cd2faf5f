"""`when:` of a sweep file: which axes, and which dimensions of a search, apply only where axes have certain values.

A cell in which an axis does not apply has the label `NOT_APPLICABLE` there, and the axis sets nothing in it.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from analysis.contract.question import NOT_APPLICABLE
from sweeper.errors import Position, shown, suggest
from sweeper.sweepfile.axes import Axis, AxisValue, label_for
from sweeper.sweepfile.fields import Fields
from sweeper.sweepfile.yaml_source import Faults, Place

Labels = Mapping[str, Iterable[str]]
"""The labels of each axis, those of profiles and included cells too."""


@dataclass(frozen=True, kw_only=True)
class Condition:
    """An axis applies in a cell whose label of each axis in `labels` is one of those."""

    labels: Mapping[str, frozenset[str]]
    position: Position

    def holds(self, cell: Mapping[str, Any]) -> bool:
        """Return whether it holds in the cell with these labels."""
        return all(cell.get(axis) in allowed for axis, allowed in self.labels.items())

    def absent(self) -> AxisValue:
        """Return the value of the axis where the condition does not hold."""
        return AxisValue(label=NOT_APPLICABLE, settings={}, position=self.position)


def read_conditions(
    faults: Faults,
    fields: Fields,
    given: Mapping[str, Mapping[str, Any]],
    axes: Mapping[str, Axis],
    labels: Labels,
    dimensions: Collection[str] = (),
) -> dict[str, Condition]:
    """Return the conditions by axis: an axis comes after those that it depends on. Faults are noted and left out.

    `dimensions` are those of a search. They may have conditions, too, but no condition depends on them.
    """
    found: dict[str, Condition] = {}
    for name, wanted in given.items():
        place: Place = ("when", name)
        before = len(faults.problems)
        if name in dimensions:
            pass
        elif name not in axes:
            faults.add(place, f"unknown axis; {suggest(name, [*axes, *dimensions])}", at_key=True)
        elif axes[name].choosing:
            faults.add(place, "the axis that chooses trainers applies in every cell; remove its condition", at_key=True)
        elif NOT_APPLICABLE in labels[name]:
            why = f"has a value {NOT_APPLICABLE}, which is the label of a cell in which an axis does not apply"
            faults.add(place, f"axis {name} {why}; give the value another name", at_key=True)
        if not wanted:
            faults.add(place, "names no axis; name the labels of another axis with which this one applies")
        own = {
            axis: _allowed(faults, fields, (*place, axis), name, axis, value, labels, dimensions)
            for axis, value in wanted.items()
        }
        if len(faults.problems) == before:
            found[name] = Condition(labels=own, position=faults.document.key_at(place))
    return _in_order(faults, found)


def _allowed(
    faults: Faults,
    fields: Fields,
    place: Place,
    name: str,
    axis: str,
    given: Any,
    labels: Labels,
    dimensions: Collection[str],
) -> frozenset[str]:
    if axis == name:
        faults.add(place, "an axis can't depend on itself; name another axis", at_key=True)
    elif axis in dimensions:
        why = "is searched, and what is searched in a cell depends on axes of the matrix alone"
        faults.add(place, f"{axis} {why}; name one of them", at_key=True)
    elif axis not in labels:
        faults.add(place, f"unknown axis; {suggest(axis, [one for one in labels if one != name])}", at_key=True)
    else:
        several = isinstance(given, list)
        if several and not given:
            faults.add(place, f"is empty, so axis {name} would apply nowhere; name a label")
        chosen = []
        for index, value in enumerate(given if several else [given]):
            label = shown(value) if isinstance(value, list | dict) else label_for(fields, axis, value)
            if label not in labels[axis]:
                inside = (*place, index) if several else place
                faults.add(inside, f"axis {axis} has no value {shown(label)}; {suggest(label, labels[axis])}")
            chosen.append(label)
        return frozenset(chosen)
    return frozenset()


def _in_order(faults: Faults, found: Mapping[str, Condition]) -> dict[str, Condition]:
    """Return `found` in an order in which each axis follows those that it depends on. Notes a circle."""
    ordered: dict[str, Condition] = {}
    left = dict(found)
    while left:
        free = [name for name, one in left.items() if not one.labels.keys() & left.keys()]
        if not free:
            first = next(iter(left))
            faults.add(("when", first), f"axes {', '.join(left)} depend on each other; free one of them", at_key=True)
            return ordered
        ordered |= {name: left.pop(name) for name in free}
    return ordered
