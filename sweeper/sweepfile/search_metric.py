"""What a search compares its trials by, `search.metric`, and how the best are confirmed: a number of each trainer.

A metric of test data is refused. Whether trials measure it is checked in `planning`.
"""

from typing import Any

from analysis.contract.question import Endpoint
from sweeper.errors import shown, suggest
from sweeper.sweepfile.axes import Setting
from sweeper.sweepfile.fields import Fields
from sweeper.sweepfile.one_reading import read_coordinate, spoken
from sweeper.sweepfile.readings import combined
from sweeper.sweepfile.search_form import OneMetricForm, SearchMetricForm
from sweeper.sweepfile.yaml_source import Faults, Place
from trainers.trainer import Trainer

PLACE: Place = ("search", "metric")
SPLIT_FIELD = "eval_split"
"""The config field by which a trainer is told which split to measure."""
BOTH_SPLITS = "both"
"""The value of that field with which every split is measured."""


def read_compared(faults: Faults, fields: Fields, given: SearchMetricForm) -> Endpoint | None:
    """Return what trials are compared by, with that of each trainer, or None with the reasons in `faults`."""
    _check_trainers(faults, fields, given)
    found: dict[str, Endpoint] = {}
    meant: set[str] = set()
    before = len(faults.problems)
    for own in fields.apart:
        name = own.trainer.name
        place = (*PLACE, "trainers", name) if name in given.trainers else PLACE
        metric = _metric(faults, fields, own, place, given.trainers.get(name, given), meant)
        found |= {} if metric is None else {name: metric}
    shared = [own.trainer for own in fields.apart if own.trainer.name not in given.trainers]
    names = [metric_on(trainer, given.name, given.split) for trainer in shared]
    if None not in names:
        _note_unmeant(faults, fields, PLACE, given, meant, " or ".join(dict.fromkeys(filter(None, names))))
    if len(faults.problems) > before:
        return None
    whole = combined(faults, (*PLACE, "trainers"), found)
    return whole if len(faults.problems) == before else None


def _check_trainers(faults: Faults, fields: Fields, given: SearchMetricForm) -> None:
    names = [trainer.name for trainer in fields.trainers]
    if given.trainers and not fields.several:
        faults.add((*PLACE, "trainers"), "this file has one trainer; leave it out", at_key=True)
    for name, own in given.trainers.items():
        if name not in names:
            why = f"no trainer of this sweep; {suggest(name, names)}"
            faults.add((*PLACE, "trainers", name), why, at_key=True)
        elif "better" in (own.model_extra or {}):
            why = "is the same for all trainers; give it above"
            faults.add((*PLACE, "trainers", name, "better"), why, at_key=True)
    if fields.several and given.trainers.keys() >= set(names):
        faults.add((*PLACE, "trainers"), "every trainer is in it, so name has no meaning; leave out one of them")


def _metric(
    faults: Faults, fields: Fields, own: Fields, place: Place, given: OneMetricForm, meant: set[str]
) -> Endpoint | None:
    """Return what is compared of one trainer. Coordinates at `PLACE` that it has are added to `meant`."""
    trainer = own.trainer
    name = metric_on(trainer, given.name, given.split)
    if name is None:
        others = ", ".join(trainer.metrics)
        split = f" on split {shown(given.split)}" if given.split is not None else ""
        apart = "; give what it is compared by in search.metric.trainers" if fields.several and place == PLACE else ""
        message = f"{shown(given.name)}{split} is no metric of {trainer.name}: {others}{apart}"
        faults.add((*place, "name"), message)
        return None
    coordinates = trainer.metrics[name].coordinates
    if place == PLACE:
        meant.update(coordinates)
    if reason := _why_refused(trainer, name, given.split):
        at = (*place, "split") if given.split is not None else (*place, "name")
        faults.add(at, reason)
        return None
    chosen = dict(given.model_extra or {})
    if "split" in coordinates:
        chosen["split"] = given.split
    before = len(faults.problems)
    if place != PLACE:
        _note_unmeant(faults, own, place, given, {*coordinates, "better"}, name)
    values: dict[str, Any] = {}
    for key, allowed in coordinates.items():
        if chosen.get(key) is None:
            faults.add((*place, key), f"required and not given ({spoken(allowed)}, there is no default)", at_key=True)
        else:
            values[key] = read_coordinate(faults, (*place, key), allowed, chosen[key])
    if len(faults.problems) > before:
        return None
    return Endpoint.of(name, vars(trainer.metrics[name]), values, at="last", window=1)


