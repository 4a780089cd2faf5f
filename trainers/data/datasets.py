"""The entry to the data: from a name and a root to a verified, mapped uint8 array [classes, images, C, H, W].

The array of an added set whose classes differ in their number of images is [images of all classes, C, H, W].

No other data set replaces a missing one: a DataError says which files are missing and where to put them.
"""

import hashlib
import logging
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPException
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trainers.data import converted, mini_imagenet, omniglot, strokes
from trainers.data.added import shelf
from trainers.data.archives import DataError
from trainers.data.cache import cache_folder, expanded, user_folder
from trainers.data.catalog import CATALOG, DatasetName, Split
from trainers.data.converted import Converted
from trainers.data.facts import facts_of, split_rows

__all__ = [
    "DataError",
    "Description",
    "Prepared",
    "cache_folder",
    "data_root",
    "describe",
    "download",
    "load",
    "prepare",
    "verify",
]

DOWNLOADED: tuple[DatasetName, ...] = ("omniglot",)
"""The data sets that have a download."""
STROKES_SEED = 0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A data set ready to map: `path` is a .npy file, `digest` the sha256 of its content."""

    name: str
    path: Path
    digest: str


@dataclass(frozen=True, kw_only=True)
class Description:
    """Facts about a data set, found without reading it; `trouble` says why its files can't be used, or is empty.

    `images_per_class` is the least number of images of a class, `images` that of all classes together. `size` is the
    size of its array in bytes. `added` says whether it was added on this machine.
    """

    name: str
    synthetic: bool
    added: bool
    digest: str
    classes: int
    images_per_class: int
    most_images_per_class: int
    images: int
    size: int
    image_shape: tuple[int, int, int]
    splits: dict[Split, int]
    sources: tuple[Path, ...]
    trouble: str
    converted: Path | None


def data_root(explicit: Path | None) -> Path:
    """Return `explicit`, else SWEEPER_DATA, else `data` in the user's cache folder; it need not exist.

    Raises DataError if it begins with ~ and no home folder is known.
    """
    if explicit is not None:
        return expanded(explicit)
    if folder := os.environ.get("SWEEPER_DATA"):
        return expanded(Path(folder))
    return user_folder() / "data"


def prepare(name: str, root: Path) -> Prepared:
    """Check and convert the data set's files below `root`, if not yet done, and return where the array is.

    The array of omniglot and strokes must have the digest of the catalog. That of mini_imagenet may differ, because
    copies encode the same pictures differently. An added set was converted when it was added. Raises DataError.
    """
    if name not in CATALOG:
        path, added = shelf.prepared(name)
        return Prepared(name=name, path=path, digest=added.digest)
    sources = _sources(name, root)
    array = _found(name, sources)
    if array is None:
        _log.info("%s: converting, once", name)
        array = converted.convert(name, sources, _rows(name, sources), _shape(name), _required(name))
    return Prepared(name=name, path=array.path, digest=array.digest)


def load(prepared: Prepared) -> NDArray[np.uint8]:
    """Return the array, mapped copy-on-write: processes share pages, and writing changes no file. Raises DataError."""
    try:
        return np.load(prepared.path, mmap_mode="c")
    except (OSError, ValueError) as error:
        raise DataError(f"{prepared.path}: can't be mapped ({error}); delete it, and it is made again") from None


def verify(name: str, root: Path) -> list[str]:
    """Read and decode everything; return one sentence per fault, so an empty list means that all is well.

    Of an added set, the array is read: its pictures may be elsewhere by now.
    """
    if name not in CATALOG:
        return _verified(name)
    try:
        sources = _sources(name, root)
        digest = hashlib.sha256()
        for row in _rows(name, sources):
            digest.update(np.ascontiguousarray(row).data)
    except DataError as error:
        return [str(error)]
    array = _found(name, sources)
    expected = _required(name) or (array.digest if array else digest.hexdigest())
    findings = []
    if digest.hexdigest() != expected:
        findings.append(converted.unlike(name, digest.hexdigest(), expected))
    if array is not None and converted.stored_digest(array) != array.digest:
        findings.append(f"{array.path}: its bytes have changed since it was converted; delete it, and it is made again")
    return findings


def describe(name: str, root: Path) -> Description:
    """Return which files of the data set exist below `root`, and what it holds. Raises DataError for an unknown one."""
    facts = facts_of(name)
    sources: tuple[Path, ...] = ()
    trouble, path, digest = "", None, facts.digest
    try:
        if name in CATALOG:
            sources = _sources(name, root)
            array = _found(name, sources)
            path, digest = (None, digest) if array is None else (array.path, array.digest)
        else:
            path, added = shelf.prepared(name)
            sources = (Path(added.origin.folder),)
    except DataError as error:
        trouble = str(error)
    images = sum(facts.images) or facts.classes * facts.images_per_class
    return Description(
        name=name,
        synthetic=facts.synthetic,
        added=name not in CATALOG,
        digest=digest,
        classes=facts.classes,
        images_per_class=facts.images_per_class,
        most_images_per_class=max(facts.images, default=facts.images_per_class),
        images=images,
        size=images * prod(facts.image_shape),
        image_shape=facts.image_shape,
        splits={split: len(rows) for split, rows in split_rows(name, "1200/423").items()},
        sources=sources,
        trouble=trouble,
        converted=path,
    )


def download(name: str, root: Path) -> None:
    """Download Omniglot's archives into `root`/omniglot-py from their original address; strokes needs no files.

    Raises DataError without a network, and for mini_imagenet, whose terms forbid redistribution.
    """
    if name == "mini_imagenet":
        raise DataError(
            "mini_imagenet: ImageNet's terms forbid redistribution, so there is no download; put your copy into "
            f"{root / 'miniimagenet'}, as {mini_imagenet.LAYOUTS}"
        )
    if name == "omniglot":
        _download_omniglot(root / "omniglot-py")


def _download_omniglot(folder: Path) -> None:
    from torchvision.datasets import Omniglot  # imports torch

    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as scratch:  # a broken download leaves nothing behind
            for background in (True, False):
                Omniglot(scratch, background=background, download=True)
            for half in omniglot.HALVES:
                Path(scratch, "omniglot-py", f"{half}.zip").replace(folder / f"{half}.zip")
    except (OSError, RuntimeError, HTTPException) as error:
        archives = " and ".join(f"{half}.zip" for half in omniglot.HALVES)
        raise DataError(f"omniglot: could not be downloaded ({error}); put {archives} into {folder} by hand") from None


def _verified(name: str) -> list[str]:
    try:
        path, added = shelf.prepared(name)
        if shelf.stored_digest(added) != added.array:
            return [f"{path}: its bytes have changed since it was added; {shelf.again(added)}"]
    except (DataError, OSError) as error:
        return [str(error)]
    return []


def _sources(name: str, root: Path) -> tuple[Path, ...]:
    if name == "strokes":
        return ()
    try:
        return omniglot.find(root) if name == "omniglot" else mini_imagenet.find(root)
    except OSError as error:
        raise DataError(f"{root}: {error.strerror}; name another folder with --data-root or SWEEPER_DATA") from None


def _rows(name: str, sources: tuple[Path, ...]) -> Iterator[NDArray[np.uint8]]:
    if name == "strokes":
        return iter(strokes.make(STROKES_SEED))
    return omniglot.classes(sources) if name == "omniglot" else mini_imagenet.classes(sources)


def _required(name: str) -> str | None:
    """Return the only digest that the array may have, or None if copies of the data differ in their encoding."""
    return None if name == "mini_imagenet" else CATALOG[name].digest


def _found(name: str, sources: tuple[Path, ...]) -> Converted | None:
    return converted.find(name, sources, _required(name))


def _shape(name: str) -> converted.Shape:
    facts = CATALOG[name]
    return (facts.classes, facts.images_per_class, *facts.image_shape)
