"""What a sweep file reads from its trials: the endpoint, the readings of tables and figures, and the claims.

Whether trials measure it is checked in `planning`.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from analysis.contract.question import ClaimSpec, Endpoint, FigureSpec, Side, TableSpec
from analysis.contract.record import PROBES
from sweeper.errors import shown, suggest
from sweeper.sweepfile.axes import Axis, AxisValue, label_for
from sweeper.sweepfile.form import ClaimForm, EndpointForm, FigureForm, ReadingForm, TableForm
from sweeper.sweepfile.wording import wording
from sweeper.sweepfile.yaml_source import Faults, Place
from trainers.maml.measured import METRICS

_ACCURACY_ALONE = {
    "head": "trained or zeroed, there is no default",
    "steps": "a number of inner steps or inner_steps, there is no default",
}
_READING = {"metric": "metric", "test_head": "head", "steps": "steps", "at": "at", "window": "window"}
"""A claim side's keys of a reading, and the endpoint's names for them: `test_head`, because `head` is often an axis."""


def read_endpoint(faults: Faults, given: EndpointForm) -> Endpoint:
    """Return the endpoint. Notes in `faults` an accuracy without head or steps, and a probe with them."""
    for key, allowed in _ACCURACY_ALONE.items():
        value = getattr(given, key)
        if given.metric in PROBES and value is not None:
            faults.add(("endpoint", key), f"has no meaning for {given.metric}; leave it out", at_key=True)
        if given.metric not in PROBES and value is None:
            faults.add(("endpoint", key), f"required and not given ({allowed})", at_key=True)
    return _endpoint(given.model_dump())


def read_table(faults: Faults, place: Place, given: TableForm, endpoint: Endpoint) -> TableSpec:
    """Return the table, with its own endpoint if it overrides the sweep's."""
    return TableSpec(rows=tuple(given.rows), columns=given.columns, endpoint=_own(faults, place, given, endpoint))


WITH_X = ("line", "inner_steps")
"""Kinds of figures with an `x`."""


def read_figure(
    faults: Faults, place: Place, given: FigureForm, endpoint: Endpoint, axes: Mapping[str, Axis]
) -> FigureSpec:
    """Return the figure. Notes in `faults` an `x` that is missing, or that this kind of figure doesn't have."""
    if given.kind in WITH_X and given.x is None:
        faults.add((*place, "x"), "required and not given (one axis)", at_key=True)
    if given.kind not in WITH_X and given.x is not None:
        faults.add((*place, "x"), f"has no meaning for a figure of kind {given.kind}; use hue or facets", at_key=True)
    own = _own(faults, place, given, endpoint)
    return FigureSpec(
        kind=given.kind,
        x=given.x,
        hue=given.hue,
        facets=tuple(given.facets),
        endpoint=own,
        logarithmic=any(axis.logarithmic for name, axis in axes.items() if name == given.x),
    )


def _own(faults: Faults, place: Place, given: ReadingForm, endpoint: Endpoint) -> Endpoint | None:
    changed = {key: getattr(given, key) for key in ReadingForm.model_fields if getattr(given, key) is not None}
    return _changed(faults, place, endpoint, changed) if changed else None


def _changed(faults: Faults, place: Place, endpoint: Endpoint, changed: Mapping[str, Any]) -> Endpoint:
    """Return `endpoint` with `changed`; if the result can't be read, that is noted at `place`."""
    kept = {"metric": endpoint.metric, "at": endpoint.at, "window": endpoint.window}
    values = dict.fromkeys(_ACCURACY_ALONE) | kept | dict(endpoint.coordinates) | dict(changed)
    if values["metric"] in PROBES:
        idle = [key for key in _ACCURACY_ALONE if key in changed]
        if idle:
            faults.add(place, f"{' and '.join(idle)} can't be used with {values['metric']}; leave it out")
        values |= dict.fromkeys(_ACCURACY_ALONE)
    lacking = [key for key in _ACCURACY_ALONE if values["metric"] not in PROBES and values[key] is None]
    if lacking:
        faults.add(place, f"{values['metric']} needs {' and '.join(lacking)}")
    return _endpoint(values)


