"""A trainer as stored data: enough to plan, to name its metrics and to read its records where its code is absent.

Never imports or runs code that a description names.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict

from trainers.fields import Field, fields_as_json, fields_from_mapping, fields_of, finite, model_of, shown
from trainers.metrics import metrics_as_json, metrics_of
from trainers.plain_fields import plain_fields
from trainers.readings import ReadingsTrainer
from trainers.trainer import Chunk, Task, Trainer, TrainerError

FORM = 1
LONGEST_NAME = 10_000
MOST = 1000
LARGEST_SCHEMA = 100_000
_KEYS = ("form", "name", "fields", "length", "packable", "protocols", "metrics", "records", "resumes")


def describe(trainer: Trainer) -> dict[str, Any]:
    """Return what `from_description` needs to know of `trainer`, as JSON data."""
    owner = f"trainer {trainer.name}"
    return {
        "form": FORM,
        "name": trainer.name,
        "fields": fields_as_json(fields_of(trainer.config, owner)),
        "length": trainer.length,
        "packable": sorted(trainer.packable),
        "protocols": {name: dict(values) for name, values in trainer.protocols.items()},
        "metrics": metrics_as_json(trainer.metrics),
        "records": {name: form.model_json_schema() for name, form in sorted(trainer.records.items())},
        "resumes": trainer.resumes,
    }


def from_description(given: Mapping[str, Any]) -> "DescribedTrainer":
    """Return the trainer that `describe` has described. Raises TrainerError for data that it does not write."""
    if not isinstance(given, Mapping):
        raise TrainerError(f"description of a trainer: must be a mapping, got {shown(given)}")
    name = given.get("name")
    if not isinstance(name, str) or not 1 <= len(name) <= LONGEST_NAME or not name.isprintable():
        raise TrainerError(f"description of a trainer: name must be one line of text, got {shown(name)}")
    owner = f"description of trainer {shown(name)}"
    if given.get("form") != FORM or isinstance(given["form"], bool):
        raise TrainerError(f"{owner}: form must be {FORM}, got {shown(given.get('form'))}; a newer sweeper may read it")
    if set(given) != set(_KEYS):
        raise TrainerError(f"{owner}: must have the keys {', '.join(_KEYS)}, got {shown(sorted(map(str, given)))}")
    length, resumes = given["length"], given["resumes"]
    if length is not None and not isinstance(length, str):
        raise TrainerError(f"{owner}: length must be the name of a field or null, got {shown(length)}")
    if not isinstance(resumes, bool):
        raise TrainerError(f"{owner}: resumes must be true or false, got {shown(resumes)}")
    fields = plain_fields(owner, fields_from_mapping(given["fields"], owner), length)
    packable = _names(owner, "packable", given["packable"])
    unknown = [name for name in packable if name not in fields]
    if unknown:
        raise TrainerError(f"{owner}: packable names {shown(unknown[0])}, which is no field")
    return DescribedTrainer(
        name=name,
        fields=fields,
        length=length,
        packable=frozenset(packable),
        protocols=_protocols(owner, fields, given["protocols"]),
        metrics=metrics_of(given["metrics"], owner),
        records=_forms(owner, given["records"]),
        resumes=resumes,
    )


class Recalled(NamedTuple):
    """What only a trainer's code can say of a config, as trials of that config have noted it."""

    dataset: str
    digest: str
    recipe: Mapping[str, int]


Recall = Callable[[Mapping[str, Any]], Recalled | None]
"""Returns what is noted for the values of a config, or None. Trials of one config may differ in seed and length."""


RecallSearch = Callable[[Mapping[str, Any]], Mapping[str, Any] | None]
"""Returns the facts that the journal of a search has noted, by those that need no code; None if there is none."""


def _nothing(values: Mapping[str, Any]) -> None:
    return None


class _Described(BaseModel):
    """The value of a kind of record whose form is kept as a JSON schema, for who reads the records. It checks nothing.

    A schema from elsewhere is not applied: it could ask for hours of work.
    """

    model_config = ConfigDict(extra="allow", strict=True, frozen=True, allow_inf_nan=False)


