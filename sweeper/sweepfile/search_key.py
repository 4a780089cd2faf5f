"""The key `search:` of a sweep file: the space, the sampler, the metric, the rungs and the confirmation.

Checks what its values mean. Whether trials measure the metric and reach the rungs is checked in `planning`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from analysis.contract.question import Endpoint
from sweeper.errors import shown, suggest
from sweeper.sweepfile.axes import Setting
from sweeper.sweepfile.fields import Fields
from sweeper.sweepfile.one_reading import read_coordinate, spoken
from sweeper.sweepfile.search_form import ConfirmForm, RungsForm, SearchForm, SearchMetricForm
from sweeper.sweepfile.space import Dimension, read_space
from sweeper.sweepfile.yaml_source import Faults, Place, Scalar
from trainers.trainer import Trainer

SPLIT_FIELD = "eval_split"
"""The config field by which a trainer whose metrics name their split is told which one to measure."""
SAMPLERS: Mapping[str, Mapping[str, type]] = {
    "random": {},
    "sobol": {},
    "tpe": {"startup": int, "candidates": int, "multivariate": bool},
    "gp": {"startup": int},
}
"""The options of each sampler, with their types."""
BY_OPTUNA = frozenset({"tpe", "gp"})
_REFUSED_SAMPLERS = {
    "cma": "its state can't be built again from a journal",
    "cmaes": "its state can't be built again from a journal",
    "grid": "list the values in matrix",
}
_REFUSED_OPTIONS = {
    "seed": "each search has the seed of its trials; list them in seeds",
    "constant_liar": "points that still train are always known to the sampler",
}


@dataclass(frozen=True, kw_only=True)
class Rungs:
    """The lengths at which trials are compared. The best 1/`factor` of a rung go on to the next."""

    steps: tuple[int, ...]
    factor: int


@dataclass(frozen=True, kw_only=True)
class Confirm:
    """The `best` trials are trained to their full length with each of `seeds`, and read by `endpoint`.

    `settings` are the fields that such a trial sets besides.
    """

    best: int
    seeds: tuple[int, ...]
    on: str | None
    endpoint: Endpoint
    settings: Mapping[str, Setting]


@dataclass(frozen=True, kw_only=True)
class SearchSpec:
    """`search:`, read and checked as far as possible without resolving a point. `rungs` None: full length each."""

    space: tuple[Dimension, ...]
    sampler: str
    options: Mapping[str, Scalar]
    trials: int
    metric: Endpoint
    better: Literal["higher", "lower"]
    rungs: Rungs | None
    confirm: Confirm | None

    @property
    def endpoint(self) -> Endpoint:
        """What answers the question: the confirmation or, without one, the metric that is compared."""
        return self.metric if self.confirm is None else self.confirm.endpoint


FIRST_FRESH_SEED = 1_000_000
"""Confirmations have seeds from here on, so that they stay fresh when a search gets more seeds of its own."""


def read_search(
    faults: Faults, fields: Fields, given: SearchForm, axes: Iterable[tuple[str, set[str]]], seeds: tuple[int, ...]
) -> SearchSpec | None:
    """Return the search, or None with the reasons in `faults`. `axes` are those of the matrix, with their fields."""
    before = len(faults.problems)
    space = read_space(faults, fields, ("search", "space"), given.space)
    _check_rivals(faults, space, axes)
    sampler, options = _sampler(faults, given.sampler)
    rungs = None if given.rungs is None else _rungs(faults, fields.trainer, given.rungs, given.trials)
    metric = _metric(faults, fields, given.metric)
    if metric is None:
        return None
    better = given.metric.better or metric.declared.better
    if better is None:
        why = "says itself neither; write better: higher or better: lower"
        faults.add(("search", "metric", "name"), f"{metric.metric} {why}")
    confirm = None
    if given.confirm is not None:
        confirm = _confirm(faults, fields, given.confirm, given.metric, metric, seeds)
    if len(faults.problems) > before or better is None:
        return None
    return SearchSpec(
        space=space,
        sampler=sampler,
        options=options,
        trials=given.trials,
        metric=metric,
        better=better,
        rungs=rungs,
        confirm=confirm,
    )


def _check_rivals(faults: Faults, space: Iterable[Dimension], axes: Iterable[tuple[str, set[str]]]) -> None:
    taken = {key: f"axis {name}" for name, keys in axes for key in {name, *keys}}
    for dimension in space:
        for key in sorted({dimension.name, *dimension.keys()} & taken.keys()):
            message = f"{taken[key]} sets {key} as well; only one of them can"
            faults.add(("search", "space", dimension.name), message, at_key=True)
        taken |= dict.fromkeys({dimension.name, *dimension.keys()}, f"dimension {dimension.name}")


def _sampler(faults: Faults, given: Any) -> tuple[str, dict[str, Scalar]]:
    """Return the sampler and its options: `tpe`, or `{name: tpe, startup: 20}`."""
    place: Place = ("search", "sampler")
    options = dict(given) if isinstance(given, dict) else {}
    name = options.pop("name", None) if isinstance(given, dict) else given
    at: Place = (*place, "name") if isinstance(given, dict) else place
    if not isinstance(name, str):
        message = f"must be {spoken(tuple(SAMPLERS))}, or a mapping with its name and options, got {shown(given)}"
        faults.add(place, message)
        return "random", {}
    if name not in SAMPLERS:
        reason = _REFUSED_SAMPLERS.get(name.lower().replace("-", "").replace("_", ""))
        faults.add(
            at, f"{shown(name)} is refused: {reason}" if reason else f"unknown sampler; {suggest(name, SAMPLERS)}"
        )
        return "random", {}
    allowed = SAMPLERS[name]
    for key, value in options.items():
        inside = (*place, key)
        if key in _REFUSED_OPTIONS:
            faults.add(inside, f"is refused: {_REFUSED_OPTIONS[key]}", at_key=True)
        elif key not in allowed:
            hint = suggest(key, allowed) if allowed else f"{name} has none"
            faults.add(inside, f"unknown option of {name}; {hint}", at_key=True)
        elif type(value) is not allowed[key] or (type(value) is int and value < 1):
            want = "a whole number from 1" if allowed[key] is int else "true or false"
            faults.add(inside, f"must be {want}, got {shown(value)}")
    return name, options


def _rungs(faults: Faults, trainer: Trainer, given: RungsForm, trials: int) -> Rungs | None:
    place: Place = ("search", "rungs")
    if trainer.length is None:
        faults.add(place, f"trainer {trainer.name} has no length, so no trial can go on to a longer one", at_key=True)
        return None
    if given.first >= given.last:
        faults.add(place, f"first {given.first} must be below last {given.last}; for one length leave rungs out")
        return None
    steps = [given.first]
    while steps[-1] * given.factor < given.last:
        steps.append(steps[-1] * given.factor)
    steps.append(given.last)
    fewest = given.factor ** (len(steps) - 1)
    if trials < fewest:
        shown_steps = ", ".join(map(str, steps))
        faults.add(
            ("search", "trials"),
            f"{trials}, but with rungs {shown_steps} and factor {given.factor} no trial reaches {given.last}; give at "
            f"least {fewest}, or fewer rungs",
        )
    return Rungs(steps=tuple(steps), factor=given.factor)


def _metric(faults: Faults, fields: Fields, given: SearchMetricForm) -> Endpoint | None:
    """Return the metric that trials are compared by, or None with the reasons in `faults`."""
    place: Place = ("search", "metric")
    name = metric_on(fields.trainer, given.name, given.split)
    if name is None:
        others = ", ".join(fields.trainer.metrics)
        split = f" on split {shown(given.split)}" if given.split is not None else ""
        faults.add((*place, "name"), f"{shown(given.name)}{split} is no metric of {fields.trainer.name}: {others}")
        return None
    if reason := _why_refused(fields.trainer, name, given.split):
        at = (*place, "split") if given.split is not None else (*place, "name")
        faults.add(at, reason)
        return None
    return _endpoint(faults, fields, place, name, given)


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


def _endpoint(faults: Faults, fields: Fields, place: Place, name: str, given: SearchMetricForm) -> Endpoint | None:
    own = fields.trainer.metrics[name].coordinates
    chosen = dict(given.model_extra or {})
    if "split" in own:
        chosen["split"] = given.split
    before = len(faults.problems)
    for key in chosen.keys() - own.keys():
        known = [*SearchMetricForm.model_fields, *fields.coordinates]
        why = f"has no meaning for {name}; leave it out" if key in known else f"unknown key; {suggest(key, known)}"
        faults.add((*place, key), why, at_key=True)
    values: dict[str, Any] = {}
    for key, allowed in own.items():
        if chosen.get(key) is None:
            faults.add((*place, key), f"required and not given ({spoken(allowed)}, there is no default)", at_key=True)
        else:
            values[key] = read_coordinate(faults, (*place, key), allowed, chosen[key])
    if len(faults.problems) > before:
        return None
    return Endpoint.of(name, vars(fields.trainer.metrics[name]), values, at="last", window=1)


def _confirm(
    faults: Faults,
    fields: Fields,
    given: ConfirmForm,
    named: SearchMetricForm,
    metric: Endpoint,
    seeds: tuple[int, ...],
) -> Confirm | None:
    place: Place = ("search", "confirm", "on")
    settings: dict[str, Setting] = {}
    endpoint = metric
    if given.on is not None:
        bare = named.name.removeprefix(f"{named.split}_") if named.split else named.name
        bare = bare.removeprefix("val_")
        name = metric_on(fields.trainer, bare, given.on)
        own = fields.trainer.metrics[name].coordinates if name is not None else {}
        if name is None or given.on not in own.get("split", (given.on,)):
            faults.add(place, f"trainer {fields.trainer.name} measures no {bare} on split {shown(given.on)}")
            return None
        values = dict(metric.coordinates) | ({"split": given.on} if "split" in own else {})
        endpoint = Endpoint.of(name, vars(fields.trainer.metrics[name]), values, at="last", window=1)
        if "split" not in own and SPLIT_FIELD in fields.names:
            at = faults.document.at(place)
            origin = f"{faults.document.path.name}:{at.line}"
            settings[SPLIT_FIELD] = Setting(value=given.on, origin=origin, position=at)
    fresh: list[int] = []
    number = FIRST_FRESH_SEED
    while len(fresh) < given.seeds:
        fresh += [] if number in seeds else [number]
        number += 1
    return Confirm(best=given.best, seeds=tuple(fresh), on=given.on, endpoint=endpoint, settings=settings)
