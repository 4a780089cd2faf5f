"""The fields of one trainer's config, as a sweep file sets them. Checks one field at a time, no combinations."""

from collections.abc import Mapping
from functools import cached_property
from typing import Any, get_args

from pydantic import BaseModel, ConfigDict, create_model

from sweeper.sweepfile.yaml_source import Scalar
from trainers.trainer import Trainer

SEED = "seed"


class Fields:
    """The fields of `trainer` that `fixed` and axes may set, besides `use`: all but the seed."""

    def __init__(self, trainer: Trainer) -> None:
        self.trainer = trainer
        self._models: dict[str, type[BaseModel]] = {}

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The names of the fields, in the config's order."""
        return tuple(name for name in self.trainer.config.model_fields if name != SEED)

    @cached_property
    def protocols(self) -> tuple[str, ...]:
        """The names that `use:` accepts, sorted."""
        return tuple(sorted(self.trainer.protocols))

    @cached_property
    def coordinates(self) -> tuple[str, ...]:
        """The names of the coordinates of all metrics."""
        return tuple(dict.fromkeys(name for metric in self.trainer.metrics.values() for name in metric.coordinates))

    def kinds(self, name: str) -> set[Any]:
        """Return the types of which a value of field `name` may be."""
        annotation = self.trainer.config.model_fields[name].annotation
        return {annotation, *get_args(annotation)}

    def takes_null(self, name: str) -> bool:
        """Return whether null is a value of field `name`."""
        return type(None) in self.kinds(name)

    def valid(self, name: str, value: Any) -> Scalar:
        """Return `value` as field `name` holds it: 1 becomes 1.0 for a rate. Raises pydantic's ValidationError."""
        if name not in self._models:
            field = self.trainer.config.model_fields[name]
            own = create_model("Field", __config__=ConfigDict(strict=True), **{name: (field.annotation, field)})  # type: ignore[call-overload]  # names as keywords
            self._models[name] = own
        return getattr(self._models[name].model_validate({name: value}), name)

    @cached_property
    def defaults(self) -> Mapping[str, Scalar]:
        """The default value of every field that has one, the seed's included."""
        fields = self.trainer.config.model_fields.items()
        return {name: field.get_default(call_default_factory=True) for name, field in fields if not field.is_required()}
