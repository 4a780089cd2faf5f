"""Finds the classes that a config names: by row of the array, in mini-ImageNet by WordNet id, in added sets by name."""

from collections.abc import Mapping
from functools import cache

from trainers.data.facts import facts_of
from trainers.data.mini_imagenet_classes import WNIDS


def named_classes(dataset: str, names: str) -> tuple[int, ...]:
    """Return the rows of the classes in `names`, split at blanks. Raises ValueError for an unknown or repeated name."""
    facts = facts_of(dataset)
    return _rows(dataset, facts.classes, facts.class_names, names)


@cache
def _rows(dataset: str, classes: int, class_names: tuple[str, ...], names: str) -> tuple[int, ...]:
    known = _by_name(dataset, class_names)
    rows = []
    for name in names.split():
        row = known.get(name, int(name) if name.isascii() and name.isdigit() else -1)
        if not 0 <= row < classes:
            kind = "a WordNet id of mini-ImageNet or " if dataset == "mini_imagenet" else ""
            kind = "the name of a class or " if class_names else kind
            raise ValueError(f"{name!r} is not a class of {dataset}; give {kind}a number below {classes}")
        if row in rows:
            raise ValueError(f"{name!r} is named twice")
        rows.append(row)
    return tuple(rows)


def _by_name(dataset: str, class_names: tuple[str, ...]) -> Mapping[str, int]:
    words = [word for split in WNIDS.values() for word in split] if dataset == "mini_imagenet" else class_names
    return {word: row for row, word in enumerate(words)}
