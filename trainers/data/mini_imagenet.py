"""mini-ImageNet (Ravi & Larochelle 2017) in its usual layouts: finds, checks and decodes the files. Writes none.

Classes are in the order train, val, test, sorted by WordNet id within a split. The official lists say which class is in
which split, whatever folder it lies in. Images are sorted by file name, or keep the order of a pickle, which has no
file names.
"""

import csv
import io
import logging
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from trainers.data import plain_pickle
from trainers.data.archives import DataError, contents, damaged, member_names, unreadable
from trainers.data.catalog import SPLITS, Split
from trainers.data.mini_imagenet_classes import WNIDS

FOLDER = re.compile(r"mini[-_ ]?imagenet.*", re.IGNORECASE)
"""Names of a folder of mini-ImageNet below the root. The files may also lie in the root itself."""
SIDE = 84  # pixels
WNID = re.compile(r"n[0-9]{8}")
WNID_LETTERS = 9  # the name of a file, or of its folder, starts with the WordNet id of its class
PICTURES = (".jpg", ".jpeg")

LAYOUTS = (
    "train.zip (or train-*.zip), val.zip and test.zip of JPEGs named <wnid><number>.jpg; or a folder images of such "
    "files, with or without train.csv, val.csv and test.csv beside it or in a folder split; or "
    "mini-imagenet-cache-train.pkl, -val.pkl and -test.pkl; or folders train, val and test with a folder <wnid> for "
    "each class; or the 100 folders <wnid> without a split"
)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Extent:
    """What one copy must hold: the sorted classes of each split, and the number of images in every class."""

    wnids: Mapping[Split, tuple[str, ...]]
    images: int

    def rows(self) -> list[str]:
        """Return the classes in the order of the converted array."""
        return [wnid for split in SPLITS for wnid in self.wnids[split]]


MINI_IMAGENET = Extent(wnids=WNIDS, images=600)

Index = dict[str, list[tuple[Path, str]]]
"""Members (archive or folder, name) of each class."""


def find(root: Path) -> tuple[Path, ...]:
    """Return the files or folders below `root` that hold the data set.

    Raises DataError if no layout is found, or if one is incomplete, OSError if a folder can't be read.
    """
    named = sorted(root / name for name in _listed(root) if FOLDER.fullmatch(name))
    for folder in (*(path for path in named if not path.is_file()), root):
        if found := _found(folder):
            return found
    raise DataError(
        f"mini_imagenet: no files of it in {root} or {root / 'miniimagenet'}, and there is no download, because the "
        "terms of ImageNet forbid redistribution; take the copy that your group has, or make one from the images of "
        "ILSVRC-2012, which https://image-net.org gives to researchers (100 classes of 600 images, 84 x 84 pixels, in "
        "the split of Ravi and Larochelle, 2017); put them there, or name their folder with --data-root or "
        f"SWEEPER_DATA; they may be {LAYOUTS}"
    )


def _found(folder: Path) -> tuple[Path, ...]:
    """Return what holds the data set in this folder; empty if nothing does."""
    names = _listed(folder)
    zips = _of_splits(folder, names, r"{}(-.*)?\.zip")
    if any(zips.values()):
        return _complete(folder, zips, "{}.zip")
    if "images" in names:
        for place in (folder, folder / "split"):
            tables = _of_splits(place, _listed(place), r"{}\.csv")
            if any(tables.values()):
                return (folder / "images", *_complete(place, tables, "{}.csv"))
        return (folder / "images",)
    pickles = _of_splits(folder, names, r"mini-imagenet-cache-{}\.pkl")
    if any(pickles.values()):
        return _complete(folder, pickles, "mini-imagenet-cache-{}.pkl")
    folders = _of_splits(folder, names, "{}")
    if any(_has_classes(path) for paths in folders.values() for path in paths):
        return _complete(folder, folders, "the folder {}")
    return (folder,) if any(WNID.fullmatch(name) for name in names) else ()


def _listed(folder: Path) -> list[str]:
    """Return the sorted names in `folder`; none if there is no such folder. Raises DataError for a link to nowhere."""
    try:
        return sorted(path.name for path in folder.iterdir())
    except (FileNotFoundError, NotADirectoryError) as error:
        if folder.is_symlink() and not folder.exists():
            raise unreadable(folder, error) from None
        return []


def _of_splits(folder: Path, names: list[str], pattern: str) -> dict[Split, list[Path]]:
    return {split: [folder / name for name in names if re.fullmatch(pattern.format(split), name)] for split in SPLITS}


def _has_classes(folder: Path) -> bool:
    return any(WNID.fullmatch(name) for name in _listed(folder))


def classes(sources: tuple[Path, ...], extent: Extent = MINI_IMAGENET) -> Iterator[NDArray[np.uint8]]:
    """Yield each class's images, uint8 [images, 3, 84, 84], RGB.

    Raises DataError before the first class if classes or counts differ from `extent`, and for a damaged image.
    """
    if sources[0].suffix == ".pkl":
        yield from _pickled(sources, extent)
        return
    tables = tuple(source for source in sources if source.suffix == ".csv")
    index = _tabled(sources[0], tables) if tables else _named(sources)
    _check(sources[0].parent, {wnid: len(members) for wnid, members in index.items()}, extent)
    images = contents(member for wnid in extent.rows() for member in sorted(index[wnid], key=_file_name))
    resized = False
    for wnid in extent.rows():
        pairs = zip(sorted(index[wnid], key=_file_name), images, strict=False)  # takes this class's share of the stream
        rows = []
        for (source, name), image in pairs:
            row, size = _decoded(image, source, name)
            rows.append(row)
            if size != (SIDE, SIDE) and not resized:
                resized = True
                _log.info("%s: %s is %dx%d, not 84x84; such pictures are resized (bilinear)", source, name, *size)
        yield np.stack(rows)


