"""The axes of a grid, and the settings of which axes and fixed values consist.

Checks one field at a time; `planning` checks combinations.
"""

import posixpath
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from sweeper.errors import Position, shown, suggest
from sweeper.sweepfile.fields import SEED, Fields
from sweeper.sweepfile.generators import generated
from sweeper.sweepfile.trainer_key import KEY, Found
from sweeper.sweepfile.wording import wording
from sweeper.sweepfile.yaml_source import Faults, Place, Scalar

LONGEST_NAME = 64  # characters of an axis's name or of a named value
_AXIS_NAME = re.compile(r"(?![./])[/\w.\- :]+", re.ASCII)  # MLflow accepts only these as keys of parameters


@dataclass(frozen=True, kw_only=True, slots=True)
class Setting:
    """A value of a field. `origin` says in words where it was given; `position` is None outside the sweep file."""

    value: Scalar
    origin: str
    position: Position | None


@dataclass(frozen=True, kw_only=True)
class AxisValue:
    """One value of an axis: its label in names and tables, the fields it sets, and the trainer if it chooses one."""

    label: str
    settings: Mapping[str, Setting]
    position: Position
    found: Found | None = None


@dataclass(frozen=True, kw_only=True)
class Axis:
    """One axis of the grid. A value of a bundled axis sets several fields; a plain axis sets the field of its name.

    `logarithmic` says that its values were given by logspace, so a figure draws them along a logarithm.
    """

    name: str
    bundled: bool
    values: tuple[AxisValue, ...]
    logarithmic: bool = False

    @property
    def choosing(self) -> bool:
        """Whether its values choose the trainer."""
        return any(value.found is not None for value in self.values)

    def keys(self) -> set[str]:
        """Return every field (or `use`) that some value sets."""
        return {key for value in self.values for key in value.settings}


def read_settings(faults: Faults, fields: Fields, place: Place, given: Any) -> dict[str, Setting]:
    """Return the settings in the mapping at `place`; invalid ones are noted in `faults` and left out."""
    if not isinstance(given, dict):
        hint = "; to change nothing, write {}" if given is None else ""
        faults.add(place, f"must be a mapping of fields, got {shown(given)}{hint}")
        return {}
    settings = ((name, _read_setting(faults, fields, (*place, name), name, value)) for name, value in given.items())
    return {name: setting for name, setting in settings if setting is not None}


def _read_setting(faults: Faults, fields: Fields, place: Place, name: str, value: Any) -> Setting | None:
    if name == "use":
        return _read_protocol(faults, fields, place, value)
    if not known_field(faults, fields, place, name):
        return None
    return read_value(faults, fields, place, name, value)


def _read_protocol(faults: Faults, fields: Fields, place: Place, value: Any) -> Setting | None:
    names = fields.protocols
    if not names:
        faults.add(
            place,
            f"{fields.owner} has {'' if fields.several else 'no '}protocols; give the fields themselves",
            at_key=True,
        )
    elif not isinstance(value, str):
        faults.add(place, f"must be one protocol, got {shown(value)}; choose from {', '.join(names)}")
    elif value not in names:
        faults.add(place, f"unknown protocol {shown(value)}; {suggest(value, names)}")
    else:
        return _setting(faults, place, value)
    return None


def known_field(faults: Faults, fields: Fields, place: Place, name: str) -> bool:
    """Return whether `name` is a field that a sweep may set; if not, note that at its key."""
    if name == SEED:
        faults.add(place, "seeds are not part of the grid; give them in seeds:", at_key=True)
    elif name == KEY and name not in fields.names:
        where = "at the top of the file, or in the named values of one axis"
        faults.add(place, f"a trainer is chosen {where}", at_key=True)
    elif name not in fields.names:
        faults.add(place, f"unknown field; {suggest(name, fields.names)}", at_key=True)
    return name in fields.names


def read_value(faults: Faults, fields: Fields, place: Place, name: str, value: Any) -> Setting | None:
    """Return `value` as field `name` holds it (1 becomes 1.0 for a rate), or None with the reason in `faults`."""
    for own in fields.having(name) if fields.several else (fields,):
        try:
            valid = own.valid(name, value)
        except ValidationError as error:
            why = wording(error.errors(include_url=False)[0], nullable=own.takes_null(name))
            faults.add(place, f"{why} (trainer {own.trainer.name})" if fields.several else why)
            return None
    return _setting(faults, place, fields.valid(name, value) if fields.several else valid)


def _setting(faults: Faults, place: Place, value: Scalar) -> Setting:
    position = faults.document.at(place)
    return Setting(value=value, origin=f"{faults.document.path.name}:{position.line}", position=position)


