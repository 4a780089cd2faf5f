"""What a sweep file reads from its trials: the endpoint, and the readings of tables and figures.

Whether trials measure it is checked in `planning`.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from analysis.contract.question import BEST_VAL, OF_PROBES, Endpoint, FigureSpec, TableSpec
from sweeper.errors import suggest
from sweeper.sweepfile.axes import Axis
from sweeper.sweepfile.fields import Fields
from sweeper.sweepfile.form import EndpointForm, FigureForm, ReadingForm, TableForm, placeholder
from sweeper.sweepfile.one_reading import changed_by, endpoint_of, metric_named, whole
from sweeper.sweepfile.yaml_source import Faults, Place


def read_endpoint(faults: Faults, fields: Fields, given: EndpointForm) -> Endpoint:
    """Return the endpoint. Notes in `faults` an unknown metric, and coordinates that it lacks or doesn't have."""
    place: Place = ("endpoint",)
    chosen = {key: value for key, value in (given.model_extra or {}).items() if key in fields.coordinates}
    shared = {"metric": given.metric, **chosen}
    if not fields.several:
        return whole(faults, fields, place, shared, given)
    own = _of_trainers(faults, fields, (*place, "trainers"), given.trainers)
    if len(own) == len(fields.trainers):
        faults.add((*place, "trainers"), "every trainer is in it, so metric has no meaning; leave out one of them")
    found: dict[str, Endpoint] = {}
    for each in fields.apart:
        name = each.trainer.name
        if name in own:
            found[name] = whole(faults, each, (*place, "trainers", name), {"metric": None, **own[name]}, given)
        elif isinstance(given.metric, str) and given.metric in each.trainer.metrics:
            found[name] = whole(faults, each, place, shared, given)
        elif isinstance(given.metric, str) and given.metric in fields.metrics:
            has = ", ".join(each.trainer.metrics)
            why = f"trainer {name} has no {given.metric}, but {has}; give what to read of it in endpoint.trainers"
            faults.add((*place, "metric"), why)
        else:
            metric_named(faults, fields, (*place, "metric"), given.metric)
    return combined(faults, (*place, "trainers"), found) if found else endpoint_of(fields, placeholder(fields))


def _of_trainers(
    faults: Faults, fields: Fields, place: Place, given: Mapping[str, Mapping[str, Any]]
) -> dict[str, Mapping[str, Any]]:
    """Return the metric and the coordinates of `given`, a mapping of trainers at `place`, that some trainer has."""
    found: dict[str, Mapping[str, Any]] = {}
    for name, values in given.items():
        own = next((own for own in fields.apart if own.trainer.name == name), None)
        if own is None:
            known = [trainer.name for trainer in fields.trainers]
            faults.add((*place, name), f"no trainer of this sweep; {suggest(name, known)}", at_key=True)
            continue
        allowed = ("metric", *own.coordinates)
        for key in values:
            if key in ("at", "window"):
                faults.add((*place, name, key), "is the same for all trainers; give it above", at_key=True)
            elif key not in allowed:
                faults.add((*place, name, key), f"unknown key; {suggest(key, allowed)}", at_key=True)
        found[name] = {key: value for key, value in values.items() if key in allowed}
    return found


def combined(faults: Faults, place: Place, found: Mapping[str, Endpoint]) -> Endpoint:
    """Return one endpoint from that of each trainer. Notes units that differ: numbers of a table have one."""
    (first, read), *others = found.items()
    for name, other in others:
        mine, theirs = read.declared, other.declared
        if theirs.unit != mine.unit:
            units = f"{_in(mine.unit)}, but {other.metric} of {name} {_in(theirs.unit)}"
            faults.add(place, f"{read.metric} of {first} {units}; read numbers of one unit")
        elif None not in (mine.better, theirs.better) and mine.better != theirs.better:
            why = f"of {read.metric} of {first} the {mine.better} is better, of {other.metric} of {name} the"
            faults.add(place, f"{why} {theirs.better}; read numbers that can be compared")
    return read if all(other == read for _, other in others) else replace(read, by_trainer=tuple(found.items()))


def _in(unit: str) -> str:
    return f"is in {unit}" if unit else "has no unit"


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
    without = [one.name for one in fields.trainers if all(of.measured != "probes" for of in one.metrics.values())]
    if given.kind in OF_PROBES and without:
        why = f"shows probes, which trainer {without[0]} does not take; choose line or curves"
        faults.add((*place, "kind"), f"{given.kind} {why}")
    own = _own(faults, fields, place, given, endpoint)
    if given.kind in OF_PROBES and (own or endpoint).at == BEST_VAL:
        faults.add(place, f"a figure of kind {given.kind} shows steps, not {BEST_VAL}; give it at, such as at: last")
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
    named = {key: getattr(given, key) for key in ReadingForm.model_fields if key != "trainers"}
    named |= {key: value for key, value in (given.model_extra or {}).items() if key in fields.coordinates}
    changed = {key: value for key, value in named.items() if value is not None}
    if not changed and not given.trainers:
        return None
    if not fields.several:
        return changed_by(faults, fields, place, endpoint, changed)
    return _changed_of_trainers(faults, fields, place, given, endpoint, changed)


def _changed_of_trainers(
    faults: Faults, fields: Fields, place: Place, given: ReadingForm, endpoint: Endpoint, changed: Mapping[str, Any]
) -> Endpoint:
    """Return `endpoint` with `changed` and with what `given.trainers` changes of single trainers.

    A metric in `changed` is for each trainer without an entry of its own, a coordinate for those that have it.
    """
    own = _of_trainers(faults, fields, (*place, "trainers"), given.trainers)
    both = {key: changed[key] for key in ("at", "window") if key in changed}
    found: dict[str, Endpoint] = {}
    applied: set[str] = set()
    for each in fields.apart:
        name, before = each.trainer.name, endpoint.of_trainer(each.trainer.name)
        if name in own:
            found[name] = changed_by(faults, each, (*place, "trainers", name), before, {**both, **own[name]})
            continue
        metric = changed.get("metric", before.metric)
        if isinstance(metric, str) and metric in fields.metrics and metric not in each.trainer.metrics:
            why = f"trainer {name} has no {metric}, but {', '.join(each.trainer.metrics)}"
            faults.add((*place, "metric"), f"{why}; give what to read of it in trainers")
            continue
        has = each.trainer.metrics[metric].coordinates if metric in each.trainer.metrics else {}
        mine = {key: value for key, value in changed.items() if key == "metric" or key in both or key in has}
        applied |= mine.keys()
        found[name] = changed_by(faults, each, place, before, mine)
    for key in changed.keys() - both.keys() - applied - {"metric"}:
        faults.add((*place, key), "no metric that is read here has it; leave it out", at_key=True)
    return combined(faults, place, found) if found else endpoint