def _complete(folder: Path, found: dict[Split, list[Path]], spelling: str) -> tuple[Path, ...]:
    for split, paths in found.items():
        if not paths:
            there = next(path for others in found.values() for path in others)
            raise DataError(f"{there}: {spelling.format(split)} is missing beside it; put it in {folder}")
    return tuple(path for split in SPLITS for path in found[split])


def _named(sources: tuple[Path, ...]) -> Index:
    index: Index = {}
    for source in sources:
        for name in member_names(source, *PICTURES):
            index.setdefault(_class_of(name), []).append((source, name))
    return index


def _class_of(name: str) -> str:
    """Return the WordNet id that the picture's folder is named after, else the one that its own name starts with."""
    path = PurePosixPath(name)
    return path.parent.name if WNID.fullmatch(path.parent.name) else path.name[:WNID_LETTERS]


def _tabled(images: Path, tables: tuple[Path, ...]) -> Index:
    """Return the pictures that the tables name. A picture may lie in a folder of its class, or end in .JPEG."""
    index: Index = {}
    places = {PurePosixPath(name).stem: name for name in member_names(images, *PICTURES)}
    for table in tables:
        (text,) = contents([(table.parent, table.name)])
        rows = csv.DictReader(io.StringIO(text.decode("utf-8-sig", errors="replace")))
        if not {"filename", "label"} <= set(rows.fieldnames or ()):
            raise damaged(table, f"its columns are {rows.fieldnames}, should be filename and label")
        for row in rows:
            name = row["filename"] or ""
            index.setdefault(row["label"] or "", []).append((images, places.get(PurePosixPath(name).stem, name)))
    return index


def _check(folder: Path, counts: Mapping[str, int], extent: Extent) -> None:
    strange = sorted(set(counts) - set(extent.rows()))
    if strange:
        raise damaged(folder, f"class {strange[0]} is not one of the {len(extent.rows())} of mini-ImageNet")
    for split in SPLITS:
        missing = [wnid for wnid in extent.wnids[split] if wnid not in counts]
        if missing:
            raise damaged(
                folder, f"{len(missing)} of {len(extent.wnids[split])} {split} classes are missing, first {missing[0]}"
            )
    for wnid, count in counts.items():
        if count != extent.images:
            raise damaged(folder, f"{count} images of class {wnid}, should be {extent.images}")


def _pickled(sources: tuple[Path, ...], extent: Extent) -> Iterator[NDArray[np.uint8]]:
    for split, path in zip(SPLITS, sources, strict=True):
        images, places = _cached(path)
        wnids = {other: extent.wnids[other] if other == split else () for other in SPLITS}
        _check(path, {wnid: len(chosen) for wnid, chosen in places.items()}, Extent(wnids=wnids, images=extent.images))
        for wnid in extent.wnids[split]:
            chosen = np.asarray(places[wnid])
            if chosen.dtype.kind not in "iu" or chosen.min() < 0 or chosen.max() >= len(images):
                raise damaged(path, f"class_dict of {wnid} must hold indices from 0 to {len(images) - 1} of image_data")
            yield images[chosen].transpose(0, 3, 1, 2)


def _cached(path: Path) -> tuple[NDArray[np.uint8], dict[str, list[int]]]:
    content = plain_pickle.read(path)
    if not isinstance(content, dict) or not {"image_data", "class_dict"} <= set(content):
        raise damaged(path, "not a dict with image_data and class_dict")
    images, places = content["image_data"], content["class_dict"]
    if not isinstance(images, np.ndarray) or images.dtype != np.uint8 or images.shape[1:] != (SIDE, SIDE, 3):
        raise damaged(path, f"image_data is not a uint8 array [images, {SIDE}, {SIDE}, 3]")
    if not isinstance(places, dict) or not all(isinstance(chosen, list | np.ndarray) for chosen in places.values()):
        raise damaged(path, "class_dict is not a dict from class to the indices of its images")
    return images, places


def _file_name(member: tuple[Path, str]) -> str:
    return member[1].rsplit("/", 1)[-1]


def _decoded(image: bytes, source: Path, name: str) -> tuple[NDArray[np.uint8], tuple[int, int]]:
    """Return a picture as uint8 [3, 84, 84], and the width and height that it had."""
    from PIL import Image  # here, because a converted data set opens without Pillow

    try:
        picture = Image.open(io.BytesIO(image)).convert("RGB")
    except (OSError, SyntaxError, ValueError) as error:  # Pillow raises any of these for broken files
        raise damaged(source, f"{name} is not a readable image ({error})") from None
    size = picture.size
    if size != (SIDE, SIDE):
        picture = picture.resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    return np.asarray(picture).transpose(2, 0, 1), size
