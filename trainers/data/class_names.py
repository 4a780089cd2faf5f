"""Finds the classes that a config names: by row of the converted array or, in mini-ImageNet, by WordNet id."""

from functools import cache

from trainers.data.catalog import CATALOG, DatasetName
from trainers.data.mini_imagenet_classes import WNIDS


@cache
def named_classes(dataset: DatasetName, names: str) -> tuple[int, ...]:
    """Return the rows of the classes in `names`, split at blanks. Raises ValueError for an unknown or repeated name."""
    by_id = {wnid: row for row, wnid in enumerate(word for split in WNIDS.values() for word in split)}
    known = by_id if dataset == "mini_imagenet" else {}
    rows = []
    for name in names.split():
        row = known.get(name, int(name) if name.isascii() and name.isdigit() else -1)
        if not 0 <= row < CATALOG[dataset].classes:
            kind = "a WordNet id of mini-ImageNet or " if known else ""
            raise ValueError(
                f"{name!r} is not a class of {dataset}; give {kind}a number below {CATALOG[dataset].classes}"
            )
        if row in rows:
            raise ValueError(f"{name!r} is named twice")
        rows.append(row)
    return tuple(rows)