def _note_unmeant(faults: Faults, fields: Fields, place: Place, given: OneMetricForm, meant: set[str], of: str) -> None:
    """Note each further key of `given` that is none of the coordinates `meant`."""
    for key in (given.model_extra or {}).keys() - meant:
        known = [*SearchMetricForm.model_fields, *fields.coordinates]
        why = f"has no meaning for {of}; leave it out" if key in known else f"unknown key; {suggest(key, known)}"
        faults.add((*place, key), why, at_key=True)


def metric_on(trainer: Trainer, name: str, split: str | None) -> str | None:
    """Return the trainer's metric called `name` on `split`, None if it has none.

    The split is a coordinate of the metric, or a part of its name: accuracy on val is `val_accuracy`.
    """
    named = trainer.metrics.get(name)
    if split is None:
        return name if named is not None else None
    if named is not None and ("split" in named.coordinates or name.startswith(f"{split}_")):
        return name
    return f"{split}_{name}" if f"{split}_{name}" in trainer.metrics else None


def _why_refused(trainer: Trainer, name: str, split: str | None) -> str:
    why = ""
    if split == "test" or name.startswith("test_") or name == "test":
        why = f"{name} is a test metric" if split is None else "test is refused"
    if trainer.metrics[name].measured == "finals":
        why = f"{name} is measured on test episodes"
    if why:
        return f"{why}: what is chosen by test data looks too good on it; choose by validation data"
    if trainer.metrics[name].measured == "probes":
        return f"{name} is a probe of training data, and no measure of success"
    return ""


def read_confirmed(
    faults: Faults, fields: Fields, on: str | None, given: SearchMetricForm, compared: Endpoint
) -> tuple[Endpoint, dict[str, dict[str, Setting]]] | None:
    """Return how a confirmation is read on the split `on`, and what each trainer's trials set for it.

    None with the reason in `faults`.
    """
    found: dict[str, Endpoint] = {}
    settings: dict[str, dict[str, Setting]] = {}
    for own in fields.apart:
        name = own.trainer.name
        metric = compared.of_trainer(name)
        if on is None:
            found[name] = metric
            continue
        read = _on_split(own.trainer, on, given.trainers.get(name, given), metric)
        place: Place = ("search", "confirm", "on")
        if isinstance(read, str):
            faults.add(place, f"trainer {name} measures no {read} on split {shown(on)}")
            return None
        found[name] = read
        if SPLIT_FIELD in own.names:
            at = faults.document.at(place)
            origin = f"{faults.document.path.name}:{at.line}"
            settings[name] = {SPLIT_FIELD: Setting(value=on, origin=origin, position=at)}
    return combined(faults, ("search", "confirm"), found), settings


def _on_split(trainer: Trainer, on: str, named: OneMetricForm, metric: Endpoint) -> Endpoint | str:
    """Return the same number on another split; the bare name of the metric if the trainer does not measure it there."""
    bare = named.name.removeprefix(f"{named.split}_") if named.split else named.name
    bare = bare.removeprefix("val_")
    name = metric_on(trainer, bare, on)
    own = trainer.metrics[name].coordinates if name is not None else {}
    if name is None or on not in own.get("split", (on,)):
        return bare
    values = dict(metric.coordinates) | ({"split": on} if "split" in own else {})
    return Endpoint.of(name, vars(trainer.metrics[name]), values, at="last", window=1)
