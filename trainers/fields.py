"""Config fields as plain descriptions, and the frozen strict pydantic model that they describe.

A description comes from a dataclass, a pydantic model, a mapping in a sweep file, or stored JSON, and goes back to
JSON. Knows numbers, texts, true or false and null alone, so that each value has one spelling in a sweep file.
"""

import dataclasses
import math
import re
import types
import typing
from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Annotated, Any, Literal, cast, get_args, get_origin

import annotated_types
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    TypeAdapter,
    ValidationError,
    create_model,
)
from pydantic import Field as PydanticField
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError, PydanticUndefined, core_schema

from trainers.trainer import ConfigError, Problem, TrainerError

Kind = Literal["int", "float", "str", "bool"]
Scalar = int | float | str | bool | None

LONGEST_TEXT = 2000  # characters of a value
MOST_FIELDS = 1000
MOST_CHOICES = 1000
_TYPES: Mapping[str, type] = {"int": int, "float": float, "str": str, "bool": bool}
_BOUNDS = ("ge", "gt", "le", "lt")
_SIGNS = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}
_KEYS = ("type", "nullable", "default", *_BOUNDS, "choices", "description")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}", re.ASCII)
_TAKEN = frozenset({"use", *(name for name in dir(BaseModel) if name.startswith("model_"))})
_PLAIN = "int, float, str or bool, one of these or None, or a Literal of them"


class Required(Enum):
    """Stands for the default of a field that must be given."""

    REQUIRED = "required"


REQUIRED = Required.REQUIRED


@dataclasses.dataclass(frozen=True, kw_only=True)
class Field:
    """One field of a config. Its value is of `type`, or None if `nullable`, within the bounds or among the choices."""

    type: Kind
    nullable: bool = False
    default: Scalar | Required = REQUIRED
    ge: int | float | None = None
    gt: int | float | None = None
    le: int | float | None = None
    lt: int | float | None = None
    choices: tuple[Scalar, ...] = ()
    description: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return the description as a sweep file would give it; what it does not restrict is absent."""
        found: dict[str, Any] = {"type": self.type}
        if self.nullable:
            found["nullable"] = True
        if self.default is not REQUIRED:
            found["default"] = self.default
        found |= {name: getattr(self, name) for name in _BOUNDS if getattr(self, name) is not None}
        if self.choices:
            found["choices"] = list(self.choices)
        return found | ({"description": self.description} if self.description else {})


def fields_as_json(fields: Mapping[str, Field]) -> dict[str, dict[str, Any]]:
    """Return the descriptions of `fields` as `fields_from_mapping` reads them."""
    return {name: field.as_json() for name, field in fields.items()}


def fields_from_mapping(given: Any, owner: str) -> dict[str, Field]:
    """Return the fields that a mapping describes: names to {type: float, ge: 0, ...}, or to a type's name alone.

    Raises TrainerError, with `owner` and the place, for the first description that can't be understood.
    """
    if not isinstance(given, Mapping):
        raise TrainerError(f"{owner}: fields must be a mapping of names to descriptions, got {shown(given)}")
    if len(given) > MOST_FIELDS:
        raise TrainerError(f"{owner}: {len(given)} fields; at most {MOST_FIELDS} are allowed")
    return {name: _field(owner, name, {"type": one} if isinstance(one, str) else one) for name, one in given.items()}


def fields_of(config: type, owner: str) -> dict[str, Field]:
    """Return the fields of a dataclass or a pydantic model. Raises TrainerError for one that is no plain type."""
    if isinstance(config, type) and issubclass(config, BaseModel):
        found = {name: _from_info(owner, name, info) for name, info in config.model_fields.items()}
    elif hasattr(config, "__pydantic_fields__"):  # a dataclass of pydantic
        found = {name: _from_info(owner, name, info) for name, info in config.__pydantic_fields__.items()}
    elif isinstance(config, type) and dataclasses.is_dataclass(config):
        found = _from_dataclass(owner, config)
    else:
        raise TrainerError(f"{owner}: its config must be a dataclass or a pydantic model, got {shown(config)}")
    return {name: _field(owner, name, given) for name, given in found.items()}


def model_of(name: str, fields: Mapping[str, Field]) -> type[BaseModel]:
    """Return a frozen, strict model of `fields` that forbids others."""
    import warnings

    with warnings.catch_warnings():  # a field may be called copy or json: configs are read by vars and model_dump
        warnings.filterwarnings("ignore", message="Field name .* shadows an attribute", category=UserWarning)
        definitions: dict[str, Any] = {field: _definition(one) for field, one in fields.items()}
        model = create_model(name, __config__=_CONFIG, **definitions)
    return cast(type[BaseModel], model)


_CONFIG = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False, protected_namespaces=())


def resolve(model: type[BaseModel], values: Mapping[str, Any]) -> BaseModel:
    """Return the config of `values`. Raises ConfigError with every field that is unknown, missing or out of bounds."""
    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        raise ConfigError(problems_of(error)) from None


def problems_of(error: ValidationError) -> tuple[Problem, ...]:
    """Return pydantic's faults of a config, each with its field and a sentence with the value."""
    return tuple(_problem(details) for details in error.errors(include_url=False))


