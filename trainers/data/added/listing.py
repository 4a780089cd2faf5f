"""What a folder holds, before any picture is read: its classes, with their pictures and, if it says so, their split."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from trainers.data.added.pictures import Picture
from trainers.data.catalog import SPLITS, Split

SPLIT_NAMES: dict[str, Split] = {
    "train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "test": "test",
    "testing": "test",
}  # fmt: skip
"""How folders, columns and files call a split, in lower case."""


class OwnClass(NamedTuple):
    """A class: its pictures in their order, and its split, None where the folder names none."""

    name: str
    split: Split | None
    pictures: Sequence[Picture]


@dataclass(frozen=True, kw_only=True)
class Listing:
    """What was found. `layout` says in words how it was read; `faults` are all that is wrong with it."""

    layout: str
    classes: list[OwnClass]
    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def has_splits(self) -> bool:
        return any(one.split is not None for one in self.classes)

    @property
    def pictures(self) -> int:
        return sum(len(one.pictures) for one in self.classes)

    def with_more(self, faults: Sequence[str] = (), notes: Sequence[str] = ()) -> "Listing":
        return replace(self, faults=[*self.faults, *faults], notes=[*self.notes, *notes])

    def in_order(self) -> list[OwnClass]:
        """Return the classes as the array has them: in the order train, val, test, by name within a split."""
        order = {split: number for number, split in enumerate(SPLITS)}
        return sorted(self.classes, key=lambda one: (order[one.split] if one.split else -1, one.name))
