"""The claims of a sweep file: contrasts between cells, each side with the reading of its own cell's trainer."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from analysis.contract.question import NOT_APPLICABLE, ClaimSpec, Endpoint, Side
from sweeper.errors import shown, suggest
from sweeper.sweepfile.axes import Axis, AxisValue, label_for, labels_of
from sweeper.sweepfile.conditions import Condition
from sweeper.sweepfile.fields import Fields
from sweeper.sweepfile.form import ClaimForm, ReadingForm
from sweeper.sweepfile.one_reading import changed_by, read_coordinate
from sweeper.sweepfile.wording import wording
from sweeper.sweepfile.yaml_source import Faults, Place
from trainers.trainer import DEFAULT

_READING = {"metric": "metric", "at": "at", "window": "window"}
"""A claim side's keys of a reading, and the endpoint's names for them."""


def _keys(fields: Fields, axes: Iterable[str]) -> dict[str, str]:
    """Return a claim side's keys of a reading. A coordinate is `test_NAME`, or NAME where no axis has that name.

    `test_head`, because `head` is often an axis.
    """
    taken = set(axes)
    plain = {name: name for name in fields.coordinates if name not in taken}
    return _READING | {f"test_{name}": name for name in fields.coordinates} | plain


def read_claims(
    faults: Faults,
    fields: Fields,
    given: Sequence[ClaimForm],
    paper: str | None,
    endpoint: Endpoint,
    axes: Mapping[str, Axis | None],
    more_values: Sequence[Mapping[str, Sequence[AxisValue]]],
    conditions: Mapping[str, Condition],
) -> list[ClaimSpec]:
    """Return the claims; `more_values` are what profiles and included cells add to axes. Notes faults in `faults`."""
    sound = {name: axis for name, axis in axes.items() if axis is not None}
    chooser = next((axis for axis in sound.values() if axis.choosing), None)
    grid = _Grid(labels=labels_of(sound, more_values), conditions=conditions, fields=fields, chooser=chooser)
    return [_read_claim(faults, ("claims", index), claim, paper, endpoint, grid) for index, claim in enumerate(given)]


@dataclass(frozen=True, kw_only=True)
class _Grid:
    """The cells that claims name: labels of each axis, conditions, and the axis that chooses trainers, if any."""

    labels: Mapping[str, Mapping[str, None]]
    conditions: Mapping[str, Condition]
    fields: Fields
    chooser: Axis | None

    def own(self, chosen: Mapping[str, Any]) -> Fields:
        """Return the fields of the trainer of the cell with these labels."""
        if self.chooser is None:
            return self.fields
        found = next((one.found for one in self.chooser.values if one.label == chosen.get(self.chooser.name)), None)
        return self.fields.apart[0] if found is None else self.fields.of(found.trainer)

    def whole(self, faults: Faults, place: Place, chosen: dict[str, Any]) -> dict[str, Any]:
        """Return `chosen` with the label of each axis that does not apply in that cell."""
        for name, condition in self.conditions.items():
            known = {axis: next(iter(labels)) for axis, labels in self.labels.items() if len(labels) == 1} | chosen
            if not condition.labels.keys() <= known.keys() or condition.holds(known):
                continue
            if name in chosen:
                where = ", ".join(f"{axis} {known[axis]}" for axis in condition.labels)
                faults.add(place, f"axis {name} does not apply with {where} (see when); leave it out of that side")
            chosen = chosen | {name: NOT_APPLICABLE}
        return chosen


def _read_claim(
    faults: Faults, place: Place, given: ClaimForm, paper: str | None, endpoint: Endpoint, grid: _Grid
) -> ClaimSpec:
    fields, labels = grid.fields, grid.labels
    of_the_paper = all(trainer.name == DEFAULT for trainer in fields.trainers)
    _check_kind(faults, place, given, has_margins=paper is not None and of_the_paper)
    keys = _keys(fields, labels)

    def part(key: str | int, chosen: Mapping[str, Any] | None) -> dict[str, Any]:
        inside = (*place, key) if isinstance(key, str) else (*place, "between", key)
        return {
            name: _chosen(faults, fields, (*inside, name), name, value, labels, keys)
            for name, value in (chosen or {}).items()
        }

    def side(own: dict[str, Any], further: dict[str, Any]) -> Side:
        chosen = grid.whole(faults, place, where | own | further)
        mine = grid.own(chosen)
        return _side(faults, mine, place, chosen, endpoint.of_trainer(mine.trainer.name), labels, keys)

    def pair(further: dict[str, Any]) -> tuple[Side, Side]:
        return side(of, further), side(minus, further)

    where, of, minus = part("where", given.where), part("of", given.of), part("minus", given.minus)
    between = [part(index, cells) for index, cells in enumerate(given.between or ())]
    reference = part("reference", given.reference)
    first = pair(between[0] if between else {})
    return ClaimSpec(
        says=given.says,
        source=given.source,
        kind=given.kind,
        of=first[0],
        minus=first[1],
        less=pair(between[1]) if len(between) == 2 else None,
        reference=pair(reference) if reference else None,
        expected=given.expected,
        primary=given.primary,
        margin=given.margin,
    )


def _check_kind(faults: Faults, place: Place, given: ClaimForm, *, has_margins: bool) -> None:
    """Note keys that a claim of this kind lacks or can't have. `has_margins`: the sweep is about the paper."""
    if given.kind == "interaction":
        if len(given.between or ()) != 2:
            faults.add(place, "an interaction needs between, a list of two mappings")
    elif given.between is not None:
        faults.add((*place, "between"), f"is for an interaction, not for an {given.kind}", at_key=True)
    if given.kind != "equivalence" and given.reference is not None:
        faults.add((*place, "reference"), f"is for an equivalence, not for an {given.kind}", at_key=True)
    if given.kind != "equivalence" and given.expected is None:
        faults.add(place, "expected: required and not given (positive or negative, the sign that the paper claims)")
    if given.kind != "equivalence" and given.margin is not None:
        faults.add((*place, "margin"), f"is for an equivalence, not for an {given.kind}", at_key=True)
    if given.kind == "equivalence" and given.margin is None and not has_margins:
        said = "the largest difference that does not matter, as measured: 0.01 is one point of a fraction"
        faults.add(place, f"an equivalence needs margin ({said}); only a sweep of MAML that names a paper: has margins")
    if given.kind == "equivalence" and given.expected is not None:
        faults.add((*place, "expected"), "an equivalence has no expected sign; leave it out", at_key=True)


