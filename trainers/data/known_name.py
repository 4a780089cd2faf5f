"""The type of the field `dataset` in a config: the name of a data set, built in or added on this machine."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import PydanticCustomError, core_schema

from trainers.data import facts
from trainers.data.added.description import NAME
from trainers.data.archives import DataError
from trainers.data.facts import BUILT_IN

MOST_NAMED = 20


@dataclass(frozen=True)
class Known:
    """The check that a text names a data set. In a schema, any other name of the right form may be of an added set."""

    def names(self) -> tuple[str, ...]:
        """Return all names that are known here."""
        return facts.names()

    def check(self, name: str) -> str:
        try:
            if facts.is_known(name):
                return name
            allowed = _listed([f"'{one}'" for one in self.names()[:MOST_NAMED]])
        except DataError as error:
            raise PydanticCustomError("damaged_dataset", "{why}", {"why": str(error)}) from None
        raise PydanticCustomError("unknown_dataset", "Input should be {expected}", {"expected": allowed})

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.no_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {"anyOf": [{"enum": list(BUILT_IN)}, {"type": "string", "pattern": f"^{NAME.pattern}$"}]}


KnownName = Annotated[str, Known()]


def _listed(words: Sequence[str]) -> str:
    return f"{', '.join(words[:-1])} or {words[-1]}"


def how_to_add(name: str) -> str:
    """Return what to do about a name that no data set has."""
    return f"add it with `sweeper data add {name} FOLDER`" if NAME.fullmatch(name) else ""
