"""The identity of a trial: a hash of its config, its data and its recipe. Names, order and length are not in it."""

import hashlib
import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from sweeper.planning.grid import DEFAULTS
from trainers.maml.config import TrialConfig

_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False)


_NO_DEFAULT = object()


_IDENTIFYING = {
    name: DEFAULTS[name].value if name in DEFAULTS else _NO_DEFAULT
    for name in TrialConfig.model_fields
    if name not in ("outer_steps", "eval_steps", "seed")
}
"""The fields of the identity, each with the default value for which it is left out."""


def identity(config: TrialConfig) -> dict[str, Any]:
    """Return the fields of `config` that identify it, without the seed: those that differ from their defaults.

    `outer_steps` is left out, since a trial can be continued. `eval_steps` is left out if it equals `inner_steps`,
    since null means the same.
    """
    values = vars(config)
    fields = {name: values[name] for name, left_out in _IDENTIFYING.items() if values[name] != left_out}
    if config.scored_steps != config.inner_steps:
        fields["eval_steps"] = config.scored_steps
    return fields


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
