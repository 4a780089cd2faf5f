"""Protocols: named sets of config values that ship with the trainer, one YAML file each, named in `use:`.

They are defaults for a user; `maml.config` checks the values.
"""

from importlib import resources
from typing import Any

from ruamel.yaml import YAML


def names() -> list[str]:
    """Return the names that `use:` accepts, sorted."""
    return sorted(
        entry.name.removesuffix(".yaml")
        for entry in resources.files(__name__).iterdir()
        if entry.name.endswith(".yaml")
    )


def load(name: str) -> dict[str, Any]:
    """Return the field values of protocol `name`. Raises KeyError for a name not in `names()`."""
    if name not in names():
        raise KeyError(name)
    text = resources.files(__name__).joinpath(f"{name}.yaml").read_text(encoding="utf-8")
    return dict(YAML(typ="safe", pure=True).load(text))
