"""The keys `trainer:` of a sweep file: at the top, and in values of one axis. The registry imports a plug."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from sweeper.errors import shown
from sweeper.sweepfile.yaml_source import Faults, Place
from trainers.registry import find
from trainers.trainer import DEFAULT, Reference, Trainer, TrainerError

KEY = "trainer"

Stored = Callable[[Reference], Trainer | None]
"""Returns what a results folder knows of a trainer."""


class Found(NamedTuple):
    """A trainer of a sweep, and the reference by which another process finds it."""

    reference: Reference
    trainer: Trainer


@dataclass(frozen=True, kw_only=True)
class Trainers:
    """The trainers of one sweep. `every` are those of some trial, in file order, each with a name of its own.

    The values of one axis may choose: `of_axis` maps that axis to the trainer of each of its labels. Without such an
    axis it is empty, and `own` trains every trial.
    """

    own: Found
    of_axis: Mapping[str, Mapping[str, Found]]
    every: tuple[Found, ...]


def nothing_stored(_: Reference) -> Trainer | None:
    """Return None: no results folder is known."""
    return None


def read_trainers(faults: Faults, stored: Stored = nothing_stored, *, trusted: bool = True) -> Trainers:
    """Return the trainers that the document names; without a key, the default one.

    If one can't be found, what `stored` knows of it takes its place. If the document is not `trusted`, no code that it
    names is run, so that what is stored takes the place of every trainer but the default one. Raises SweepFileError if
    nothing is stored: without a trainer no other key can be checked.
    """
    whole = faults.document.value if isinstance(faults.document.value, dict) else {}

    def found(place: Place, says: Any) -> Found | None:
        return _read_trainer(faults, place, says, stored, trusted=trusted)

    own = found((KEY,), whole.get(KEY, DEFAULT))
    faults.raise_if_any_of(own)
    assert own is not None
    of_axis: dict[str, dict[str, Found]] = {}
    matrix = whole.get("matrix")
    fields = own.trainer.config.model_fields
    for axis, values in matrix.items() if isinstance(matrix, dict) and KEY not in fields else ():
        if not isinstance(values, dict) or axis in fields:
            continue
        naming = {label: given[KEY] for label, given in values.items() if isinstance(given, dict) and KEY in given}
        if not naming:
            continue
        if of_axis:
            faults.add(("matrix", axis), f"axis {next(iter(of_axis))} chooses trainers as well; only one axis can")
            faults.raise_if_any()
        chosen = {label: found(("matrix", axis, label, KEY), says) for label, says in naming.items()}
        of_axis[axis] = {label: one for label in values if (one := chosen.get(label, own)) is not None}
        if len(naming) == len(values) and KEY in whole:
            why = f"no trial is of it, since every value of axis {axis} names its trainer; remove it here"
            faults.add((KEY,), why, at_key=True)
            faults.raise_if_any()
        faults.raise_if_any_of(None if None in chosen.values() else own)
    every = _apart(faults, of_axis) if of_axis else (own,)
    return Trainers(own=own, of_axis=of_axis, every=every)


def _read_trainer(faults: Faults, place: Place, says: Any, stored: Stored, *, trusted: bool) -> Found | None:
    """Return the trainer that `place` names, or None with the reason in `faults`."""
    if not isinstance(says, str | dict):
        what = "a name, package.module:OBJECT, file.py:OBJECT, or a mapping with command"
        faults.add(place, f"must be {what}, got {shown(says)}")
        return None
    reference = Reference(says, str(faults.document.path.absolute().parent))
    try:
        if not trusted and says != DEFAULT:
            raise TrainerError(
                f"{shown(says)}: its description is absent beside this file, and code that a file from elsewhere names "
                "is not run; name the sweep FILE of your own"
            )
        known_code = reference if trusted else reference._replace(folder="")  # there is code of networks
        return Found(reference, find(known_code))
    except TrainerError as error:
        known = stored(reference)
        if known is None:
            faults.add((*place, *error.place), str(error))
            return None
        return Found(reference, known)


def _apart(faults: Faults, of_axis: Mapping[str, Mapping[str, Found]]) -> tuple[Found, ...]:
    """Return each trainer once, in the order of the axis. Notes two trainers with the same name."""
    ((axis, by_label),) = of_axis.items()
    named: dict[str, tuple[str, Found]] = {}
    for label, one in by_label.items():
        first, known = named.setdefault(one.trainer.name, (label, one))
        if known.reference != one.reference:
            why = f"has the name {one.trainer.name}, as the other trainer of {first}; a trial's id holds the name"
            faults.add(("matrix", axis, label, KEY), f"{why}, so give one of them another name")
    return tuple(one for _, one in named.values())