def _chosen(
    faults: Faults,
    fields: Fields,
    place: Place,
    name: str,
    value: Any,
    labels: Mapping[str, Mapping[str, None]],
    keys: Mapping[str, str],
) -> Any:
    """Return the value of one key of a claim's mapping: an axis's label, or a value of the reading."""
    if name not in labels:
        if name not in keys:
            faults.add(place, f"unknown axis; {suggest(name, [*labels, *keys])}", at_key=True)
            return None
        if keys[name] not in _READING:
            metrics = [metric for trainer in fields.trainers for metric in trainer.metrics.values()]
            allowed = dict.fromkeys(word for metric in metrics for word in metric.coordinates.get(keys[name], ()))
            before = len(faults.problems)
            found = read_coordinate(faults, place, tuple(allowed), value)
            return found if len(faults.problems) == before else None
        try:
            return getattr(ReadingForm.model_validate({keys[name]: value}), keys[name])
        except ValidationError as error:
            faults.add(place, wording(error.errors(include_url=False)[0]))
            return None
    label = shown(value) if isinstance(value, list | dict) else label_for(fields, name, value)
    if label not in labels[name]:
        faults.add(place, f"axis {name} has no value {shown(label)}; {suggest(label, labels[name])}")
    return label


def _side(
    faults: Faults,
    fields: Fields,
    place: Place,
    chosen: Mapping[str, Any],
    endpoint: Endpoint,
    labels: Mapping[str, Mapping[str, None]],
    keys: Mapping[str, str],
) -> Side:
    lacking = [name for name, values in labels.items() if len(values) > 1 and name not in chosen]
    if lacking:
        faults.add(place, f"gives no value of axis {' and '.join(lacking)} for each side; name it in where")
    changed = {
        keys[name]: value for name, value in chosen.items() if name not in labels and name in keys and value is not None
    }
    read = changed_by(faults, fields, place, endpoint, changed) if changed else endpoint
    if not isinstance(read.at, str) and len(read.at) > 1:
        given = list(read.at)
        faults.add(
            place, f"each side is read at one outer step, but at is {given}; give one, such as at: [{given[-1]}]"
        )
    return Side(labels={name: value for name, value in chosen.items() if name in labels}, endpoint=read)
