"""The two fields that sweeper itself knows, `seed` and the length, among those of a plain trainer."""

from collections.abc import Mapping
from dataclasses import replace

from trainers.fields import REQUIRED, Field
from trainers.trainer import TrainerError

FURTHEST = 10**8 - 1
"""The last step that a training may take."""


def plain_fields(owner: str, given: Mapping[str, Field], length: str | None) -> dict[str, Field]:
    """Return the fields with a default for `seed`, and a length from 1 to FURTHEST. Raises TrainerError.

    `seed` needs a default, because sweeper gives seeds to a config that is complete.
    """
    found = dict(given)
    seed = found.get("seed")
    if seed is None or seed.type != "int" or seed.nullable or seed.choices:
        raise TrainerError(f"{owner}: its config needs a field seed of type int; sweeper gives each trial its seed")
    found["seed"] = replace(
        seed, default=0 if seed.default is REQUIRED else seed.default, description=seed.description or SEED
    )
    if length is not None:
        found[length] = _length(owner, length, found.get(length))
    return found


SEED = "root of every random stream of the trial"


def _length(owner: str, name: str, field: Field | None) -> Field:
    if name == "seed" or field is None or field.type != "int" or field.nullable or field.choices:
        raise TrainerError(f"{owner}: length names {name!r}, which is no field of type int without choices")
    low = max(1, field.ge or 1, 1 if field.gt is None else field.gt + 1)
    high = min(FURTHEST, field.le or FURTHEST, FURTHEST if field.lt is None else field.lt - 1)
    return replace(field, ge=low, gt=None, le=high, lt=None)
