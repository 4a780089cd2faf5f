"""What a sweep file reads from its trials: the endpoint, the readings of tables and figures, and the claims.

Whether trials measure it is checked in `planning`.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from analysis.contract.question import OF_PROBES, ClaimSpec, Endpoint, FigureSpec, Side, TableSpec
from sweeper.errors import shown, suggest
from sweeper.sweepfile.axes import Axis, AxisValue, label_for
from sweeper.sweepfile.fields import Fields
from sweeper.sweepfile.form import ClaimForm, EndpointForm, FigureForm, ReadingForm, TableForm, placeholder
from sweeper.sweepfile.wording import wording
from sweeper.sweepfile.yaml_source import Faults, Place
from trainers.trainer import DEFAULT, WHOLE

_READING = {"metric": "metric", "at": "at", "window": "window"}
"""A claim side's keys of a reading, and the endpoint's names for them."""


def _keys(fields: Fields, axes: Iterable[str]) -> dict[str, str]:
    """Return a claim side's keys of a reading. A coordinate is `test_NAME`, or NAME where no axis has that name.

    `test_head`, because `head` is often an axis.
    """
    taken = set(axes)
    plain = {name: name for name in fields.coordinates if name not in taken}
    return _READING | {f"test_{name}": name for name in fields.coordinates} | plain


def read_endpoint(faults: Faults, fields: Fields, given: EndpointForm) -> Endpoint:
    """Return the endpoint. Notes in `faults` an unknown metric, and coordinates that it lacks or doesn't have."""
    place: Place = ("endpoint",)
    metric = _metric(faults, fields, (*place, "metric"), given.metric)
    if metric is None:
        return _endpoint(fields, placeholder(fields))
    own = fields.trainer.metrics[metric].coordinates
    chosen = {key: value for key, value in (given.model_extra or {}).items() if key in fields.coordinates}
    for key in chosen.keys() - own.keys():
        if chosen[key] is not None:
            faults.add((*place, key), f"has no meaning for {metric}; leave it out", at_key=True)
    values: dict[str, Any] = {}
    for key, allowed in own.items():
        if chosen.get(key) is None:
            faults.add((*place, key), f"required and not given ({spoken(allowed)}, there is no default)", at_key=True)
            values[key] = _first(allowed)
        else:
            values[key] = read_coordinate(faults, (*place, key), allowed, chosen[key])
    return _endpoint(fields, {"metric": metric, **values, "at": given.at, "window": given.window})


def _metric(faults: Faults, fields: Fields, place: Place, given: Any) -> str | None:
    """Return the name of a metric, or None with the reason in `faults`."""
    fault = _not_one_of(tuple(fields.trainer.metrics), given)
    if fault:
        faults.add(place, fault)
    return None if fault else given


def read_coordinate(faults: Faults, place: Place, allowed: tuple[str, ...], given: Any) -> Any:
    """Return the value of a coordinate, or the first that is allowed, with the reason in `faults`."""
    if WHOLE in allowed and type(given) is int and given >= 0:
        return given
    words = tuple(word for word in allowed if word != WHOLE)
    if given in words:
        return given
    whole = f"must be {spoken(allowed)}, got {shown(given)}"
    faults.add(place, whole if WHOLE in allowed else _not_one_of(words, given))
    return _first(allowed)


def _first(allowed: tuple[str, ...]) -> Any:
    return 0 if allowed[0] == WHOLE else allowed[0]


def spoken(allowed: tuple[str, ...]) -> str:
    return " or ".join([", ".join(allowed[:-1]), allowed[-1]] if allowed[1:] else allowed)


def _not_one_of(allowed: tuple[str, ...], given: Any) -> str:
    """Return why `given` is none of the words in `allowed`, or ""."""
    try:
        _words(allowed).validate_python(given, strict=True)
    except ValidationError as error:
        return wording(error.errors(include_url=False)[0])
    return ""


@cache
def _words(allowed: tuple[str, ...]) -> TypeAdapter[str]:
    return TypeAdapter(Literal[allowed])  # type: ignore[arg-type]  # the words are known when the file is read


def _endpoint(fields: Fields, values: Mapping[str, Any]) -> Endpoint:
    """Return the endpoint with these values: metric, at, window and the coordinates of the metric."""
    facts = vars(fields.trainer.metrics[values["metric"]])
    return Endpoint.of(values["metric"], facts, values, at=values["at"], window=values["window"])


def _values(endpoint: Endpoint) -> dict[str, Any]:
    """Return the values of an endpoint by the keys of a sweep file."""
    return {"metric": endpoint.metric, "at": endpoint.at, "window": endpoint.window, **dict(endpoint.coordinates)}


def read_table(faults: Faults, fields: Fields, place: Place, given: TableForm, endpoint: Endpoint) -> TableSpec:
    """Return the table, with its own endpoint if it overrides the sweep's."""
    return TableSpec(
        rows=tuple(given.rows), columns=given.columns, endpoint=_own(faults, fields, place, given, endpoint)
    )


