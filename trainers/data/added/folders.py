"""Classes as folders of pictures, below train, val and test or without a split. Follows links. Reads no file."""

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from trainers.data.added.listing import SPLIT_NAMES, Listing, OwnClass
from trainers.data.added.pictures import FilePicture
from trainers.data.archives import unreadable
from trainers.data.catalog import SPLITS, Split

PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
_IGNORED = frozenset({"thumbs.db", "desktop.ini", "__macosx"})
_INNER = ("images", "data")
"""Folders of some archives in which the class folders lie, such as CUB_200_2011/images."""


class Place(NamedTuple):
    """A folder with what lies directly in it: names, sorted."""

    path: Path
    folders: list[str]
    pictures: list[str]
    others: list[str]


def listed(folder: Path) -> Listing:
    """Return the class folders of `folder`, with their splits if they lie in folders train, val and test.

    A class is a folder in which pictures lie. Its name is its path, such as `Korean/character01`. Raises DataError for
    what can't be read.
    """
    top = look(folder)
    splits = [(name, SPLIT_NAMES[name.lower()]) for name in top.folders if name.lower() in SPLIT_NAMES]
    if splits:
        return _of_splits(folder, top, splits)
    for name in _INNER:
        if name in top.folders and not top.pictures:
            return unsplit(folder, folder / name)
    return unsplit(folder, folder)


def unsplit(folder: Path, root: Path) -> Listing:
    """Return the class folders below `root`, which is `folder` or lies in it, without a split."""
    listing = _classes(folder, root, None)
    where = "" if root == folder else f" in {root.relative_to(folder)}"
    return _complete(listing, f"class folders{where}", root)


def _of_splits(folder: Path, top: Place, found: list[tuple[str, Split]]) -> Listing:
    listing = Listing(layout=f"class folders in {', '.join(name for name, _ in found)}", classes=[])
    twice = Counter(split for _, split in found)
    faults = [
        f"{' and '.join(name for name, of in found if of == split)} are the same split; keep one"
        for split, count in twice.items()
        if count > 1
    ]
    for name, split in sorted(found, key=lambda one: SPLITS.index(one[1])):
        one = _classes(folder, folder / name, split)
        listing.classes.extend(one.classes)
        listing = listing.with_more(one.faults, one.notes)
    if left := [name for name in top.folders if name.lower() not in SPLIT_NAMES]:
        listing = listing.with_more(notes=[f"left out, because they are no split: {', '.join(left)}"])
    return _complete(listing.with_more(faults), listing.layout, folder)


def _complete(listing: Listing, layout: str, root: Path) -> Listing:
    faults = [] if listing.classes or listing.faults else [f"{root}: no pictures in it ({', '.join(PICTURES)})"]
    more = listing.with_more(faults)
    return Listing(layout=layout, classes=more.classes, faults=more.faults, notes=more.notes)


def _classes(folder: Path, root: Path, split: Split | None) -> Listing:
    classes, faults = [], []
    endings: Counter[str] = Counter()
    places = list(below(root))
    parents = {parent for place in places if place.pictures for parent in place.path.parents}
    for place in places:
        shown = place.path.relative_to(folder).as_posix()
        endings.update(Path(name).suffix.lower() or "no ending" for name in place.others if place.path != root)
        if not place.pictures:
            if not place.folders and place.path != root:
                faults.append(f"{shown}: no pictures in this class folder; put some there, or remove it")
            continue
        if place.path == root:
            faults.append(
                f"{place.path}: {len(place.pictures)} pictures lie beside the class folders; move them into one"
            )
        elif place.path in parents:
            faults.append(f"{shown}: pictures lie beside folders with pictures; move either elsewhere")
        else:
            pictures = [FilePicture(str(place.path / name), f"{shown}/{name}") for name in place.pictures]
            classes.append(OwnClass(place.path.relative_to(root).as_posix(), split, pictures))
    notes = []
    if endings:
        left = ", ".join(f"{count} of {ending}" for ending, count in sorted(endings.items()))
        where = "" if split is None else f" in {root.name}"
        notes.append(f"left out{where}, because they are no pictures: {left}")
    return Listing(layout="", classes=classes, faults=faults, notes=notes)


def below(root: Path) -> Iterator[Place]:
    """Yield `root` and every folder below it, also behind links, but no folder inside itself. Raises DataError."""
    yield from _below(root, frozenset())


def _below(path: Path, above: frozenset[tuple[int, int]]) -> Iterator[Place]:
    place, stat = look(path), path.stat()
    here = (stat.st_dev, stat.st_ino)
    if here in above:
        return
    yield place
    for name in place.folders:
        yield from _below(path / name, above | {here})


def look(path: Path) -> Place:
    """Return what lies directly in a folder; hidden files are left out. Raises DataError."""
    folders: list[str] = []
    pictures: list[str] = []
    others: list[str] = []
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                name = entry.name
                if name.startswith(".") or name.lower() in _IGNORED:
                    continue
                if entry.is_dir():
                    folders.append(name)
                else:
                    (pictures if name.lower().endswith(PICTURES) else others).append(name)
    except OSError as error:
        raise unreadable(path, error) from None
    return Place(path, sorted(folders), sorted(pictures), sorted(others))
