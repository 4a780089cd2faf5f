"""The identity of a trial: a hash of its config, its data and its recipe. Names, order and length are not in it."""

import hashlib
import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from pydantic import BaseModel

from sweeper.sweepfile.fields import SEED
from trainers.trainer import DEFAULT, Trainer

TRAINER = "@trainer"
"""The entry of an identity that names its trainer. No field of a config can have this name."""
_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False)


def identity(trainer: Trainer, config: BaseModel) -> dict[str, Any]:
    """Return the fields of `config` that identify it, without the seed and without the length, which may grow.

    The first trainer leaves out what equals a default, and so its defaults may never change. All others have every
    field in it, and their name: two trainers, or an edited default, never share an identity.
    """
    if trainer.name == DEFAULT:
        return _of_the_first(trainer, config)
    fields = {name: value for name, value in config if name not in (SEED, trainer.length)}
    return {TRAINER: trainer.name, **fields}


def _of_the_first(trainer: Trainer, config: BaseModel) -> dict[str, Any]:
    """Return the fields that differ from their defaults.

    `eval_steps` is left out if it equals `inner_steps`, since null means the same.
    """
    values = vars(config)
    left_out = _left_out(trainer.config, trainer.length)
    fields = {name: values[name] for name, default in left_out.items() if values[name] != default}
    if fields.pop("eval_steps", values["inner_steps"]) != values["inner_steps"]:
        fields["eval_steps"] = values["eval_steps"]
    return fields


_NO_DEFAULT = object()


@lru_cache(maxsize=1)
def _left_out(config: type[BaseModel], length: str | None) -> Mapping[str, Any]:
    """Return the fields of the first trainer's identity, each with the default value for which it is left out."""
    return {
        name: _NO_DEFAULT if field.is_required() else field.default
        for name, field in config.model_fields.items()
        if name not in (SEED, length)
    }


def identify(fields: Mapping[str, Any]) -> str:
    """Return 16 hex digits of the sha256 of `fields` as JSON with sorted keys, no spaces and floats by repr."""
    return _hash(",".join(_members(fields)))


def _members(fields: Mapping[str, Any]) -> list[str]:
    return [_member(name, type(fields[name]).__name__, fields[name]) for name in sorted(fields)]


@lru_cache(maxsize=100_000)
def _member(name: str, kind: str, value: Any) -> str:
    """Return `"name":value` in canonical JSON; `kind` keeps 1, 1.0 and True apart, which are equal as cache keys."""
    return _CANONICAL.encode({name: value})[1:-1]


def _hash(members: str) -> str:
    return hashlib.sha256(f"{{{members}}}".encode("ascii")).hexdigest()[:16]


def trial_id(*, point: str, digest: str, recipe: Mapping[str, int]) -> str:
    """Return the id, 16 hex digits, of the trial with config `point` on data with `digest` by `recipe`."""
    return _hash(f'{_member("digest", "str", digest)},"point":"{point}","recipe":{{{",".join(_members(recipe))}}}')