def read_axis(
    faults: Faults, fields: Fields, place: Place, name: str, given: Any, chosen: Mapping[str, Found] | None = None
) -> Axis | None:
    """Return the axis at `place`, or None with the reasons in `faults`. `chosen` are the trainers of its labels."""
    before = len(faults.problems)
    if isinstance(given, list) or name in (*fields.names, SEED):
        plain = _may_be_axis(faults, fields, place, name)
        values = read_plain_values(faults, fields, place, name, given) if plain else ()
        axis = Axis(
            name=name, bundled=False, values=values, logarithmic=isinstance(given, dict) and "logspace" in given
        )
    elif isinstance(given, dict):
        axis = Axis(name=name, bundled=True, values=read_named_values(faults, fields, place, name, given, chosen or {}))
    else:
        faults.add(place, f"an axis is a list of values, or a mapping of named values, got {shown(given)}")
        return None
    return axis if len(faults.problems) == before else None


def _may_be_axis(faults: Faults, fields: Fields, place: Place, name: str) -> bool:
    if name in fields.lengths:
        reason = f"{name} can't be an axis (a longer run continues the same trial)"
        faults.add(place, f"{reason}; list the steps to read in endpoint.at", at_key=True)
        return False
    if name == "use":
        faults.add(place, "protocols can't be a plain axis; name them in the values of a bundled axis", at_key=True)
        return False
    if name not in (*fields.names, SEED) and not suggest(name, fields.names).startswith("did"):
        reason = "not a field of a trial, so its values need names"
        faults.add(place, f"{reason}: write a mapping of names, each with the fields that it sets", at_key=True)
        return False
    return known_field(faults, fields, place, name)


def read_named_values(
    faults: Faults, fields: Fields, place: Place, name: str, given: dict[str, Any], trainers: Mapping[str, Found]
) -> tuple[AxisValue, ...]:
    """Return the values of a bundled axis: names, each with the fields that it sets. `trainers` are those chosen."""
    if not given:
        faults.add(place, "an axis needs at least one value")
    _check_name(faults, place, name, axis=True)
    bundles = []
    for label, chosen in given.items():
        inside = (*place, label)
        _check_name(faults, inside, label)
        found, own = trainers.get(label), fields
        if found is not None:
            own = fields.of(found.trainer)
            chosen = {key: value for key, value in chosen.items() if key != KEY} if isinstance(chosen, dict) else chosen
        settings = read_settings(faults, own, inside, chosen)
        position = faults.document.key_at(inside)
        bundles.append(AxisValue(label=label, settings=settings, position=position, found=found))
    return tuple(bundles)


def _check_name(faults: Faults, place: Place, name: str, *, axis: bool = False) -> None:
    if not 1 <= len(name) <= LONGEST_NAME or not name.isprintable() or name != name.strip():
        faults.add(place, f"a name is 1 to {LONGEST_NAME} printable characters, got {shown(name)}", at_key=True)
    elif axis and (not _AXIS_NAME.fullmatch(name) or posixpath.normpath(name) != name):
        allowed = "unaccented letters, digits, spaces, _ - . : and, inside, single /"
        faults.add(place, f"an axis name may have {allowed}, got {shown(name)}", at_key=True)


def read_plain_values(faults: Faults, fields: Fields, place: Place, name: str, given: Any) -> tuple[AxisValue, ...]:
    """Return the values of a plain axis over field `name`, given as a list or by range, linspace or logspace."""
    if isinstance(given, dict):
        numbers = generated(faults, place, name, given, fields.kinds(name))
        places = [place] * len(numbers)
    elif isinstance(given, list):
        numbers, places = given, [(*place, index) for index in range(len(given))]
        if not given:
            faults.add(place, "an axis needs at least one value")
    else:
        faults.add(place, f"must be a list, or a mapping with range, linspace or logspace, got {shown(given)}")
        return ()
    values: dict[str, AxisValue] = {}
    for inside, number in zip(places, numbers, strict=True):
        setting = read_value(faults, fields, inside, name, number)
        if setting is None:
            continue
        label = label_of(setting.value)
        if label in values:
            faults.add(inside, f"value {label} is given twice; keep one")
        values[label] = AxisValue(label=label, settings={name: setting}, position=faults.document.at(inside))
    return tuple(values.values())


def labels_of(
    axes: Mapping[str, Axis], more: Iterable[Mapping[str, Sequence[AxisValue]]] = ()
) -> dict[str, dict[str, None]]:
    """Return the labels of each axis in order, with those that `more` adds: profiles and included cells."""
    labels = {name: dict.fromkeys(value.label for value in axis.values) for name, axis in axes.items()}
    for added in more:
        for name, values in added.items():
            labels[name] |= dict.fromkeys(value.label for value in values)
    return labels


def label_for(fields: Fields, name: str, value: Scalar) -> str:
    """Return the label that `value` has on the plain axis `name`: 1 and 1e0 are 1.0 for a rate, -0.0 is 0.0."""
    if name not in fields.names:
        return label_of(value)
    try:
        return label_of(fields.valid(name, value))
    except ValidationError:
        return label_of(value)  # no axis has it


def label_of(value: Scalar) -> str:
    """Return the label of a plain axis's value: its YAML spelling without quotes."""
    return value if isinstance(value, str) else shown(value)
