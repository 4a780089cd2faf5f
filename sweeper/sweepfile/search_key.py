"""The key `search:` of a sweep file: the space, the sampler, the rungs and the confirmation.

Checks what its values mean; `search_metric` reads the metric. Whether trials measure it and reach the rungs is checked
in `planning`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from analysis.contract.question import NOT_APPLICABLE, Endpoint
from sweeper.errors import shown, suggest
from sweeper.sweepfile.axes import Setting
from sweeper.sweepfile.conditions import Condition
from sweeper.sweepfile.fields import Fields
from sweeper.sweepfile.one_reading import spoken
from sweeper.sweepfile.search_form import ConfirmForm, RungsForm, SearchForm
from sweeper.sweepfile.search_metric import read_compared, read_confirmed
from sweeper.sweepfile.space import Dimension, read_space
from sweeper.sweepfile.yaml_source import Faults, Place, Scalar
from trainers.trainer import Trainer

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

    `settings` are the fields that such a trial of each trainer sets besides, by the trainer's name.
    """

    best: int
    seeds: tuple[int, ...]
    on: str | None
    endpoint: Endpoint
    settings: Mapping[str, Mapping[str, Setting]]


@dataclass(frozen=True, kw_only=True)
class SearchSpec:
    """`search:`, read and checked as far as possible without resolving a point. `rungs` None: full length each.

    A dimension with a condition is searched only in cells of the matrix in which it holds. `metric` has that of each
    trainer.
    """

    space: tuple[Dimension, ...]
    sampler: str
    options: Mapping[str, Scalar]
    trials: int
    metric: Endpoint
    better: Literal["higher", "lower"]
    rungs: Rungs | None
    confirm: Confirm | None
    conditions: Mapping[str, Condition]

    @property
    def endpoint(self) -> Endpoint:
        """What answers the question: the confirmation or, without one, the metric that is compared."""
        return self.metric if self.confirm is None else self.confirm.endpoint


FIRST_FRESH_SEED = 1_000_000
"""Confirmations have seeds from here on, so that they stay fresh when a search gets more seeds of its own."""


def read_search(
    faults: Faults,
    fields: Fields,
    given: SearchForm,
    axes: Iterable[tuple[str, set[str]]],
    seeds: tuple[int, ...],
    conditions: Mapping[str, Condition],
) -> SearchSpec | None:
    """Return the search, or None with the reasons in `faults`. `axes` are those of the matrix, with their fields.

    `conditions` are those of dimensions.
    """
    before = len(faults.problems)
    space = read_space(faults, fields, ("search", "space"), given.space)
    _check_rivals(faults, space, axes)
    sampler, options = _sampler(faults, given.sampler)
    _check_named_absent(faults, space, conditions)
    rungs = None if given.rungs is None else _rungs(faults, fields.trainers, given.rungs, given.trials)
    metric = read_compared(faults, fields, given.metric)
    if metric is None:
        return None
    better = given.metric.better or metric.declared.better
    silent = next((one.metric for one in metric.each if one.declared.better is None), None)
    if given.metric.better is None and silent is not None:
        why = "says itself neither; write better: higher or better: lower"
        faults.add(("search", "metric", "name"), f"{silent} {why}")
    confirm = None
    if given.confirm is not None:
        read = read_confirmed(faults, fields, given.confirm.on, given.metric, metric)
        confirm = None if read is None else _confirm(given.confirm, *read, seeds)
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
        conditions=conditions,
    )


def _check_named_absent(faults: Faults, space: Iterable[Dimension], conditions: Mapping[str, Condition]) -> None:
    """Note a value called as a cell is in which its dimension does not apply."""
    for dimension in space:
        if dimension.name in conditions and any(value.label == NOT_APPLICABLE for value in dimension.values):
            why = "is the label of a cell in which a dimension does not apply; give the value another name"
            faults.add(("search", "space", dimension.name, NOT_APPLICABLE), f"{NOT_APPLICABLE} {why}", at_key=True)


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


def _rungs(faults: Faults, trainers: Iterable[Trainer], given: RungsForm, trials: int) -> Rungs | None:
    place: Place = ("search", "rungs")
    for trainer in trainers:
        if trainer.length is None:
            why = "has no length, so no trial can go on to a longer one"
            faults.add(place, f"trainer {trainer.name} {why}", at_key=True)
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


def _confirm(
    given: ConfirmForm, endpoint: Endpoint, settings: Mapping[str, Mapping[str, Setting]], seeds: tuple[int, ...]
) -> Confirm:
    fresh: list[int] = []
    number = FIRST_FRESH_SEED
    while len(fresh) < given.seeds:
        fresh += [] if number in seeds else [number]
        number += 1
    return Confirm(best=given.best, seeds=tuple(fresh), on=given.on, endpoint=endpoint, settings=settings)
