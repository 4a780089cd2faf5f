"""The form of a journal's lines: a journal that comes from elsewhere must have it before it is accepted.

Strict about what `fold` and its readers use. A line may hold more, if its values are plain, finite and of limited size.
"""

import math
from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeInt,
    PositiveInt,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    model_validator,
)

from analysis.contract.lifecycle import LineKind, State, after_line
from sweeper.results.journal_lines import FORM, FORM_OF_OTHERS, LONGEST_LINE, split_lines
from sweeper.results.paths import FURTHEST
from trainers.registry import find
from trainers.trainer import DEFAULT, READINGS, Reference

TRIAL_ID = r"[0-9a-f]{16}"

DEEPEST = 6
"""Most levels of lists and mappings in a record's value. Runs write at most four."""
LONGEST = 100_000
"""Most entries of one list or mapping, and most characters of one text, in a record's value."""
LONGEST_NAME = 10_000
"""Most characters of the name of a trainer and of the hash of its code."""
LATEST_MS = 253_402_300_799_999
"""The last millisecond of the year 9999. Python has no later date."""

Hash = Annotated[str, Field(pattern=f"^{TRIAL_ID}$")]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Time = Annotated[int, Field(ge=0, le=LATEST_MS)]
Step = Annotated[int, Field(ge=0, le=FURTHEST)]


class JournalFormError(ValueError):
    """A line that no run writes. The message says which line and why."""


class Facts(NamedTuple):
    """Facts of a whole journal: its number of attempts, its trainer, and the sha256 of each data set, by name."""

    attempts: int
    data: Mapping[str, str]
    trainer: str


class _Form(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True, frozen=True, allow_inf_nan=False, defer_build=True)


class _ConfigOfMaml(_Form):
    dataset: str


class _OfMaml(_Form):
    """What an attempt of form 1 has besides."""

    target: Annotated[Step, Field(ge=1)]
    config: _ConfigOfMaml
    digest: Digest


class _OfOthers(_Form):
    """What an attempt of form 2 has besides: `length` names the field that `target` is the value of, `class` its cost.

    `target` is 0 and `length` null for a trainer without a length, `digest` and `dataset` are "" for one without data.
    """

    trainer: Annotated[str, Field(min_length=1, max_length=LONGEST_NAME)]
    code: Annotated[str, Field(max_length=LONGEST_NAME)]
    resumes: bool
    length: str | None
    cost_class: Annotated[Hash, Field(alias="class")]
    dataset: str
    digest: Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")]


class _Attempt(_Form):
    kind: Literal["attempt"]
    form: Literal[1, 2] = 1
    attempt: PositiveInt
    time_ms: Time
    trial_id: Hash
    point: Hash
    cell: Hash
    seed: NonNegativeInt
    target: Step
    config: dict[str, Any]
    recipe: dict[str, int]
    digest: str
    sweep: str
    engine: str
    threads: PositiveInt
    pack: PositiveInt
    device: str

    @model_validator(mode="after")
    def _has_what_its_form_has(self) -> "_Attempt":
        if self.form != FORM:
            _check_plain(self.config, DEEPEST)
        fields = vars(self) | (self.model_extra or {})
        (_OfMaml if self.form == FORM else _OfOthers).model_validate(fields)
        return self

    @property
    def trainer(self) -> str:
        return DEFAULT if self.form == FORM else (self.model_extra or {})["trainer"]

    @property
    def dataset(self) -> str:
        """The name of its data set, "" for none."""
        return self.config["dataset"] if self.form == FORM else (self.model_extra or {})["dataset"]


class Record(_Form):
    kind: Literal["record"]
    attempt: PositiveInt
    time_ms: Time
    step: Step
    key: str
    value: dict[str, Any]

    @model_validator(mode="after")
    def _has_the_value_of_its_key(self, info: ValidationInfo) -> "Record":
        _check_plain(self.value, DEEPEST)
        if info.context == FORM:
            if self.key in _values_of_maml():
                _values_of_maml()[self.key].model_validate(self.value)
        elif info.context == FORM_OF_OTHERS and self.key == READINGS:
            for name, number in self.value.items():
                if isinstance(number, bool) or not isinstance(number, int | float):
                    raise ValueError(f"{name!r} has no number")
        return self


@cache
def _values_of_maml() -> Mapping[str, type[BaseModel]]:
    return find(Reference(DEFAULT, "")).records


