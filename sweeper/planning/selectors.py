"""Selectors of trials on the command line: `zeroing=none,inner_steps=3`, or the start of a trial's id."""

import re
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import NamedTuple, TypeVar

from sweeper.errors import SweepError, suggest
from sweeper.planning.trial_spec import TrialSpec
from trainers.trainer import Trainer

Of = TypeVar("Of")
ID = re.compile(r"[0-9a-f]{4,16}")
_COMMA = re.compile(r",(?=\s*[^,=]+=|\s*$)")
"""A comma separates terms only if another `name=` follows, since labels may contain commas."""


class Term(NamedTuple):
    """One condition of a selector."""

    name: str
    value: str


def select(specs: Sequence[TrialSpec], selectors: Iterable[str], option: str) -> list[TrialSpec]:
    """Return the trials that any of `selectors` picks, in plan order; all of them if there is no selector.

    All terms of a selector must match. A term is an axis and a label, or a config field and a value. Raises SweepError
    with the name of `option` for a term that is neither, and for a selector that picks nothing.
    """
    nothing = "no trial of this plan matches; `sweeper plan` shows them all"
    return picked_of(specs, selectors, lambda spec: spec.trial_id, _matching, option, nothing)


def picked_of(
    every: Sequence[Of],
    selectors: Iterable[str],
    id_of: Callable[[Of], str],
    matching: Callable[[Sequence[Of], str, str], Iterable[Of]],
    option: str,
    nothing: str,
) -> list[Of]:
    """Return those of `every` that any of `selectors` picks, in their order; all of them if there is no selector.

    A selector is the start of an id, or terms, for which `matching` picks. Raises SweepError with `nothing` for a
    selector that picks nothing.
    """
    wanted = list(selectors)
    if not wanted:
        return list(every)
    picked: set[str] = set()
    for selector in wanted:
        if ID.fullmatch(selector):
            ids = {id_of(one) for one in every if id_of(one).startswith(selector)}
        else:
            ids = {id_of(one) for one in matching(every, selector, option)}
        if not ids:
            raise SweepError(f"{option} {selector}: {nothing}")
        picked |= ids
    return [one for one in every if id_of(one) in picked]


def _matching(specs: Sequence[TrialSpec], selector: str, option: str) -> list[TrialSpec]:
    terms = terms_of(selector, option)
    axes = list(dict.fromkeys(axis for spec in specs for axis in spec.labels))
    fields = list(dict.fromkeys(name for trainer in _trainers(specs) for name in trainer.config.model_fields))
    for name, _ in terms:
        if name not in (*axes, *fields):
            reason = f"{name!r} is neither an axis of this plan nor a field"
            raise SweepError(f"{option} {selector}: {reason}; {_hint(name, axes, fields)}")
    return [spec for spec in specs if all(_matches(spec, term) for term in terms)]


def _trainers(specs: Sequence[TrialSpec]) -> Iterable[Trainer]:
    return {id(spec.trainer): spec.trainer for spec in specs}.values()


def _hint(name: str, axes: list[str], fields: list[str]) -> str:
    nearest = suggest(name, [*axes, *fields])
    return nearest if nearest.startswith("did") else f"its axes are {', '.join([*axes, 'seed'])}"


def terms_of(selector: str, option: str) -> list[Term]:
    """Return the terms of a selector. Raises SweepError for one that is none."""
    return [_term(term, selector, option) for term in _COMMA.split(selector)]


def _term(term: str, selector: str, option: str) -> Term:
    name, equals, value = (part.strip() for part in term.partition("="))
    if not equals or not name or not value:
        raise SweepError(
            f"{option} {selector}: {term.strip()!r} is neither axis=label nor the first 4 to 16 digits of a trial's id"
        )
    return Term(name, value)


def _matches(spec: TrialSpec, term: Term) -> bool:
    name, value = term
    if spec.labels.get(name) == value:
        return True
    if name == "seed":
        return means(value, spec.seed)
    return name in spec.trainer.config.model_fields and means(value, spec.field(name))


def means(text: str, value: object) -> bool:
    """Return whether `text` is a YAML spelling of a config's `value`. 1, 1.0 and 1e0 are the same number."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            # A float has too few digits for a large seed, and a decimal too many for a rate.
            return (Decimal(text) if isinstance(value, int) else float(text)) == value
        except (ValueError, ArithmeticError):
            return False
    return {"True": "true", "False": "false", "None": "null"}.get(str(value), str(value)) == text
