"""One reading of one trainer: its metric, its coordinates, the steps and the window, each checked against the trainer.

`readings` and `claims` say where a sweep file has them.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from analysis.contract.question import BEST_VAL, Endpoint
from sweeper.errors import shown
from sweeper.sweepfile.fields import Fields
from sweeper.sweepfile.form import EndpointForm, placeholder
from sweeper.sweepfile.wording import wording
from sweeper.sweepfile.yaml_source import Faults, Place
from trainers.trainer import WHOLE


def whole(faults: Faults, fields: Fields, place: Place, given: Mapping[str, Any], form: EndpointForm) -> Endpoint:
    """Return the endpoint of one trainer: `given` has its metric and coordinates, `form` the steps and the window."""
    metric = metric_named(faults, fields, (*place, "metric"), given["metric"])
    if metric is None:
        return endpoint_of(fields, placeholder(fields))
    own = fields.trainer.metrics[metric].coordinates
    chosen = {key: value for key, value in given.items() if key != "metric"}
    for key in sorted(chosen.keys() - own.keys()):
        if chosen[key] is not None:
            faults.add((*place, key), f"has no meaning for {metric}; leave it out", at_key=True)
    values: dict[str, Any] = {}
    for key, allowed in own.items():
        if chosen.get(key) is None:
            faults.add((*place, key), f"required and not given ({spoken(allowed)}, there is no default)", at_key=True)
            values[key] = _first(allowed)
        else:
            values[key] = read_coordinate(faults, (*place, key), allowed, chosen[key])
    values |= {"metric": metric, "at": form.at, "window": form.window}
    _check_best(faults, fields, place, values)
    return endpoint_of(fields, values)


def metric_named(faults: Faults, fields: Fields, place: Place, given: Any) -> str | None:
    """Return the name of a metric, or None with the reason in `faults`."""
    fault = _not_one_of(tuple(fields.metrics), given)
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


def endpoint_of(fields: Fields, values: Mapping[str, Any]) -> Endpoint:
    """Return the endpoint with these values: metric, at, window and the coordinates of the metric."""
    facts = vars(fields.trainer.metrics[values["metric"]])
    made = Endpoint.of(values["metric"], facts, values, at=values["at"], window=values["window"])
    validation = _validation(fields, values) if values["at"] == BEST_VAL else None
    return made if validation is None else replace(made, validation=endpoint_of(fields, validation))


def values_of(endpoint: Endpoint) -> dict[str, Any]:
    """Return the values of an endpoint by the keys of a sweep file."""
    return {"metric": endpoint.metric, "at": endpoint.at, "window": endpoint.window, **dict(endpoint.coordinates)}


def changed_by(
    faults: Faults, fields: Fields, place: Place, endpoint: Endpoint, changed: Mapping[str, Any]
) -> Endpoint:
    """Return `endpoint` with `changed`; if the result can't be read, that is noted at `place`."""
    values = values_of(endpoint)
    if "metric" in changed:
        metric = metric_named(faults, fields, (*place, "metric"), changed["metric"])
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
    _check_best(faults, fields, place, values)
    return endpoint_of(fields, values)


def _check_best(faults: Faults, fields: Fields, place: Place, values: Mapping[str, Any]) -> None:
    """Note that a metric can't be read where its validation is best."""
    if values["at"] != BEST_VAL:
        return
    if _validation(fields, values) is None:
        why = f"{BEST_VAL} reads a number of test where the same number of validation is best"
        faults.add((*place, "at"), f"{why}; {values['metric']} here has none, so say last or a list of steps")
    elif values["window"] != 1:
        faults.add((*place, "window"), f"{BEST_VAL} reads one measurement; say window: 1")


def _validation(fields: Fields, values: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the metric and coordinates of the validation beside a number of test; None if there is none."""
    metric, metrics = values["metric"], fields.trainer.metrics
    splits = metrics[metric].coordinates.get("split", ())
    if values.get("split") == "test" and "val" in splits:
        return {**values, "split": "val", "at": "last"}
    other = f"val_{metric.removeprefix('test_')}"
    return {**values, "metric": other, "at": "last"} if metric.startswith("test_") and other in metrics else None