def _check_plain(value: Any, levels: int) -> None:
    """Raise ValueError for a value that is too long, deeper than `levels`, or holds a number that isn't finite."""
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("a number isn't finite")
    if not isinstance(value, str | list | dict):
        return
    if len(value) > LONGEST:
        raise ValueError(f"more than {LONGEST} characters or entries")
    if isinstance(value, str):
        return
    if not levels:
        raise ValueError(f"deeper than {DEEPEST} levels")
    for entry in value.values() if isinstance(value, dict) else value:
        _check_plain(entry, levels - 1)


class Ended(_Form):
    attempt: PositiveInt
    time_ms: Time
    step: Step


class _Closed(Ended):
    kind: Literal["done", "diverged", "interrupted"]
    message: str


class _Failed(Ended):
    """The only end that must have a message. Tables show its last line."""

    kind: Literal["failed"]
    message: Annotated[str, Field(pattern=r"\S")]


_Line = _Attempt | Record | _Closed | _Failed


@cache
def _line() -> TypeAdapter[_Line]:
    """Return what reads a line. It is built when the first journal is checked, since most commands check none."""
    return TypeAdapter(Annotated[_Line, Field(discriminator="kind")])


class Sound(NamedTuple):
    """The sound beginning of a journal: its bytes and lines, its facts, and what is wrong with the line after it."""

    size: int
    lines: int
    facts: Facts
    fault: str


def check(content: bytes, trial_id: str) -> Facts:
    """Return the facts of the journal of `trial_id`. Raises JournalFormError for a line that no run writes."""
    sound = sound_part(content, trial_id)
    if sound.fault:
        raise JournalFormError(f"line {sound.lines + 1}: {sound.fault}")
    if not sound.lines:
        raise JournalFormError(f"line 1: {_NO_ATTEMPT}")
    return sound.facts


def sound_part(content: bytes, trial_id: str) -> Sound:
    """Return the longest beginning of the journal of `trial_id` that a run may have written."""
    state: State = "new"
    size, number, attempts, opened = 0, 0, 0, 0
    data: dict[str, str] = {}
    trainer, form = "", FORM
    fault = ""
    for text in split_lines(content):
        try:
            line = _read(text, form)
            state = _after(state, line.kind)
            if isinstance(line, _Attempt):
                _check_attempt(line, trial_id, data, trainer)
                trainer, form = line.trainer, line.form
                opened = max(opened, line.attempt)
                attempts += 1
            elif line.attempt > opened:
                raise JournalFormError(f"is of attempt {line.attempt}, and no line before it opens that attempt")
        except JournalFormError as error:
            fault = str(error)
            break
        size, number = size + len(text), number + 1
    return Sound(size, number, Facts(attempts, data, trainer), fault)


def _check_attempt(line: _Attempt, trial_id: str, data: dict[str, str], trainer: str) -> None:
    """Check an attempt against the trial, the `trainer` before (or ""), and `data`, the digests, which it joins."""
    if line.trial_id != trial_id:
        raise JournalFormError(f"its attempt is of trial {line.trial_id}, not of {trial_id}")
    if trainer and line.trainer != trainer:
        raise JournalFormError(f"its attempt is of the trainer {line.trainer}, and those before it are of {trainer}")
    if bool(line.dataset) != bool(line.digest):
        raise JournalFormError("its attempt has a digest without a data set, or a data set without its digest")
    if line.dataset and data.setdefault(line.dataset, line.digest) != line.digest:
        raise JournalFormError(f"its attempt trained on another copy of {line.dataset} than those before it")


def _after(state: State, kind: LineKind) -> State:
    try:
        return after_line(state, kind)
    except KeyError:
        raise JournalFormError(_NO_ATTEMPT) from None


_NO_ATTEMPT = "doesn't open an attempt"


def readable(line: bytes) -> _Line | None:
    """Return one line of a journal whatever stands before it, None if no run writes such a line of any form."""
    try:
        return _read(line, None)
    except JournalFormError:
        return None


def _read(line: bytes, form: int | None) -> _Line:
    if not line.endswith(b"\n"):
        raise JournalFormError("is cut short")
    if len(line) > LONGEST_LINE:
        raise JournalFormError(f"is longer than {LONGEST_LINE} bytes")
    try:
        return _line().validate_json(line, context=form)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise JournalFormError(f"{place + ': ' if place else ''}{first['msg']}") from None
