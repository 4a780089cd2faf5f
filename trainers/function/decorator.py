"""`trainer`, the decorator that makes a trainer of a function, and the checks of what it is given. Trains nothing."""

import inspect
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from trainers.fields import fields_of, shown
from trainers.function.plug import FunctionTrainer
from trainers.metrics import metrics_of
from trainers.plain_fields import plain_fields
from trainers.trainer import Metric, TrainerError

Function = Callable[..., Iterator[Mapping[str, Any]]]
LONGEST_NAME = 200


def trainer(
    *misplaced: Any,
    metrics: Mapping[str, Metric | Mapping[str, Any] | None] | Sequence[str] = (),
    length: str | None = None,
    config: type | None = None,
    name: str | None = None,
) -> Callable[[Function], FunctionTrainer]:
    """Make a trainer of a function that yields the numbers of each step as {metric: number}.

    The function takes a config: an instance of `config`, which is a dataclass or a pydantic model of plain fields with
    an int field `seed`. Without `config`, it is the annotated type of the first parameter. A second parameter named
    `state` is a dict in which the function keeps what it needs to go on after a stop; it is empty at the start.

    The n-th yield ends step n. `{}` stands for a step without a measurement. `length` names the field with the number
    of steps, at which the function is stopped; without it, the function ends the trial when it returns. To end it as
    diverged, raise `Diverged`. `name` is in every trial's identity; by default it is the function's.

    Raises TrainerError that says what can't be used.
    """

    def decorate(function: Function) -> FunctionTrainer:
        called = getattr(function, "__name__", type(function).__name__) if name is None else name
        if not isinstance(called, str) or not 1 <= len(called) <= LONGEST_NAME or not called.isprintable():
            raise TrainerError(
                f"trainer: name must be one line of up to {LONGEST_NAME} characters, got {shown(called)}"
            )
        owner = f"trainer {called}"
        own, resumes = _signature(owner, function, config)
        return FunctionTrainer(
            name=called,
            function=function,
            own=own,
            fields=plain_fields(owner, fields_of(own, owner), length),
            metrics=metrics_of(metrics, owner),
            length=length,
            resumes=resumes,
        )

    if misplaced:
        raise TrainerError("trainer: write @trainer(metrics=[...]) with the names of what the function yields")
    return decorate


_NONE = inspect.Parameter("none", inspect.Parameter.KEYWORD_ONLY)
"""Stands behind the parameters of a function, which may have none."""


def _signature(owner: str, function: Function, config: type | None) -> tuple[type, bool]:
    """Return the type of the function's config, and whether it takes a state."""
    if not callable(function):
        raise TrainerError(f"{owner}: @trainer(...) stands before a function, got {shown(function)}")
    first, *others = *inspect.signature(function).parameters.values(), _NONE
    if first.kind not in (first.POSITIONAL_ONLY, first.POSITIONAL_OR_KEYWORD):
        raise TrainerError(f"{owner}: the function must take a config: def train(config: Config)")
    others = others[:-1]
    unknown = [one.name for one in others if one.name != "state" and one.default is one.empty]
    if unknown:
        raise TrainerError(f"{owner}: the function takes {unknown[0]}; only a config and a state are given to it")
    return config or _annotated(owner, function, first.name), any(one.name == "state" for one in others)


def _annotated(owner: str, function: Function, parameter: str) -> type:
    try:
        found: Any = typing.get_type_hints(function).get(parameter)
    except Exception as error:  # a type that does not exist raises what its expression raises
        raise TrainerError(
            f"{owner}: the type of {parameter} can't be read ({error}); give it as @trainer(config=...)"
        ) from None
    if found is None:
        raise TrainerError(
            f"{owner}: {parameter} has no type; write {parameter}: Config, a dataclass or a pydantic model"
        )
    return found