def _forms(owner: str, given: Any) -> dict[str, type[BaseModel]]:
    if not isinstance(given, Mapping) or len(given) > MOST or not all(_is_name(name) for name in given):
        raise TrainerError(f"{owner}: records must be a mapping of names to JSON schemas, got {shown(given)}")
    for name, schema in given.items():
        if not isinstance(schema, Mapping) or len(json.dumps(schema)) > LARGEST_SCHEMA:
            most = f"a JSON schema of at most {LARGEST_SCHEMA} characters"
            raise TrainerError(f"{owner}: the form of records {name} must be {most}, got {shown(schema)}")
    return {name: _form(dict(schema)) for name, schema in given.items()}


def _form(schema: dict[str, Any]) -> type[BaseModel]:
    def model_json_schema(cls: type[BaseModel], *arguments: Any, **options: Any) -> dict[str, Any]:
        return schema

    return type("Value", (_Described,), {"model_json_schema": classmethod(model_json_schema)})


class DescribedTrainer(ReadingsTrainer):
    """A trainer without its code: it does everything that needs no training."""

    def __init__(
        self,
        *,
        name: str,
        fields: Mapping[str, Field],
        length: str | None,
        packable: frozenset[str],
        protocols: Mapping[str, Mapping[str, Any]],
        metrics: Mapping[str, Any],
        records: Mapping[str, type[BaseModel]],
        resumes: bool,
    ) -> None:
        self.recall: Recall = _nothing
        self.recall_search: RecallSearch = _nothing
        self._digests: dict[str, str] = {}
        self.name = name
        self.config = model_of("Config", fields)
        self.length = length
        self.packable = packable
        self.protocols = protocols
        self.metrics = metrics
        self.records = records
        self.resumes = resumes

    def __repr__(self) -> str:
        return f"<description of trainer {self.name}>"

    def code(self) -> str:
        return ""

    def recipe(self, config: BaseModel) -> Mapping[str, int]:
        """Return the recipe that trials of `config` have noted, none for a config that nobody has trained."""
        noted = self.recall(vars(config))
        return {} if noted is None else noted.recipe

    def dataset(self, config: BaseModel) -> str:
        noted = self.recall(vars(config))
        if noted is None:
            return ""
        self._digests[noted.dataset] = noted.digest
        return noted.dataset

    def digest(self, dataset: str) -> str:
        return self._digests.get(dataset, "")

    def _absent(self) -> TrainerError:
        return TrainerError(
            f"trainer {self.name}: only its description is here, so it can't train; put its code where the sweep file "
            "says, and check that it can be imported"
        )

    def cannot_treat(self, engine: str, config: BaseModel, device: str) -> str:
        return str(self._absent())

    def engine(self, config: BaseModel, device: str) -> str:
        raise ValueError(str(self._absent()))

    def make_ready(self, device: str, threads: int, share: float) -> None:
        raise self._absent()

    def train(self, task: Task) -> Iterator[Chunk]:
        raise self._absent()


def _names(owner: str, key: str, given: Any) -> list[str]:
    if not isinstance(given, list) or len(given) > MOST or not all(_is_name(name) for name in given):
        raise TrainerError(f"{owner}: {key} must be a list of names, got {shown(given)}")
    return given


def _is_name(name: Any) -> bool:
    return isinstance(name, str) and 1 <= len(name) <= 100 and name.isprintable()


def _protocols(owner: str, fields: Mapping[str, Field], given: Any) -> dict[str, dict[str, Any]]:
    if not isinstance(given, Mapping) or len(given) > MOST:
        raise TrainerError(f"{owner}: protocols must be a mapping of names to values, got {shown(given)}")
    for name, values in given.items():
        if not _is_name(name) or not isinstance(values, Mapping) or not all(key in fields for key in values):
            raise TrainerError(f"{owner}: protocol {shown(name)} must map fields to values, got {shown(values)}")
        if not all(value is None or isinstance(value, str | bool) or finite(value) for value in values.values()):
            raise TrainerError(f"{owner}: protocol {shown(name)} has a value that is not plain, in {shown(values)}")
    return {name: dict(values) for name, values in given.items()}
