"""A plug whose answers are checked: what its code raises or returns by mistake becomes one sentence of a TrainerError.

Guards what planning, dealing and tracking ask. Whoever trains checks what `train` yields, and reports what it raises.
"""

import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

from trainers.fields import finite, shown
from trainers.trainer import MEMBERS, ConfigError, Data, Point, Trainer, TrainerError


class Answer(NamedTuple):
    """What a member must return, in words and as a check, and the errors that it may raise."""

    expected: str
    right: Callable[[Any], bool]
    may_raise: tuple[type[Exception], ...] = ()


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _all(right: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, Sequence) and not isinstance(value, str) and all(map(right, value))


def _is_recipe(value: Any) -> bool:
    return isinstance(value, Mapping) and all(isinstance(name, str) and _is_count(value[name]) for name in value)


def _is_reason(value: Any) -> bool:
    return isinstance(value, tuple) and len(value) == 2 and all(map(_is_text, value))


def _is_record(value: Any) -> bool:
    return (
        isinstance(value, tuple)
        and len(value) == 3
        and _is_count(value[0])
        and _is_text(value[1])
        and isinstance(value[2], dict)
    )


def _is_hashable(value: Any) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True


ANSWERS: Mapping[str, Answer] = {
    "recipe": Answer("a mapping of names to whole numbers from 0", _is_recipe),
    "code": Answer('a text, "" for none', _is_text),
    "unmeasured": Answer("pairs of a key and a reason", _all(_is_reason)),
    "dataset": Answer('the name of a data set, "" for none', _is_text),
    "digest": Answer('a text, "" for none', _is_text),
    "prepare": Answer("Data", lambda value: isinstance(value, Data)),
    "checkpoint_bytes": Answer("a whole number from 0", _is_count),
    "engines": Answer("names in a tuple", _all(_is_text)),
    "engine": Answer("the name of an engine", _is_text, (ValueError,)),
    "cannot_treat": Answer('a reason, "" for none', _is_text),
    "point_in": Answer("a value that can be a key of a dict", _is_hashable),
    "records_in": Answer("records of a step, a key and a dict", _all(_is_record), (ValueError,)),
    "said": Answer('a text, "" for nothing', _is_text),
    "progress": Answer("a finite number or None", lambda value: value is None or finite(value)),
    "outcome": Answer("a text", _is_text),
    "points": Answer("points", _all(lambda value: isinstance(value, Point))),
}
"""What each guarded member must answer; `resolve` must return an instance of `config`."""


class Guarded:
    """The members of a plug, each of ANSWERS checked. All else that the plug has is there, too."""

    def __init__(self, plug: Trainer, further: Iterable[str] = ()) -> None:
        """Take the members of the protocol, and those of `further` that `plug` has, as attributes of this object."""
        self._plug = plug
        resolved = Answer("an instance of its config", lambda value: isinstance(value, plug.config))
        answers = {"resolve": resolved, **ANSWERS}
        for name in (*MEMBERS, *further):
            if hasattr(plug, name):
                member = getattr(plug, name)
                asked = self._asked(name, member, answers[name]) if name in answers else member
                setattr(self, name, asked)

    def __getattr__(self, name: str) -> Any:
        if name == "_plug":  # not made yet
            raise AttributeError(name)
        return getattr(self._plug, name)

    def __repr__(self) -> str:
        return f"<{self._plug!r}, guarded>"

    def _asked(self, name: str, member: Callable[..., Any], answer: Answer) -> Callable[..., Any]:
        owner = f"trainer {self._plug.name}"
        may_raise: tuple[type[Exception], ...] = (TrainerError, ConfigError, *answer.may_raise)

        def ask(*arguments: Any, **named: Any) -> Any:
            try:
                found = member(*arguments, **named)
                if isinstance(found, Iterator):  # it raises only when it is read
                    found = list(found)
            except may_raise:
                raise
            except Exception as error:
                raise TrainerError(f"{owner}: {name} raised {why(error)}") from error
            if not answer.right(found):
                raise TrainerError(f"{owner}: {name} must return {answer.expected}, got {shown(found)}")
            return found

        return ask


def guarded(plug: Trainer, further: Iterable[str] = ()) -> Trainer:
    """Return `plug` with checked answers."""
    return cast(Trainer, Guarded(plug, further))  # it has every member of the protocol, as attributes


def why(error: BaseException) -> str:
    """Return an error in one line, with the last line of code that it comes from."""
    if isinstance(error, TrainerError):  # such as one of `@trainer`, which says everything
        return str(error)
    frames = traceback.extract_tb(error.__traceback__)
    at = f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}{f': {text}' if text else ''}{at}"