WITH_X = ("line", "inner_steps")
"""Kinds of figures with an `x`."""


def read_figure(
    faults: Faults, fields: Fields, place: Place, given: FigureForm, endpoint: Endpoint, axes: Mapping[str, Axis]
) -> FigureSpec:
    """Return the figure. Notes in `faults` an `x` that is missing, and keys that this kind of figure doesn't have."""
    if given.kind in WITH_X and given.x is None:
        faults.add((*place, "x"), "required and not given (one axis)", at_key=True)
    if given.kind == "differences":
        _refuse_keys_of_differences(faults, place, given)
    elif given.kind not in WITH_X and given.x is not None:
        faults.add((*place, "x"), f"has no meaning for a figure of kind {given.kind}; use hue or facets", at_key=True)
    if given.kind in OF_PROBES and all(metric.measured != "probes" for metric in fields.trainer.metrics.values()):
        why = f"shows probes, which trainer {fields.trainer.name} does not take; choose line or curves"
        faults.add((*place, "kind"), f"{given.kind} {why}")
    own = _own(faults, fields, place, given, endpoint)
    return FigureSpec(
        kind=given.kind,
        x=given.x,
        hue=given.hue,
        facets=tuple(given.facets),
        endpoint=own,
        logarithmic=any(axis.logarithmic for name, axis in axes.items() if name == given.x),
    )


def _refuse_keys_of_differences(faults: Faults, place: Place, given: FigureForm) -> None:
    for key in sorted(given.model_fields_set - {"kind"} | set(given.model_extra or {})):
        why = "has no meaning for a figure of kind differences, which shows the claims of the file; leave it out"
        faults.add((*place, key), why, at_key=True)


def _own(faults: Faults, fields: Fields, place: Place, given: ReadingForm, endpoint: Endpoint) -> Endpoint | None:
    named = {key: getattr(given, key) for key in ReadingForm.model_fields}
    named |= {key: value for key, value in (given.model_extra or {}).items() if key in fields.coordinates}
    changed = {key: value for key, value in named.items() if value is not None}
    return _changed(faults, fields, place, endpoint, changed) if changed else None


def _changed(faults: Faults, fields: Fields, place: Place, endpoint: Endpoint, changed: Mapping[str, Any]) -> Endpoint:
    """Return `endpoint` with `changed`; if the result can't be read, that is noted at `place`."""
    values = _values(endpoint)
    if "metric" in changed:
        metric = _metric(faults, fields, (*place, "metric"), changed["metric"])
        if metric is None:
            return endpoint
        values["metric"] = metric
    own = fields.trainer.metrics[values["metric"]].coordinates
    idle = [key for key in fields.coordinates if key in changed and key not in own]
    if idle:
        faults.add(place, f"{' and '.join(idle)} can't be used with {values['metric']}; leave it out")
    values |= {key: changed[key] for key in ("at", "window") if key in changed}
    values |= {key: read_coordinate(faults, (*place, key), own[key], changed[key]) for key in own if key in changed}
    values |= {key: None for key in fields.coordinates if key not in own}
    lacking = [key for key in own if values.get(key) is None]
    if lacking:
        faults.add(place, f"{values['metric']} needs {' and '.join(lacking)}")
    return _endpoint(fields, values)


def read_claims(
    faults: Faults,
    fields: Fields,
    given: Sequence[ClaimForm],
    paper: str | None,
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
    return [
        _read_claim(faults, fields, ("claims", index), claim, paper, endpoint, labels)
        for index, claim in enumerate(given)
    ]


def _read_claim(
    faults: Faults,
    fields: Fields,
    place: Place,
    given: ClaimForm,
    paper: str | None,
    endpoint: Endpoint,
    labels: Mapping[str, Mapping[str, None]],
) -> ClaimSpec:
    _check_kind(faults, place, given, has_margins=paper is not None and fields.trainer.name == DEFAULT)
    keys = _keys(fields, labels)

    def part(key: str | int, chosen: Mapping[str, Any] | None) -> dict[str, Any]:
        inside = (*place, key) if isinstance(key, str) else (*place, "between", key)
        return {
            name: _chosen(faults, fields, (*inside, name), name, value, labels, keys)
            for name, value in (chosen or {}).items()
        }

    def side(own: dict[str, Any], further: dict[str, Any]) -> Side:
        return _side(faults, fields, place, where | own | further, endpoint, labels, keys)

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
            metrics = fields.trainer.metrics.values()
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
    read = _changed(faults, fields, place, endpoint, changed) if changed else endpoint
    if read.at != "last" and len(read.at) > 1:
        given = list(read.at)
        faults.add(
            place, f"each side is read at one outer step, but at is {given}; give one, such as at: [{given[-1]}]"
        )
    return Side(labels={name: value for name, value in chosen.items() if name in labels}, endpoint=read)
