"""The fields of the trainers of a sweep, as its file sets them. Checks one field at a time, no combinations."""

from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache
from typing import Any, get_args

from pydantic import BaseModel, ConfigDict, create_model

from sweeper.sweepfile.yaml_source import Scalar
from trainers.trainer import Metric, Trainer

SEED = "seed"


class Fields:
    """The fields of `trainers` that `fixed` and axes may set, besides `use`: all but the seed.

    Most sweeps have one trainer, `trainer`. `apart` has the fields of each trainer alone.
    """

    def __init__(self, *trainers: Trainer) -> None:
        self.trainers = trainers
        self.trainer = trainers[0]
        self.apart: Sequence[Fields] = (self,) if not trainers[1:] else tuple(Fields(one) for one in trainers)

    @property
    def several(self) -> bool:
        """Whether the sweep has several trainers."""
        return len(self.trainers) > 1

    def of(self, trainer: Trainer) -> "Fields":
        """Return the fields of one of the trainers."""
        return next(own for own in self.apart if own.trainer.name == trainer.name)

    def having(self, name: str) -> "list[Fields]":
        """Return the fields of each trainer that has field `name`."""
        return [own for own in self.apart if name in own.trainer.config.model_fields]

    @cached_property
    def owner(self) -> str:
        """The trainers in words, as the subject of "has no field"."""
        names = [trainer.name for trainer in self.trainers]
        return f"trainer {names[0]}" if not names[1:] else f"none of the trainers {', '.join(names)}"

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The names of the fields, in the order of the configs."""
        every = dict.fromkeys(name for trainer in self.trainers for name in trainer.config.model_fields)
        return tuple(name for name in every if name != SEED)

    @cached_property
    def lengths(self) -> frozenset[str]:
        """The names of the fields that are the length of a trainer."""
        return frozenset(trainer.length for trainer in self.trainers if trainer.length is not None)

    @cached_property
    def protocols(self) -> tuple[str, ...]:
        """The names that `use:` accepts, sorted."""
        return tuple(sorted({name for trainer in self.trainers for name in trainer.protocols}))

    @cached_property
    def metrics(self) -> Mapping[str, Metric]:
        """The metrics of all trainers; of two with one name, that of the first trainer."""
        return {name: one for trainer in reversed(self.trainers) for name, one in trainer.metrics.items()}

    @cached_property
    def coordinates(self) -> tuple[str, ...]:
        """The names of the coordinates of all metrics."""
        every = (metric for trainer in self.trainers for metric in trainer.metrics.values())
        return tuple(dict.fromkeys(name for metric in every for name in metric.coordinates))

    def kinds(self, name: str) -> set[Any]:
        """Return the types of which a value of field `name` may be."""
        annotations = [own.trainer.config.model_fields[name].annotation for own in self.having(name)]
        return {kind for annotation in annotations for kind in (annotation, *get_args(annotation))}

    def takes_null(self, name: str) -> bool:
        """Return whether null is a value of field `name`."""
        return type(None) in self.kinds(name)

    def valid(self, name: str, value: Any) -> Scalar:
        """Return `value` as field `name` holds it: 1 becomes 1.0 for a rate. Raises pydantic's ValidationError.

        Where trainers hold it differently, it stays as it is given.
        """
        if self.several:
            found = [own.valid(name, value) for own in self.having(name)]
            alike = all(type(one) is type(found[0]) and one == found[0] for one in found)
            return found[0] if alike else value
        return getattr(_alone(self.trainer.config, name).model_validate({name: value}), name)

    @cached_property
    def defaults(self) -> Mapping[str, Scalar]:
        """The default value of every field of `trainer` that has one, the seed's included."""
        fields = self.trainer.config.model_fields.items()
        return {name: field.get_default(call_default_factory=True) for name, field in fields if not field.is_required()}


@lru_cache(maxsize=1024)
def _alone(config: type[BaseModel], name: str) -> type[BaseModel]:
    """Return a model of field `name` of `config` alone, which takes no other types than the field's."""
    field = config.model_fields[name]
    return create_model("Field", __config__=ConfigDict(strict=True), **{name: (field.annotation, field)})  # type: ignore[call-overload]  # names as keywords
