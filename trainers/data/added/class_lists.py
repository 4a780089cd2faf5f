"""Splits as lists of class names: train.txt, val.txt and test.txt, a name a line, as CIFAR-FS has them."""

from collections.abc import Iterable
from pathlib import Path

from trainers.data.added import folders
from trainers.data.added.listing import Listing
from trainers.data.archives import DataError, contents
from trainers.data.catalog import SPLITS, Split


def places_in(folder: Path) -> list[Path]:
    """Return the folders with lists of classes that belong to `folder`: itself, `split`, `splits` and those in it."""
    within = [folder / name for name in ("split", "splits")]
    deeper = [path for place in within if place.is_dir() for path in sorted(place.iterdir())]
    return [place for place in (folder, *within, *deeper) if (place / "train.txt").is_file()]


def listed(folder: Path, lists: Path) -> Listing:
    """Return the class folders of `folder` (or of `data` or `images` in it) that the lists in `lists` name.

    Raises DataError if there is no list, or one can't be read.
    """
    root = next((folder / name for name in ("data", "images") if (folder / name).is_dir()), folder)
    found = folders.unsplit(folder, root)
    splits: dict[str, Split] = {}
    faults = []
    for split, name, where in _named(lists):
        if name in splits:
            faults.append(f"{where}: {name} stands in {splits[name]}.txt already")
        splits.setdefault(name, split)
    known = {one.name for one in found.classes}
    faults += [f"{split}.txt: there is no class folder {name}" for name, split in splits.items() if name not in known]
    classes = [one._replace(split=splits[one.name]) for one in found.classes if one.name in splits]
    left = [one.name for one in found.classes if one.name not in splits]
    notes = [f"left out, because no list names them: {_some(left)}"] if left else []
    layout = f"{found.layout}, split by the lists in {lists.name}"
    return Listing(layout=layout, classes=classes, faults=[*found.faults, *faults], notes=[*found.notes, *notes])


def _named(lists: Path) -> Iterable[tuple[Split, str, str]]:
    there = [split for split in SPLITS if (lists / f"{split}.txt").is_file()]
    if not there:
        raise DataError(f"{lists}: has no train.txt, val.txt and test.txt with a class name in each line; name another")
    for split in there:
        (content,) = contents([(lists, f"{split}.txt")])
        for number, line in enumerate(content.decode("utf-8-sig", errors="replace").splitlines(), start=1):
            if line.strip():
                yield split, line.strip().rstrip("/"), f"{split}.txt line {number}"


def _some(names: list[str]) -> str:
    return f"{len(names)} classes, the first is {names[0]}"
