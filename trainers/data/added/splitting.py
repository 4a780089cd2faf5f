"""Splits that a folder does not name: how many classes train, validate and test, drawn by a seed from their names."""

import hashlib
import re
from collections.abc import Sequence

from trainers.data.archives import DataError
from trainers.data.catalog import Split

_SHARES = re.compile(r"[0-9]{1,6}(/[0-9]{1,6}){1,2}")


def assigned(names: Sequence[str], shares: str, seed: int) -> dict[str, Split]:
    """Return the split of each class. `shares` is train/val/test or train/test, in classes or in per cent.

    The classes are ordered by the sha256 of seed and name, which is the same on every machine. Raises DataError.
    """
    counts = _counts(len(names), shares)
    order = sorted(names, key=lambda name: hashlib.sha256(f"{seed}/{name}".encode()).digest())
    found: dict[str, Split] = {}
    for split, count in counts.items():
        for name in order[len(found) : len(found) + count]:
            found[name] = split
    return found


def _counts(classes: int, shares: str) -> dict[Split, int]:
    if not _SHARES.fullmatch(shares):
        raise DataError(f"--split {shares}: give numbers for train/val/test or train/test, for example 64/16/20")
    given = [int(part) for part in shares.split("/")]
    total = sum(given)
    if total not in (classes, 100):
        raise DataError(
            f"--split {shares}: its numbers add up to {total}; there are {classes} classes, so they must add up to "
            f"{classes}, or to 100 for shares in per cent"
        )
    exact = [classes * number / total for number in given]
    counts = [int(share) for share in exact]
    for place in sorted(range(len(given)), key=lambda at: counts[at] - exact[at])[: classes - sum(counts)]:
        counts[place] += 1
    names: tuple[Split, ...] = ("train", "val", "test") if len(given) == 3 else ("train", "test")
    found = {name: count for name, count in zip(names, counts, strict=True) if count}
    if not {"train", "test"} <= found.keys():
        raise DataError(
            f"--split {shares}: of {classes} classes, none is left for train or for test; give other numbers"
        )
    return found
