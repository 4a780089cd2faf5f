"""What is known of any data set by its name, built in or added: classes, splits, images, shape. Opens no array."""

from collections.abc import Iterable, Mapping
from functools import cache
from typing import get_args

from trainers.data.added import shelf
from trainers.data.added.description import Description
from trainers.data.archives import DataError
from trainers.data.catalog import CATALOG, DatasetFacts, DatasetName, OmniglotSplit, Split, class_ranges

BUILT_IN: tuple[DatasetName, ...] = get_args(DatasetName)


def facts_of(dataset: str) -> DatasetFacts:
    """Return the facts of a data set. Raises DataError for one that is neither built in nor described here."""
    if dataset in CATALOG:
        return CATALOG[dataset]
    found = shelf.described(dataset)
    if found is None:
        raise DataError(shelf.missing(dataset, None))
    return _facts(found)


def is_known(dataset: str) -> bool:
    """Return whether `facts_of` knows a data set. Raises DataError if its description is damaged."""
    return dataset in CATALOG or shelf.described(dataset) is not None


def names() -> tuple[str, ...]:
    """Return the names of the built-in sets, and after them those of the sets that were added on this machine."""
    return (*BUILT_IN, *shelf.names())


def split_rows(dataset: str, omniglot_split: OmniglotSplit) -> Mapping[Split, range]:
    """Return the rows of the classes in each split; a split that the data set lacks is absent."""
    if dataset in CATALOG:
        return class_ranges(dataset, omniglot_split)
    return _ranges(facts_of(dataset).splits)


def fewest_images(dataset: str, rows: Iterable[int]) -> tuple[int, int]:
    """Return the least number of images that a class of `rows` has, and the first row with so few."""
    facts, rows = facts_of(dataset), list(rows)
    if not facts.images:
        return facts.images_per_class, rows[0]
    return min((facts.images[row], row) for row in rows)


_facts_of_digest: dict[str, DatasetFacts] = {}


def _facts(description: Description) -> DatasetFacts:
    """Return the facts of a description, the same object for the same content: they are asked for at each step."""
    if description.digest not in _facts_of_digest:
        _facts_of_digest[description.digest] = description.facts()
    return _facts_of_digest[description.digest]


@cache
def _ranges(splits: tuple[tuple[Split, int], ...]) -> Mapping[Split, range]:
    found, start = {}, 0
    for split, size in splits:
        found[split] = range(start, start + size)
        start += size
    return found
