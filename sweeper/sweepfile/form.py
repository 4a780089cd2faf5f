"""The form of a sweep file: its keys, which of them are required, and the type of each value.

Checks single values; `sweeper.sweepfile.sweep` checks what they mean together.
"""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from analysis.contract.question import FigureKind
from analysis.contract.record import Head, Metric
from sweeper.errors import shown, suggest
from sweeper.sweepfile.axes import FIELDS
from sweeper.sweepfile.wording import wording
from sweeper.sweepfile.yaml_source import Faults, Place

MOST_SEEDS = 10_000

_REQUIRED = {
    ("version",): "version: 1",
    ("name",): "1 to 64 of a-z, 0-9, _ and -; it names the experiment",
    ("question",): "one sentence, the question that the grid answers",
    ("seeds",): "a count, or a list of seeds",
    ("endpoint",): "metric, head, steps, at and window, declared before the sweep runs",
    ("endpoint", "metric"): "test_accuracy, val_accuracy or final_accuracy",
    ("endpoint", "head"): "trained or zeroed, there is no default",
    ("endpoint", "steps"): "a number of inner steps or inner_steps, there is no default",
    ("endpoint", "at"): "last, or a list of outer steps",
    ("endpoint", "window"): "how many evaluations are averaged",
    ("report", "tables", "rows"): "a list of axes",
    ("report", "tables", "columns"): "one axis",
    ("report", "figures", "kind"): "inner_steps, curves, cosine, shares or feature_space",
    ("report", "figures", "x"): "one axis",
    ("claims", "says"): "the sentence, as a reader would say it",
    ("claims", "source"): "where the paper says so",
    ("claims", "kind"): "effect, equivalence or interaction",
    ("claims", "of"): "the labels and readings of one side",
    ("claims", "minus"): "the labels and readings of the other side",
    ("claims", "expected"): "positive or negative, the sign that the paper claims",
    ("claims", "between"): "two mappings, the cells between which the contrast differs",
}
"""What a required key holds, for the message when it is missing; the place leaves out indices of lists."""


def _seeds(given: Any) -> tuple[int, ...]:
    count = len(given) if isinstance(given, list) else given
    if type(count) is not int or count < 1:
        raise ValueError(f"must be a count from 1, or a list of whole numbers from 0, got {shown(given)}")
    if count > MOST_SEEDS:
        raise ValueError(f"{count} seeds, but a sweep holds at most {MOST_SEEDS}")
    return _distinct(given, "seed", 0) if isinstance(given, list) else tuple(range(count))


def _distinct(numbers: list[Any], noun: str, least: int) -> tuple[int, ...]:
    seen: dict[int, None] = {}
    for number in numbers:
        if type(number) is not int or number < least:
            raise ValueError(f"each {noun} must be a whole number from {least}, got {shown(number)}")
        if number in seen:
            raise ValueError(f"{noun} {number} is given twice; keep one")
        seen[number] = None
    return tuple(seen)


def _steps(given: Any) -> int | Literal["inner_steps"]:
    if given == "inner_steps" or (type(given) is int and given >= 0):
        return given
    raise ValueError(f"must be a number of inner steps from 0, or the word inner_steps, got {shown(given)}")


def _at(given: Any) -> tuple[int, ...] | Literal["last"]:
    if given == "last":
        return "last"
    if not isinstance(given, list) or not given:
        raise ValueError(f"must be the word last, or a list of distinct outer steps from 1, got {shown(given)}")
    return _distinct(given, "step", 1)


def _facets(given: Any) -> list[str]:
    axes = given if isinstance(given, list) else [given]
    if not all(isinstance(axis, str) for axis in axes):
        raise ValueError(f"must be an axis or a list of axes, got {shown(given)}")
    return axes


Name = Annotated[str, Field(pattern=r"^[a-z0-9_-]{1,64}$")]
Seeds = Annotated[Any, AfterValidator(_seeds)]