def _problem(details: Any) -> Problem:
    field = str(details["loc"][0]) if details["loc"] else ""
    if details["type"] == "extra_forbidden":
        return Problem(field, "unknown field")
    if details["type"] == "missing":
        return Problem(field, "required and not given")
    message = details["msg"].removeprefix("Input ").removeprefix("Value error, ")
    if details["type"] == "damaged_dataset":
        return Problem(field, message)
    return Problem(field, f"{message}, got {shown(details['input'])}" if field else message)


def shown(value: Any) -> str:
    """Return `value` for a message, cut to 200 characters."""
    try:
        text = repr(value)
    except Exception:  # a repr of a stranger's class, or an int of thousands of digits
        text = f"a {type(value).__name__}"
    text = " ".join(text.split()) if "\n" in text else text  # the repr of an array has lines
    return text if len(text) <= 200 else f"{text[:197]}..."


def _field(owner: str, name: Any, given: Any) -> Field:
    """Return the field that `given` describes, after checking all of it."""
    if not isinstance(name, str) or not _NAME.fullmatch(name) or name in _TAKEN:
        raise TrainerError(
            f"{owner}: a field may not be called {shown(name)}; a name is a letter and at most 63 more letters, digits "
            "or _, and neither use nor a method of pydantic"
        )
    place = f"{owner}: field {name}"
    if not isinstance(given, Mapping):
        raise TrainerError(f"{place}: must be a mapping such as {{type: float, ge: 0}}, got {shown(given)}")
    for key in given:
        if key not in _KEYS:
            raise TrainerError(f"{place}: unknown key {shown(key)}; known are {', '.join(_KEYS)}")
    kind = given.get("type")
    if not isinstance(kind, str) or kind not in _TYPES:
        raise TrainerError(f"{place}: type must be {', '.join(_TYPES)}, got {shown(kind)}")
    nullable, description = given.get("nullable", False), given.get("description", "")
    if not isinstance(nullable, bool):
        raise TrainerError(f"{place}: nullable must be true or false, got {shown(nullable)}")
    if not isinstance(description, str) or len(description) > LONGEST_TEXT:
        raise TrainerError(f"{place}: description must be a text of up to {LONGEST_TEXT} characters")
    bare = Field(type=cast(Kind, kind), nullable=nullable, description=description)
    field = dataclasses.replace(bare, **_bounds(place, kind, given), choices=_choices(place, kind, given))
    if field.choices and any(getattr(field, bound) is not None for bound in _BOUNDS):
        raise TrainerError(f"{place}: has choices and bounds; give one of the two")
    if "default" not in given:
        return field
    return dataclasses.replace(field, default=_default(place, field, given["default"]))


def _bounds(place: str, kind: str, given: Mapping[str, Any]) -> dict[str, Any]:
    bounds = {name: given[name] for name in _BOUNDS if given.get(name) is not None}
    for name, bound in bounds.items():
        if kind not in ("int", "float"):
            raise TrainerError(f"{place}: {name} is for numbers, and its type is {kind}")
        bounds[name] = _one(f"{place}: {name}", kind, bound)
    for low, high in ((low, high) for low in ("ge", "gt") for high in ("le", "lt") if {low, high} <= bounds.keys()):
        open_end = low == "gt" or high == "lt"
        if bounds[low] > bounds[high] or (open_end and bounds[low] == bounds[high]):
            raise TrainerError(f"{place}: {_SIGNS[low]} {bounds[low]} and {_SIGNS[high]} {bounds[high]} leave no value")
    return bounds


def _choices(place: str, kind: str, given: Mapping[str, Any]) -> tuple[Scalar, ...]:
    if given.get("choices") is None:
        return ()
    choices = given["choices"]
    if not isinstance(choices, list | tuple) or not 1 <= len(choices) <= MOST_CHOICES:
        raise TrainerError(f"{place}: choices must be a list of 1 to {MOST_CHOICES} values, got {shown(choices)}")
    found = tuple(_one(f"{place}: choices", kind, choice) for choice in choices)
    twice = [choice for index, choice in enumerate(found) if choice in found[:index]]
    if twice:
        raise TrainerError(f"{place}: choice {shown(twice[0])} is given twice; keep one")
    return found


def _one(place: str, kind: str, value: Any) -> Any:
    """Return a value of `kind` alone, without bounds or choices."""
    return _valid(place, Field(type=cast(Kind, kind)), value)


def _default(place: str, field: Field, value: Any) -> Scalar:
    return cast(Scalar, _valid(f"{place}: default", field, value))


def _valid(place: str, field: Field, value: Any) -> Any:
    try:
        return TypeAdapter(_annotation(field), config=_CONFIG).validate_python(value)
    except ValidationError as error:
        message = error.errors(include_url=False)[0]["msg"].removeprefix("Input ")
        raise TrainerError(f"{place}: {message}, got {shown(value)}") from None


