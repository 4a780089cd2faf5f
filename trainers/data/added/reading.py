"""From a folder to its listing: chooses the layout, assigns splits, and checks the classes. Reads no picture."""

from collections import Counter
from pathlib import Path

from trainers.data.added import arrays, class_lists, folders, splitting, tables
from trainers.data.added.description import LONGEST_CLASS
from trainers.data.added.listing import Listing
from trainers.data.added.wishes import Wishes
from trainers.data.archives import DataError, unreadable

LEAST_CLASSES = 2  # an episode has at least two ways


def read(folder: Path, wishes: Wishes) -> Listing:
    """Return what `folder` holds, with every class in a split, and all faults that need no look at a picture.

    Raises DataError if no layout is found, or if a file or folder can't be read.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: is no folder; name the folder that holds the class folders or the table")
    try:
        listing = _found(folder, wishes)
    except OSError as error:
        raise unreadable(Path(error.filename or folder), error) from None
    if listing.has_splits and wishes.split is not None:
        given = f"--split {wishes.split}: the folder itself says which class is in which split ({listing.layout})"
        raise DataError(f"{given}; leave --split out, or name a folder without splits")
    if not listing.has_splits and listing.classes:
        listing = _split(listing, wishes)
    return listing.with_more(_faults(listing, wishes))


def _found(folder: Path, wishes: Wishes) -> Listing:
    if wishes.csv is not None and wishes.lists is not None:
        raise DataError("--csv and --lists both say which picture is of which class; give one of them")
    if wishes.csv is not None:
        return tables.listed(folder, [(wishes.csv, None)])
    if wishes.lists is not None:
        return class_lists.listed(folder, wishes.lists)
    if files := arrays.files_in(folder):
        return arrays.listed(files)
    found = tables.tables_in(folder)
    if found and all(tables.fits(table) for table, _ in found):
        return tables.listed(folder, found)
    listing = _of_folders(folder)
    if not found:
        return listing
    if not listing.classes:
        return tables.listed(folder, found)  # which says what the table lacks
    return listing.with_more(notes=[f"left out, because it names no file and class: {found[0][0].name}"])


def _of_folders(folder: Path) -> Listing:
    if places := class_lists.places_in(folder):
        if len(places) > 1:
            raise DataError(f"{folder}: has lists of classes in {_all(places)}; name one of them with --lists")
        return class_lists.listed(folder, places[0])
    return folders.listed(folder)


def _all(places: list[Path]) -> str:
    return ", ".join(map(str, places))


def _split(listing: Listing, wishes: Wishes) -> Listing:
    names = [one.name for one in listing.classes]
    if wishes.split is None:
        return listing.with_more(
            [
                f"nothing says which of the {len(names)} classes train and which test; give --split, for example "
                "--split 64/16/20, or put the class folders into folders train, val and test"
            ]
        )
    try:
        splits = splitting.assigned(names, wishes.split, wishes.seed)
    except DataError as error:
        return listing.with_more([str(error)])
    classes = [one._replace(split=splits[one.name]) for one in listing.classes]
    return Listing(layout=listing.layout, classes=classes, faults=listing.faults, notes=listing.notes)


def _faults(listing: Listing, wishes: Wishes) -> list[str]:
    faults = []
    for name, count in Counter(one.name for one in listing.classes).items():
        if count > 1:
            splits = " and ".join(str(one.split) for one in listing.classes if one.name == name)
            faults.append(
                f"class {name}: is in {splits}; few-shot splits share no class; name one of these folders with --split"
            )
        if len(name) > LONGEST_CLASS or not name.isprintable():
            faults.append(f"class {name[:50]!r}: its name must be printable and of at most {LONGEST_CLASS} characters")
    for one in listing.classes:
        if len(one.pictures) < wishes.least:
            pictures = "picture" if len(one.pictures) == 1 else "pictures"
            faults.append(
                f"class {one.name}: {len(one.pictures)} {pictures}, at least {wishes.least} are needed; add some, or "
                "take the class away"
            )
    if listing.classes and all(one.split is not None for one in listing.classes):
        sizes = Counter(one.split for one in listing.classes)
        for split in ("train", "test"):
            if sizes[split] < LEAST_CLASSES:
                faults.append(f"{split}: {sizes[split]} classes, at least {LEAST_CLASSES} are needed")
    return faults
