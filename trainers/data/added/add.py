"""Adds a data set: from a folder to an array and a description in the cache, whole or not at all. Prints nothing."""

import socket
from pathlib import Path
from typing import NamedTuple

from trainers.data.added import shelf
from trainers.data.added.conversion import Made, Progress, convert, lines
from trainers.data.added.description import Description, Origin, fault_of_name, make
from trainers.data.added.listing import Listing
from trainers.data.added.reading import read
from trainers.data.added.wishes import Wishes
from trainers.data.archives import DataError
from trainers.data.cache import explained, locked
from trainers.data.converted import stat_of
from trainers.sealed_file import part_of

MOST_FAULTS = 40
"""Faults that one message names; the others are counted."""


class Added(NamedTuple):
    """A set that is on this machine now; `before`: it was there already. `notes` are what the user must know."""

    description: Description
    before: bool
    notes: list[str]


def add(name: str, folder: Path, wishes: Wishes, progress: Progress) -> Added:
    """Add the pictures in `folder` as data set `name`. The same pictures again change nothing.

    Raises DataError, with nothing written, for a bad name, for pictures that are not those of the set of this name, and
    with every fault of the folder in one message.
    """
    if fault := fault_of_name(name):
        raise DataError(fault)
    folder = folder.expanduser().absolute()
    listing = read(folder, wishes)
    with locked(f"added-{name}"), explained(shelf.folder()):
        if not listing.faults and (known := _unchanged(name, folder, listing, wishes)) is not None:
            return Added(known, True, listing.notes)
        shelf.folder().mkdir(parents=True, exist_ok=True)
        for left in shelf.folder().glob(f".{name}-*.{socket.gethostname()}.*.part"):  # by a killed process
            left.unlink()
        part = part_of(shelf.folder() / f"{name}-new")
        try:
            made = convert(listing, wishes, part, progress)
            if isinstance(made, list):
                count = f"{len(made)} faults" if len(made) > 1 else "a fault"
                head = f"{name}: nothing was added, because of {count} in {folder}:"
                raise DataError("\n".join([head, *lines(made, MOST_FAULTS)]))
            description = _described(name, listing, made, _origin(folder, listing, wishes))
            before = _refuse_another(name, description)
            if before is None or not _is_whole(name):
                part.replace(shelf.array_of(description))
        finally:
            part.unlink(missing_ok=True)
        shelf.put(description)
        return Added(description, before is not None, listing.notes)


def _origin(folder: Path, listing: Listing, wishes: Wishes) -> Origin:
    stats = [stat_of(place) for place in (folder, wishes.csv, wishes.lists) if place is not None]
    return Origin(
        folder=str(folder),
        layout=listing.layout,
        options=wishes.options(),
        size=sum(size for _, size, _ in stats),
        mtime_ns=max(mtime_ns for _, _, mtime_ns in stats),
    )


def _unchanged(name: str, folder: Path, listing: Listing, wishes: Wishes) -> Description | None:
    """Return the set of this name if it was made of exactly these files as they are now, in this way."""
    known = shelf.here(name)
    if known is None or not _is_whole(name):
        return None
    return known if known.origin == _origin(folder, listing, wishes) else None


def _is_whole(name: str) -> bool:
    try:
        shelf.prepared(name)
    except DataError:
        return False
    return True


def _refuse_another(name: str, description: Description) -> Description | None:
    known = shelf.here(name)
    if known is not None and known.digest != description.digest:
        raise DataError(
            f"{name}: is another data set already, with digest {known.digest[:16]} ({shelf.words(known)}, from "
            f"{known.origin.folder}); these pictures have digest {description.digest[:16]} "
            f"({shelf.words(description)}); add them under another name, or first `sweeper data remove {name}`"
        )
    return known


def _described(name: str, listing: Listing, made: Made, origin: Origin) -> Description:
    classes = listing.in_order()
    splits: dict[str, int] = {}
    for one in classes:
        splits[str(one.split)] = splits.get(str(one.split), 0) + 1
    return make(
        name=name,
        array=made.array,
        image_shape=made.image_shape,
        splits=splits,
        classes=[one.name for one in classes],
        images=[len(one.pictures) for one in classes],
        pixel_mean=made.mean,
        pixel_std=made.std,
        origin=origin.model_dump(),
    )