def _definition(field: Field) -> tuple[Any, Any]:
    default = ... if field.default is REQUIRED else field.default
    return _annotation(field), PydanticField(default, description=field.description or None)


def _annotation(field: Field) -> Any:
    """Return the type of the field's value, for pydantic."""
    base: Any = _TYPES[field.type] | None if field.nullable else _TYPES[field.type]
    checks: list[Any] = [Among(field.choices)] if field.choices else []
    bounds = {name: getattr(field, name) for name in _BOUNDS if getattr(field, name) is not None}
    if field.type == "float":
        checks = [PydanticField(allow_inf_nan=False, **bounds), AfterValidator(_positive_zero), *checks]
    elif field.type == "str" and not field.choices:
        checks = [PydanticField(max_length=LONGEST_TEXT)]
    elif bounds:
        checks = [PydanticField(**bounds)]
    return Annotated[(base, *checks)] if checks else base


def _positive_zero(value: float | None) -> float | None:
    """Return 0.0 for -0.0, which is the same number and must give the same identity."""
    return None if value is None else value + 0.0


@dataclasses.dataclass(frozen=True)
class Among:
    """The check that pydantic's Literal makes. That one has no floats, takes true for 1, and forgets the order."""

    choices: tuple[Scalar, ...]

    def check(self, value: Any) -> Any:
        if value is not None and value not in self.choices:
            words = [repr(choice) for choice in self.choices]
            expected = words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"
            raise PydanticCustomError("literal_error", "Input should be {expected}", {"expected": expected})
        return value

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.no_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {**handler(schema), "enum": list(self.choices)}


def _from_dataclass(owner: str, config: type) -> dict[str, dict[str, Any]]:
    try:
        hints = typing.get_type_hints(config, include_extras=True)
    except Exception as error:  # a type that does not exist raises what its expression raises
        raise TrainerError(f"{owner}: the types of {config.__name__} can't be read ({error})") from None
    found = {}
    for field in dataclasses.fields(config):
        if not field.init:
            continue
        given = _described(owner, field.name, hints[field.name])
        given |= {key: value for key, value in field.metadata.items() if key in _KEYS and key != "type"}
        if field.default_factory is not dataclasses.MISSING:
            raise TrainerError(f"{owner}: field {field.name}: has a default_factory; give its default as a value")
        if field.default is not dataclasses.MISSING:
            given["default"] = field.default
        found[field.name] = given
    return found


def _from_info(owner: str, name: str, info: FieldInfo) -> dict[str, Any]:
    if info.alias is not None or info.validation_alias is not None:
        raise TrainerError(f"{owner}: field {name}: has an alias; a sweep file knows a field by one name, so remove it")
    given = _described(owner, name, info.annotation) | _of_metadata(info.metadata)
    if info.default_factory is not None:
        raise TrainerError(f"{owner}: field {name}: has a default_factory; give its default as a value")
    if info.default is not PydanticUndefined:
        given["default"] = info.default
    return given | ({"description": info.description} if info.description else {})


def _described(owner: str, name: str, annotation: Any) -> dict[str, Any]:
    """Return what an annotation says of a field."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _described(owner, name, arguments[0]) | _of_metadata(arguments[1:])
    if origin in (typing.Union, types.UnionType):
        others = [argument for argument in arguments if argument is not type(None)]
        if len(others) == 1:
            return _described(owner, name, others[0]) | {"nullable": True}
    elif origin is Literal:
        values = [value for value in arguments if value is not None]
        kinds = {type(value).__name__ for value in values}
        if len(kinds) == 1 and kinds <= _TYPES.keys():
            null = {"nullable": True} if None in arguments else {}
            return {"type": kinds.pop(), "choices": values} | null
    elif annotation in _TYPES.values():
        return {"type": annotation.__name__}
    named = getattr(annotation, "__name__", None) if isinstance(annotation, type) and not arguments else None
    raise TrainerError(
        f"{owner}: field {name}: {named or shown(annotation)} is no plain type; use {_PLAIN}, so that a sweep file can "
        "give its values"
    )


def _of_metadata(metadata: Iterable[Any]) -> dict[str, Any]:
    """Return bounds and the description among the annotations of a type; others stay with the user's own class."""
    given: dict[str, Any] = {}
    for entry in metadata:
        if isinstance(entry, FieldInfo):
            given |= _of_metadata(entry.metadata) | ({"description": entry.description} if entry.description else {})
        elif isinstance(entry, annotated_types.GroupedMetadata):
            given |= _of_metadata(entry)
        elif isinstance(entry, Among):
            given["choices"] = entry.choices
        for key, kind in _CONSTRAINTS:
            if isinstance(entry, kind):
                given[key] = getattr(entry, key)
    return given


_CONSTRAINTS: tuple[tuple[str, type], ...] = (
    ("ge", annotated_types.Ge), ("gt", annotated_types.Gt), ("le", annotated_types.Le), ("lt", annotated_types.Lt)
)  # fmt: skip


def finite(value: Any) -> bool:
    """Return whether `value` is a number, neither true nor false, that is finite as a float."""
    try:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:
        return False