def _endpoint(values: Mapping[str, Any]) -> Endpoint:
    metric = values["metric"]
    return Endpoint.of(metric, vars(METRICS[metric]), values, at=values["at"], window=values["window"])


def read_claims(
    faults: Faults,
    given: Sequence[ClaimForm],
    endpoint: Endpoint,
    axes: Mapping[str, Axis | None],
    more_values: Iterable[Mapping[str, Sequence[AxisValue]]],
) -> list[ClaimSpec]:
    """Return the claims; `more_values` are the values that profiles add to plain axes. Notes faults in `faults`."""
    labels = {
        name: {value.label: None for value in axis.values}
        | {value.label: None for values in more_values for value in values.get(name, ())}
        for name, axis in axes.items()
        if axis is not None
    }
    return [_read_claim(faults, ("claims", index), claim, endpoint, labels) for index, claim in enumerate(given)]


def _read_claim(
    faults: Faults, place: Place, given: ClaimForm, endpoint: Endpoint, labels: Mapping[str, Mapping[str, None]]
) -> ClaimSpec:
    _check_kind(faults, place, given)

    def part(key: str | int, chosen: Mapping[str, Any] | None) -> dict[str, Any]:
        inside = (*place, key) if isinstance(key, str) else (*place, "between", key)
        return {name: _chosen(faults, (*inside, name), name, value, labels) for name, value in (chosen or {}).items()}

    def side(own: dict[str, Any], further: dict[str, Any]) -> Side:
        return _side(faults, place, where | own | further, endpoint, labels)

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
    )


def _check_kind(faults: Faults, place: Place, given: ClaimForm) -> None:
    """Note keys that a claim of this kind lacks or can't have."""
    if given.kind == "interaction":
        if len(given.between or ()) != 2:
            faults.add(place, "an interaction needs between, a list of two mappings")
    elif given.between is not None:
        faults.add((*place, "between"), f"is for an interaction, not for an {given.kind}", at_key=True)
    if given.kind != "equivalence" and given.reference is not None:
        faults.add((*place, "reference"), f"is for an equivalence, not for an {given.kind}", at_key=True)
    if given.kind != "equivalence" and given.expected is None:
        faults.add(place, "expected: required and not given (positive or negative, the sign that the paper claims)")
    if given.kind == "equivalence" and given.expected is not None:
        faults.add((*place, "expected"), "an equivalence has no expected sign; leave it out", at_key=True)


def _chosen(faults: Faults, place: Place, name: str, value: Any, labels: Mapping[str, Mapping[str, None]]) -> Any:
    """Return the value of one key of a claim's mapping: an axis's label, or a value of the reading."""
    if name not in labels:
        if name not in _READING:
            faults.add(place, f"unknown axis; {suggest(name, [*labels, *_READING])}", at_key=True)
            return None
        try:
            return getattr(ReadingForm.model_validate({_READING[name]: value}), _READING[name])
        except ValidationError as error:
            faults.add(place, wording(error.errors(include_url=False)[0]))
            return None
    label = shown(value) if isinstance(value, list | dict) else label_for(name, value)
    if label not in labels[name]:
        faults.add(place, f"axis {name} has no value {shown(label)}; {suggest(label, labels[name])}")
    return label


def _side(
    faults: Faults,
    place: Place,
    chosen: Mapping[str, Any],
    endpoint: Endpoint,
    labels: Mapping[str, Mapping[str, None]],
) -> Side:
    lacking = [name for name, values in labels.items() if len(values) > 1 and name not in chosen]
    if lacking:
        faults.add(place, f"gives no value of axis {' and '.join(lacking)} for each side; name it in where")
    changed = {_READING[name]: value for name, value in chosen.items() if name not in labels and value is not None}
    read = _changed(faults, place, endpoint, changed) if changed else endpoint
    if read.at != "last" and len(read.at) > 1:
        given = list(read.at)
        faults.add(
            place, f"each side is read at one outer step, but at is {given}; give one, such as at: [{given[-1]}]"
        )
    return Side(labels={name: value for name, value in chosen.items() if name in labels}, endpoint=read)
