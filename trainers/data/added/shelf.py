"""The folder of added sets in the cache: a description NAME.json for each, and its array NAME-DIGEST.npy beside it.

A description may also be known from a results folder, so that results are read where the pictures are absent. Decodes
no pictures.
"""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from math import prod
from pathlib import Path
from typing import BinaryIO

from trainers.data.added.description import NAME, Description, as_json, from_json
from trainers.data.archives import DataError, unreadable
from trainers.data.cache import cache_folder, explained
from trainers.data.catalog import CATALOG
from trainers.sealed_file import write_whole

_read: dict[Path, tuple[tuple[int, int], Description]] = {}
_elsewhere: dict[str, Description] = {}
_held: dict[str, Description] = {}


def folder() -> Path:
    """Return the folder of added sets; it need not exist."""
    return cache_folder() / "added"


def names() -> list[str]:
    """Return the names of the sets that were added on this machine, sorted."""
    with explained(folder()):
        return sorted(path.stem for path in folder().glob("*.json") if NAME.fullmatch(path.stem))


def here(name: str) -> Description | None:
    """Return the description of an added set on this machine, None if there is none. Raises DataError."""
    if not NAME.fullmatch(name):
        return None
    return read(folder() / f"{name}.json")


def described(name: str) -> Description | None:
    """Return what is known of an added set: by a training in progress, on this machine, or by a results folder.

    Raises DataError if its description is damaged.
    """
    if name in _held:
        return _held[name]
    return here(name) or _elsewhere.get(name)


def also_known(description: Description) -> None:
    """Let this process know a set that results describe, where the set itself is not on this machine."""
    _elsewhere[description.name] = description


@contextmanager
def holding(name: str, digest: str) -> Iterator[None]:
    """Keep what is known of a set as it is while a training lasts, even if the set is replaced meanwhile.

    Raises DataError if the set of this name has another digest. A built-in set needs nothing.
    """
    if name in CATALOG:
        yield
        return
    found = described(name)
    if found is None or found.digest != digest:
        what = "is gone" if found is None else f"has digest {found.digest[:16]} now"
        raise DataError(f"{name}: the data set with digest {digest[:16]} {what}; run the sweep again")
    before = _held.get(name)
    _held[name] = found
    try:
        yield
    finally:
        if before is None:
            _held.pop(name, None)
        else:
            _held[name] = before


def array_of(description: Description) -> Path:
    """Return where the array of a set lies on this machine."""
    return folder() / f"{description.name}-{description.digest[:16]}.npy"


def array_size(description: Description) -> int:
    """Return the size of the array in bytes, without the header of its file."""
    return prod(description.shape)


def prepared(name: str) -> tuple[Path, Description]:
    """Return the array of an added set, and its description. Raises DataError with how to add it again."""
    found = here(name)
    if found is None:
        raise DataError(missing(name, described(name)))
    path = array_of(found)
    with suppress(OSError), path.open("rb") as file:
        if _after_header(file) + array_size(found) == path.stat().st_size:
            return path, found
    raise DataError(f"{path}: the array of {name} is gone or cut short; {again(found)}")


def missing(name: str, known: Description | None) -> str:
    """Return the sentence for a set that this machine lacks, with what is known of it."""
    if known is None:
        return f"{name}: this machine has no data set of this name; add it with `sweeper data add {name} FOLDER`"
    return f"{name}: this machine lacks the data set with digest {known.digest[:16]} ({words(known)}); {again(known)}"


def again(description: Description) -> str:
    """Return how to add a set again, as it was made."""
    options = "".join(f" --{name} {value}" for name, value in description.origin.options.items())
    where = description.origin.folder
    return f"add it with `sweeper data add {description.name} FOLDER{options}`, where FOLDER was {where}"


def words(description: Description) -> str:
    """Return the extent of a set in words: "200 classes of 41 to 60 images, 3x84x84"."""
    fewest, most = min(description.images), max(description.images)
    images = f"{fewest} to {most}" if most > fewest else str(most)
    return f"{len(description.classes)} classes of {images} images, {'x'.join(map(str, description.image_shape))}"


def stored_digest(description: Description) -> str:
    """Return the sha256 of the array's bytes now in its file, without the header. Reads it whole. Raises OSError."""
    with array_of(description).open("rb") as file:
        _after_header(file)
        return hashlib.file_digest(file, "sha256").hexdigest()


def put(description: Description) -> None:
    """Write the description of a set whose array is in place. Raises DataError."""
    with explained(folder()):
        write_whole(folder() / f"{description.name}.json", as_json(description))


def remove(name: str) -> None:
    """Delete an added set from this machine, its description first. Raises DataError."""
    with explained(folder()):
        (folder() / f"{name}.json").unlink(missing_ok=True)
        for path in folder().glob(f"{name}-*.npy"):
            if path.stem[: -len("-0123456789abcdef")] == name:
                path.unlink(missing_ok=True)


def rows_by_name(description: Description) -> Mapping[str, int]:
    """Return the row of each class by its name."""
    return {name: row for row, name in enumerate(description.classes)}


def read(path: Path) -> Description | None:
    """Return the description in a file NAME.json, None if there is no file. Raises DataError."""
    try:
        stat = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise unreadable(path, error) from None
    stamp = (stat.st_size, stat.st_mtime_ns)
    if path not in _read or _read[path][0] != stamp:
        try:
            content = path.read_bytes()
        except OSError as error:
            raise unreadable(path, error) from None
        _read[path] = (stamp, from_json(content, path))
    found = _read[path][1]
    if found.name != path.stem:
        raise DataError(f"{path}: describes {found.name}; rename it to {found.name}.json")
    return found


def _after_header(file: BinaryIO) -> int:
    """Move to the end of a .npy file's header (of version 1), and return its length."""
    return file.seek(10 + int.from_bytes(file.read(10)[8:], "little"))
