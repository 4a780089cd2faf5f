"""Picking trials of a plan on the command line: `zeroing=none,inner_steps=3`, or the beginning of a trial's id."""

import re
from collections.abc import Iterable, Sequence

from sweeper.errors import SweepError, suggest
from sweeper.plan import TrialSpec
from trainers.config import TrialConfig

_ID = re.compile(r"[0-9a-f]{4,16}")
_COMMA = re.compile(r",(?=\s*[^,=]+=)")
"""A comma parts two terms only where another `name=` follows: labels may hold commas too."""


def select(specs: Sequence[TrialSpec], selectors: Iterable[str], option: str) -> list[TrialSpec]:
    """Return the trials that any of `selectors` picks, in plan order; all of them if there is no selector.

    A selector's terms must all agree: an axis and a label, or a config field and its value. Raises SweepError naming
    `option` for a term that is neither and for a selector that picks nothing.
    """
    wanted = list(selectors)
    if not wanted:
        return list(specs)
    picked: set[str] = set()
    for selector in wanted:
        found = [spec.trial_id for spec in specs if _matches(spec, selector, option)]
        if not found:
            raise SweepError(f"{option} {selector}: no trial of this plan agrees; `sweeper plan` shows them all")
        picked.update(found)
    return [spec for spec in specs if spec.trial_id in picked]


def _matches(spec: TrialSpec, selector: str, option: str) -> bool:
    if _ID.fullmatch(selector):
        return spec.trial_id.startswith(selector)
    return all(_agrees(spec, *_term(term, option, selector)) for term in _COMMA.split(selector))


def _term(term: str, option: str, selector: str) -> tuple[str, str]:
    name, equals, value = (part.strip() for part in term.partition("="))
    if not equals or not name:
        raise SweepError(
            f"{option} {selector}: {term.strip()!r} is neither axis=label nor 4 to 16 digits of a trial's id"
        )
    return name, value


def _agrees(spec: TrialSpec, name: str, value: str) -> bool:
    if name in spec.labels:
        return spec.labels[name] == value
    if name == "seed":
        return str(spec.seed) == value
    if name in TrialConfig.model_fields:
        return _spelled(getattr(spec.config, name)) == value
    known = [*spec.labels, *TrialConfig.model_fields]
    raise SweepError(f"{name}={value}: {name!r} is no axis of this sweep and no field; {suggest(name, known)}")


def _spelled(value: object) -> str:
    """Return a config value as YAML spells it."""
    return {"True": "true", "False": "false", "None": "null"}.get(str(value), str(value))
