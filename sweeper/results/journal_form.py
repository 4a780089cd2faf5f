"""The form of a journal's lines: a journal that comes from elsewhere must have it before it is accepted.

Strict about what `fold` and its readers use. A line may hold more, if its values are plain, finite and of limited size.
"""

import math
from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, Generic, Literal, NamedTuple, Self, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeInt,
    PositiveInt,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from analysis.contract.lifecycle import LineKind, State, after_line
from sweeper.results.journal_lines import LONGEST_LINE, split_lines
from sweeper.results.paths import FURTHEST

TRIAL_ID = r"[0-9a-f]{16}"

DEEPEST = 6
"""Most levels of lists and mappings in a record's value. Runs write at most four."""
LONGEST = 100_000
"""Most entries of one list or mapping, and most characters of one text, in a record's value."""
LATEST_MS = 253_402_300_799_999
"""The last millisecond of the year 9999. Python has no later date."""

Hash = Annotated[str, Field(pattern=f"^{TRIAL_ID}$")]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Time = Annotated[int, Field(ge=0, le=LATEST_MS)]
Step = Annotated[int, Field(ge=0, le=FURTHEST)]

Score = TypeVar("Score")


class JournalFormError(ValueError):
    """A line that no run writes. The message says which line and why."""


class Facts(NamedTuple):
    """Facts of a whole journal: its number of attempts, and the sha256 digest of each data set it used, by name."""

    attempts: int
    data: Mapping[str, str]


class _Form(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True, frozen=True, allow_inf_nan=False, defer_build=True)


class _TrainingValue(_Form):
    query_loss: float
    query_accuracy: float


class _Heads(_Form, Generic[Score]):
    """One score for each number of inner steps from 0, for each head. At least one of the two heads is present."""

    # may be absent, never null: pydantic does not check a default
    trained: Annotated[list[Score], Field(min_length=1)] = Field(default=None)  # type: ignore[arg-type]
    zeroed: Annotated[list[Score], Field(min_length=1)] = Field(default=None)  # type: ignore[arg-type]

    @model_validator(mode="after")
    def _has_one(self) -> Self:
        if not self.model_fields_set & {"trained", "zeroed"}:
            raise ValueError("neither head is present, trained or zeroed")
        return self


class _EvaluationValue(_Form):
    split: Literal["val", "test"]
    episodes: PositiveInt
    accuracy: _Heads[float | None]
    sd: _Heads[float | None]


class _ScoresValue(_Form):
    queries: PositiveInt
    correct: _Heads[list[int]]


Number = float | None
"""None stands for a number that was not finite."""


class _Orders(_Form, Generic[Score]):
    """The values of a probe for each order that it computed. At least one of the two orders is present."""

    # may be absent, never null
    first: Score = Field(default=None)  # type: ignore[assignment]
    second: Score = Field(default=None)  # type: ignore[assignment]

    @model_validator(mode="after")
    def _has_one(self) -> Self:
        if not self.model_fields_set & {"first", "second"}:
            raise ValueError("neither order is present, first or second")
        return self


class _SetPull(_Form):
    gradient: Number
    same: Number
    other: Number


class _Pull(_Form):
    support: _SetPull
    query: _SetPull


class _ProbeValue(_Form):
    """See `trainers.maml.probes.Probe`."""

    cosine: list[list[Number]]
    positive: list[float]
    negative: list[float]
    head_norm: Number
    interference_norm: list[Number]
    contrastive_norm: list[Number]
    gradient_norm: _Orders[list[Number]]
    layer_change: dict[str, Number]
    feature_change: Number
    smallest_variance: list[Number]
    smallest_live_variance: list[Number]
    flat_channels: list[float]
    # absent from older probes, never null
    feature_pull: _Orders[_Pull] = Field(default=None)  # type: ignore[arg-type]


_VALUES: Mapping[str, type[_Form]] = {
    "training": _TrainingValue,
    "evaluation": _EvaluationValue,
    "final": _EvaluationValue,
    "probe": _ProbeValue,
    "scores": _ScoresValue,
}


class _Config(_Form):
    dataset: str


class _Attempt(_Form):
    kind: Literal["attempt"]
    form: Literal[1] = 1
    attempt: PositiveInt
    time_ms: Time
    trial_id: Hash
    point: Hash
    cell: Hash
    seed: NonNegativeInt
    target: Annotated[Step, Field(ge=1)]
    config: _Config
    recipe: dict[str, int]
    digest: Digest
    sweep: str
    engine: str
    threads: PositiveInt
    pack: PositiveInt
    device: str


class Record(_Form):
    kind: Literal["record"]
    attempt: PositiveInt
    time_ms: Time
    step: Step
    key: str
    value: dict[str, Any]

    @model_validator(mode="after")
    def _has_the_value_of_its_key(self) -> "Record":
        _check_plain(self.value, DEEPEST)
        if self.key in _VALUES:
            _VALUES[self.key].model_validate(self.value)
        return self


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
    fault = ""
    for text in split_lines(content):
        try:
            line = _read(text)
            state = _after(state, line.kind)
            if isinstance(line, _Attempt):
                _check_attempt(line, trial_id, data)
                opened = max(opened, line.attempt)
                attempts += 1
            elif line.attempt > opened:
                raise JournalFormError(f"is of attempt {line.attempt}, and no line before it opens that attempt")
        except JournalFormError as error:
            fault = str(error)
            break
        size, number = size + len(text), number + 1
    return Sound(size, number, Facts(attempts, data), fault)


def _check_attempt(line: _Attempt, trial_id: str, data: dict[str, str]) -> None:
    """Check an attempt against the trial, and against `data`, the digests of the attempts before it, which it joins."""
    if line.trial_id != trial_id:
        raise JournalFormError(f"its attempt is of trial {line.trial_id}, not of {trial_id}")
    if data.setdefault(line.config.dataset, line.digest) != line.digest:
        raise JournalFormError(f"its attempt trained on another copy of {line.config.dataset} than those before it")


def _after(state: State, kind: LineKind) -> State:
    try:
        return after_line(state, kind)
    except KeyError:
        raise JournalFormError(_NO_ATTEMPT) from None


_NO_ATTEMPT = "doesn't open an attempt"


def readable(line: bytes) -> _Line | None:
    """Return one line of a journal whatever stands before it, None if no run writes such a line."""
    try:
        return _read(line)
    except JournalFormError:
        return None


def _read(line: bytes) -> _Line:
    if not line.endswith(b"\n"):
        raise JournalFormError("is cut short")
    if len(line) > LONGEST_LINE:
        raise JournalFormError(f"is longer than {LONGEST_LINE} bytes")
    try:
        return _line().validate_json(line)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise JournalFormError(f"{place + ': ' if place else ''}{first['msg']}") from None