class _Form(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


Steps = Annotated[Any, AfterValidator(_steps)]
At = Annotated[Any, AfterValidator(_at)]


class EndpointForm(_Form):
    """`endpoint:`; `head` and `steps` are required for an accuracy and have no meaning for a probe."""

    metric: Metric
    head: Head | None = None
    steps: Steps = None
    at: At
    window: Annotated[int, Field(ge=1)]


class ReadingForm(_Form):
    """The keys by which a table, a figure or one side of a claim may override the endpoint."""

    metric: Metric | None = None
    head: Head | None = None
    steps: Steps = None
    at: At = None
    window: Annotated[int | None, Field(ge=1)] = None


class ClaimForm(_Form):
    """One entry of `claims`; the mappings name labels of axes and keys of a reading."""

    says: Annotated[str, Field(min_length=1)]
    source: Annotated[str, Field(min_length=1)]
    kind: Literal["effect", "equivalence", "interaction"]
    of: dict[str, Any]
    minus: dict[str, Any]
    where: dict[str, Any] = {}
    between: list[dict[str, Any]] | None = None
    reference: dict[str, Any] | None = None
    expected: Literal["positive", "negative"] | None = None
    primary: bool = True


class ProfileForm(_Form):
    """One named variant of the grid under `profiles:`."""

    fixed: dict[str, Any] = {}
    matrix: dict[str, Any] = {}
    seeds: Seeds = None  # None: the sweep's seeds


class TableForm(ReadingForm):
    """One entry of `report.tables`."""

    rows: list[str]
    columns: str


class FigureForm(ReadingForm):
    """One entry of `report.figures`."""

    kind: FigureKind
    x: str | None = None
    hue: str | None = None
    facets: Annotated[Any, AfterValidator(_facets)] = []


class ReportForm(_Form):
    """`report:`, the tables and figures of the report."""

    tables: list[TableForm] = []
    figures: list[FigureForm] = []


class SweepForm(_Form):
    """The whole file."""

    version: Literal[1]
    name: Name
    question: Annotated[str, Field(min_length=1)]
    paper: str | None = None
    fixed: dict[str, Any] = {}
    matrix: dict[str, Any] = {}
    exclude: list[dict[str, Any]] = []
    seeds: Seeds
    profiles: dict[Name, ProfileForm] = {}
    endpoint: EndpointForm
    claims: list[ClaimForm] = []
    report: ReportForm = ReportForm()


_PLACEHOLDERS: dict[str, Any] = {
    "version": 1,
    "name": "placeholder",
    "question": "?",
    "seeds": 1,
    "endpoint": {"metric": "test_accuracy", "head": "trained", "steps": 0, "at": "last", "window": 1},
}


def read_form(faults: Faults) -> tuple[SweepForm, frozenset[str]]:
    """Return the document's form and its faulty top-level keys.

    A faulty section is noted in `faults` and left empty in the form, so that the others can still be checked.
    """
    given = faults.document.value
    try:
        return SweepForm.model_validate(given), frozenset()
    except ValidationError as error:
        details = error.errors(include_url=False)
    for entry in details:
        _note(faults, entry)
    if not isinstance(given, dict):
        faults.raise_if_any()
    faulty = frozenset(str(entry["loc"][0]) for entry in details)
    sound = {key: value for key, value in given.items() if key not in faulty}
    return SweepForm.model_validate({**_PLACEHOLDERS, **sound}), faulty


def _note(faults: Faults, details: Any) -> None:
    place: Place = details["loc"]
    kind = details["type"]
    keys = tuple(step for step in place if isinstance(step, str))
    if not place:
        faults.add(place, f"a sweep file is a mapping that begins with version: 1, got {shown(details['input'])}")
    elif kind == "extra_forbidden":
        faults.add(place, _unknown_key(place), at_key=True)
    elif kind == "missing" and keys in _REQUIRED:
        faults.add(place, f"required and not given ({_REQUIRED[keys]})", at_key=True)
    elif place[-1:] == ("[key]",):  # pydantic's mark for a fault in a key of a dict
        faults.add(place[:-1], wording(details), at_key=True)
    else:
        faults.add(place, wording(details), at_key=kind == "missing")


def _unknown_key(place: Place) -> str:
    name = str(place[-1])
    if len(place) == 1 and name in (*FIELDS, "use"):
        return "a field of a trial belongs in fixed or matrix, not at the top"
    if place[0] == "profiles" and name in (*FIELDS, "use"):
        return "a field of a trial belongs in the profile's fixed"
    return f"unknown key; {suggest(name, _form_at(place[:-1]).model_fields)}"


def _form_at(place: Place) -> type[BaseModel]:
    match place:
        case ("endpoint",):
            return EndpointForm
        case ("claims", _):
            return ClaimForm
        case ("report",):
            return ReportForm
        case ("report", "tables", _):
            return TableForm
        case ("report", "figures", _):
            return FigureForm
        case ("profiles", _):
            return ProfileForm
    return SweepForm
