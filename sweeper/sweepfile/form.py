"""The form of a sweep file: its keys, which of them are required, and the type of each value.

Checks single values; `sweeper.sweepfile.sweep` checks what they mean together.
"""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from analysis.contract.question import BEST_VAL, FigureKind, Word
from sweeper.errors import shown, suggest
from sweeper.sweepfile.fields import Fields
from sweeper.sweepfile.search_form import REQUIRED, SearchForm, form_at
from sweeper.sweepfile.wording import wording
from sweeper.sweepfile.yaml_source import Faults, Place
from trainers.trainer import DEFAULT, WHOLE, Trainer

MOST_SEEDS = 10_000

_REQUIRED = {
    ("version",): "version: 1",
    ("name",): "1 to 64 of a-z, 0-9, _ and -; it names the experiment",
    ("question",): "one sentence, the question that the grid answers",
    ("seeds",): "a count, or a list of seeds",
    ("endpoint", "at"): "last, best val, or a list of outer steps",
    ("endpoint", "window"): "how many evaluations are averaged",
    ("report", "tables", "rows"): "a list of axes",
    ("report", "tables", "columns"): "one axis",
    ("report", "figures", "kind"): "line, curves, differences, cosine, shares or feature_space",
    ("report", "figures", "x"): "one axis",
    ("claims", "says"): "the sentence, as a reader would say it",
    ("claims", "source"): "where the paper says so",
    ("claims", "kind"): "effect, equivalence or interaction",
    ("claims", "of"): "the labels and readings of one side",
    ("claims", "minus"): "the labels and readings of the other side",
    ("claims", "expected"): "positive or negative, the sign that the paper claims",
    ("claims", "between"): "two mappings, the cells between which the contrast differs",
    **REQUIRED,
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


def _at(given: Any) -> tuple[int, ...] | Word:
    if given in ("last", BEST_VAL):
        return given
    if not isinstance(given, list) or not given:
        words = f"must be last, {BEST_VAL}, or a list of distinct outer steps from 1"
        raise ValueError(f"{words}, got {shown(given)}")
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


At = Annotated[Any, AfterValidator(_at)]


class EndpointForm(_Form):
    """`endpoint:`; further keys are the coordinates of the metric, which `readings` checks."""

    model_config = ConfigDict(extra="allow")

    metric: Any
    at: At
    window: Annotated[int, Field(ge=1)]
    trainers: dict[str, dict[str, Any]] = {}


class ReadingForm(_Form):
    """The keys by which a table, a figure or one side of a claim may override the endpoint; coordinates are further."""

    model_config = ConfigDict(extra="allow")

    metric: Any = None
    at: At = None
    window: Annotated[int | None, Field(ge=1)] = None
    trainers: dict[str, dict[str, Any]] = {}


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
    margin: Annotated[float | None, Field(gt=0, allow_inf_nan=False)] = None
    primary: bool = True


class ProfileForm(_Form):
    """One named variant of the grid under `profiles:`."""

    fixed: dict[str, Any] = {}
    matrix: dict[str, Any] = {}
    include: list[dict[str, Any]] = []
    seeds: Seeds = None  # None: the sweep's seeds
    slurm: dict[str, Any] = {}


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
    trainer: Any = DEFAULT
    fixed: dict[str, Any] = {}
    matrix: dict[str, Any] = {}
    when: dict[str, dict[str, Any]] = {}
    exclude: list[dict[str, Any]] = []
    include: list[dict[str, Any]] = []
    seeds: Seeds
    profiles: dict[Name, ProfileForm] = {}
    search: SearchForm | None = None
    endpoint: EndpointForm
    claims: list[ClaimForm] = []
    report: ReportForm = ReportForm()


_PLACEHOLDERS: dict[str, Any] = {
    "version": 1,
    "name": "placeholder",
    "question": "?",
    "seeds": 1,
}


def placeholder(fields: Fields) -> dict[str, Any]:
    """Return an endpoint that the trainer may measure, which stands for a faulty one while the rest is checked."""
    first, *others = map(_any_number, fields.trainers)
    own = {trainer.name: number for trainer, number in zip(fields.trainers[1:], others, strict=True)}
    return {**first, "at": "last", "window": 1, **({"trainers": own} if own else {})}


def _any_number(trainer: Trainer) -> dict[str, Any]:
    """Return a metric of `trainer` with its coordinates."""
    name, metric = next(iter(trainer.metrics.items()))
    return {"metric": name} | {key: 0 if of[0] == WHOLE else of[0] for key, of in metric.coordinates.items()}


def read_form(faults: Faults, fields: Fields) -> tuple[SweepForm, frozenset[str]]:
    """Return the document's form and its faulty top-level keys.

    A faulty section is noted in `faults` and left empty in the form, so that the others can still be checked.
    """
    given = faults.document.value
    if isinstance(given, dict) and given.get("search") is not None:
        given = _with_search(faults, fields, given)
    faulty = _check_readings(faults, fields, given)
    try:
        form = SweepForm.model_validate(given)
        if not faulty:
            return form, frozenset()
    except ValidationError as error:
        details = error.errors(include_url=False)
        for entry in details:
            _note(faults, fields, entry)
        faulty |= {str(entry["loc"][0]) for entry in details if entry["loc"]}
    if not isinstance(given, dict):
        faults.raise_if_any()
    sound = {key: value for key, value in given.items() if key not in faulty}
    return SweepForm.model_validate({**_PLACEHOLDERS, "endpoint": placeholder(fields), **sound}), frozenset(faulty)


def _with_search(faults: Faults, fields: Fields, given: dict[str, Any]) -> dict[str, Any]:
    """Return the document with a stand-in for the endpoint, which a searched sweep doesn't give."""
    for key, why in _NOT_WITH_SEARCH.items():
        if key in given:
            faults.add((key,), f"has no place beside search: {why}; leave it out", at_key=True)
    kept = {key: value for key, value in given.items() if key not in _NOT_WITH_SEARCH}
    return {**kept, "endpoint": placeholder(fields)}


_NOT_WITH_SEARCH = {
    "endpoint": "search.metric says what is compared, and search.confirm what answers the question",
    "claims": "a claim compares means over seeds, and searched trials are never averaged",
    "report": "a search has its own tables and figures",
}


def _check_readings(faults: Faults, fields: Fields, given: Any) -> set[str]:
    """Note each key of a reading that is neither one of its form nor a coordinate of a metric.

    Returns the top-level keys that have such a fault.
    """
    coordinates, faulty = fields.coordinates, set[str]()
    for place, form in _readings(given):
        value = given
        for step in place:
            value = value[step]
        for name in value if isinstance(value, dict) else ():
            keys = [key for key in form.model_fields if fields.several or key != "trainers"]
            if name not in (*keys, *coordinates):
                others = [key for key in keys if key != "metric"]
                hint = suggest(name, ["metric", *coordinates, *others])
                faults.add((*place, name), f"unknown key; {hint}", at_key=True)
                faulty.add(str(place[0]))
    return faulty


def _readings(given: Any) -> Iterator[tuple[Place, type[BaseModel]]]:
    if not isinstance(given, dict):
        return
    if "endpoint" in given:
        yield ("endpoint",), EndpointForm
    report = given.get("report")
    for key, form in (("tables", TableForm), ("figures", FigureForm)):
        entries = report.get(key) if isinstance(report, dict) else None
        for number in range(len(entries) if isinstance(entries, list) else 0):
            yield ("report", key, number), form


def _note(faults: Faults, fields: Fields, details: Any) -> None:
    place: Place = details["loc"]
    kind = details["type"]
    keys = tuple(step for step in place if isinstance(step, str))
    if not place:
        faults.add(place, f"a sweep file is a mapping that begins with version: 1, got {shown(details['input'])}")
    elif kind == "extra_forbidden":
        faults.add(place, _unknown_key(place, fields), at_key=True)
    elif kind == "missing" and keys[:1] == ("endpoint",) and keys[1:] in ((), ("metric",)):
        faults.add(place, f"required and not given ({_endpoint_of(fields, *keys[1:])})", at_key=True)
    elif kind == "missing" and keys in _REQUIRED:
        faults.add(place, f"required and not given ({_REQUIRED[keys]})", at_key=True)
    elif place[-1:] == ("[key]",):  # pydantic's mark for a fault in a key of a dict
        faults.add(place[:-1], wording(details), at_key=True)
    else:
        faults.add(place, wording(details), at_key=kind == "missing")


def _endpoint_of(fields: Fields, key: str = "") -> str:
    """Return what `endpoint:` holds, or its `metric`, in words."""
    metrics = fields.metrics
    if key == "metric":
        plain = [name for name, metric in metrics.items() if metric.measured != "probes"]
        return " or ".join([", ".join(plain[:-1]), plain[-1]] if plain[1:] else plain)
    return f"{', '.join(['metric', *fields.coordinates, 'at'])} and window, declared before the sweep runs"


def _unknown_key(place: Place, fields: Fields) -> str:
    name = str(place[-1])
    if len(place) == 1 and name in (*fields.names, "use"):
        return "a field of a trial belongs in fixed or matrix, not at the top"
    if place[0] == "profiles" and name in (*fields.names, "use"):
        return "a field of a trial belongs in the profile's fixed"
    return f"unknown key; {suggest(name, _form_at(place[:-1]).model_fields)}"


def _form_at(place: Place) -> type[BaseModel]:
    if (form := form_at(place)) is not None:
        return form
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
