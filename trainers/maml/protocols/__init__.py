"""Protocols: named sets of config values that ship with the trainer, one YAML file each, named in `use:`.

They are defaults for a user; `maml.config` checks the values.
"""

from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import Any

from ruamel.yaml import YAML


@cache
def names() -> tuple[str, ...]:
    """Return the names that `use:` accepts, sorted."""
    files = (entry.name for entry in resources.files(__name__).iterdir())
    return tuple(sorted(name.removesuffix(".yaml") for name in files if name.endswith(".yaml")))


@cache
def load(name: str) -> MappingProxyType[str, Any]:
    """Return the field values of protocol `name`, read once. Raises KeyError for a name not in `names()`."""
    if name not in names():
        raise KeyError(name)
    text = resources.files(__name__).joinpath(f"{name}.yaml").read_text(encoding="utf-8")
    return MappingProxyType(YAML(typ="safe", pure=True).load(text))
