"""`--set FIELD=VALUE`: a sweep with other values than its `fixed`, for a try, under a name of its own.

The values override every other. The file is not changed.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from sweeper.errors import SweepError, SweepFileError, shown, suggest
from sweeper.sweepfile import yaml_source
from sweeper.sweepfile.axes import Setting, label_of
from sweeper.sweepfile.fields import SEED, Fields
from sweeper.sweepfile.sweep import Sweep
from sweeper.sweepfile.wording import wording

LONGEST_NAME = 150  # characters of an experiment's name with what is set; it names folders
_PLAIN = re.compile(r"[A-Za-z0-9_.-]+")


def tried(sweep: Sweep, given: Sequence[str]) -> Sweep:
    """Return `sweep` with what `given`, texts such as `inner_lr=0.1`, set in all its trials; itself if nothing is.

    Its name is that of the sweep with the fields and values. Raises SweepError for a field that no trainer has, a
    value that it can't have, and a field that an axis sets.
    """
    fields = Fields(*(found.trainer for found in sweep.trainers.every))
    settings: dict[str, Setting] = {}
    for text in given:
        name, setting = _setting(sweep, fields, text)
        if name in settings:
            raise SweepError(f"--set {text}: {name} is set twice; give it once")
        settings[name] = setting
    if not settings:
        return sweep
    return replace(sweep, name=_name(sweep.name, settings), tried=settings)


def words(given: Iterable[str]) -> list[str]:
    """Return the words of a command line that set what `given` says."""
    return [word for text in given for word in ("--set", text)]


def given_to(sweep: Sweep) -> list[str]:
    """Return the texts that were given to `tried` to make `sweep`."""
    return [setting.origin.removeprefix("--set ") for setting in sweep.tried.values()]


def words_of(sweep: Sweep) -> list[str]:
    """Return the words of a command line that set what is tried in `sweep`."""
    return words(given_to(sweep))


def _setting(sweep: Sweep, fields: Fields, text: str) -> tuple[str, Setting]:
    name, equals, value = (part.strip() for part in text.partition("="))
    option = f"--set {text}"
    if not equals or not name or not value:
        raise SweepError(f"{option}: must be FIELD=VALUE, such as inner_lr=0.1")
    if name == SEED:
        raise SweepError(f"{option}: seeds are chosen with --only seed=N, or in seeds: of the file")
    for axis in sweep.axes:
        if name == axis.name and not axis.bundled:
            raise SweepError(f"{option}: {name} is an axis of {sweep.name}; choose its values with --only")
        fields_of_axis = axis.keys()
        if name in fields_of_axis:
            raise SweepError(f"{option}: axis {axis.name} of {sweep.name} sets {name}; choose its values with --only")
    for dimension in sweep.search.space if sweep.search is not None else ():
        searched = dimension.keys()
        if name in searched:
            raise SweepError(f"{option}: {dimension.name} of {sweep.name} is searched; leave it out")
    parsed = _parsed(option, value)
    if name == "use":
        if parsed not in fields.protocols:
            raise SweepError(f"{option}: unknown protocol {shown(parsed)}; {suggest(str(parsed), fields.protocols)}")
        return name, Setting(value=parsed, origin=option, position=None)
    if name not in fields.names:
        raise SweepError(f"{option}: unknown field; {suggest(name, fields.names)}")
    for own in fields.having(name):
        try:
            own.valid(name, parsed)
        except ValidationError as error:
            of = f" (trainer {own.trainer.name})" if fields.several else ""
            why = wording(error.errors(include_url=False)[0], nullable=own.takes_null(name))
            raise SweepError(f"{option}: {name} {why}{of}") from None
    return name, Setting(value=fields.valid(name, parsed), origin=option, position=None)


def _parsed(option: str, value: str) -> Any:
    """Return `value` as a sweep file would read it. Raises SweepError for what is no single value."""
    try:
        document = yaml_source.read_text(Path("--set"), value)
    except SweepFileError as error:
        raise SweepError(f"{option}: {error.problems[0].message}") from None
    if document.problems:
        raise SweepError(f"{option}: {document.problems[0].message}")
    if isinstance(document.value, list | dict):
        raise SweepError(f"{option}: takes one value, got {shown(document.value)}")
    return document.value


def _name(name: str, settings: Mapping[str, Setting]) -> str:
    parts = [f"{field}={_spelled(label_of(one.value))}" for field, one in sorted(settings.items())]
    whole = "+".join([name, *parts])
    if len(whole) <= LONGEST_NAME:
        return whole
    return f"{whole[: LONGEST_NAME - 9]}-{_digits(whole)}"


def _spelled(label: str) -> str:
    """Return `label` as it may stand in the name of a folder: others than plain letters give way to a hash."""
    return label if _PLAIN.fullmatch(label) else f"{'_'.join(_PLAIN.findall(label))}-{_digits(label)}"


def _digits(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]
