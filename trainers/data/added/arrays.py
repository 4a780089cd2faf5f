"""Pictures in arrays, a file for each split: the .npz and pickles of CIFAR-FS, FC100, tieredImageNet and the like.

A pickle is read without running anything that it names. An uncompressed .npz is mapped, not loaded.
"""

import re
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy

from trainers.data import plain_pickle
from trainers.data.added.listing import SPLIT_NAMES, Listing, OwnClass
from trainers.data.added.pictures import RowPicture
from trainers.data.archives import DataError, damaged, unreadable
from trainers.data.catalog import SPLITS, Split
from trainers.regular_file import require_regular

_FILE = re.compile(r"(?:.*[-_.])?(train|val|valid|test)(?:[-_](images_png|images|labels))?\.(npz|pkl|pickle)", re.I)
_IMAGES = ("images", "data", "features", "image_data")
_LABELS = ("labels", "targets", "label_specific", "label")
_INDEX = "class_dict"
"""The entry of a file that maps classes to the places of their images."""


def files_in(folder: Path) -> dict[Split, dict[str, Path]]:
    """Return the files of each split in `folder`, by what they hold: images, labels, or both ("")."""
    found: dict[Split, dict[str, Path]] = {}
    for path in sorted(folder.iterdir()):
        matched = _FILE.fullmatch(path.name)
        if matched and path.is_file():
            split, kind = SPLIT_NAMES[matched[1].lower()], (matched[2] or "").lower()
            files = found.setdefault(split, {})
            if kind in files:
                raise DataError(f"{path}: {files[kind].name} beside it is of the same split; leave one of them there")
            files[kind] = path
    return found


def listed(files: Mapping[Split, Mapping[str, Path]]) -> Listing:
    """Return the classes in these files. The same label in two splits is two classes, such as `train/0` and `val/0`.

    Raises DataError for a file that can't be read or holds something else.
    """
    classes: list[OwnClass] = []
    names = []
    for split in SPLITS:
        if split in files:
            path, rows, places = _read(files[split])
            names.append(path.name)
            classes += [
                OwnClass(f"{split}/{label}", split, [RowPicture(rows, at, f"{path.name} image {at}") for at in chosen])
                for label, chosen in sorted(places.items())
            ]
    return Listing(layout=f"arrays in {', '.join(names)}", classes=classes)


def _read(files: Mapping[str, Path]) -> tuple[Path, Any, dict[str, list[int]]]:
    """Return the file with the images of a split, the images, and the places of each class among them."""
    path = files.get("") or files.get("images") or files.get("images_png")
    if path is None:
        raise DataError(f"{files['labels']}: the file with its images is missing beside it; put it there")
    content = _content(path)
    images = content if isinstance(content, list) else _entry(content, _IMAGES)
    if images is None:
        raise damaged(path, f"it has none of the entries {', '.join(_IMAGES)}")
    labels = content if isinstance(content, Mapping) else {}
    if "labels" in files:
        labels = _content(files["labels"])
    if not isinstance(labels, Mapping):
        labels = {"labels": labels}
    if isinstance(labels.get(_INDEX), Mapping):
        places = {str(name): [int(at) for at in chosen] for name, chosen in labels[_INDEX].items()}
    else:
        found = _entry(labels, _LABELS)
        if found is None:
            raise damaged(files.get("labels", path), f"it has none of the entries {', '.join((*_LABELS, _INDEX))}")
        places = _places(found)
    wrong = [at for chosen in places.values() for at in chosen if not 0 <= at < len(images)]
    if wrong or sum(map(len, places.values())) != len(images):
        count = sum(map(len, places.values()))
        raise damaged(path, f"{len(images)} images and {count} labels, or a label of an image that is not there")
    return path, images, places


def _places(labels: Sequence[Any]) -> dict[str, list[int]]:
    places: dict[Any, list[int]] = {}
    for at, label in enumerate(labels.tolist() if isinstance(labels, np.ndarray) else labels):
        places.setdefault(label, []).append(at)
    width = max((len(str(label)) for label in places if isinstance(label, int)), default=0)
    return {str(label).zfill(width) if isinstance(label, int) else str(label): at for label, at in places.items()}


def _entry(content: Mapping[Any, Any], names: Sequence[str]) -> Any:
    plain = {key.decode() if isinstance(key, bytes) else key: value for key, value in content.items()}
    return next((plain[name] for name in names if name in plain), None)


def _content(path: Path) -> Any:
    return _of_npz(path) if path.suffix.lower() == ".npz" else plain_pickle.read(path)


def _of_npz(path: Path) -> dict[str, Any]:
    try:
        require_regular(path)
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            return {member.filename.removesuffix(".npy"): _array(path, archive, member) for member in members}
    except OSError as error:
        raise unreadable(path, error) from None
    except (zipfile.BadZipFile, ValueError, KeyError, EOFError) as error:
        raise damaged(path, f"not a readable .npz of plain arrays ({error})") from None


def _array(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Any:
    """Return an array of a .npz: mapped where it is not compressed, else loaded. Raises ValueError for objects."""
    with archive.open(member) as file:
        version = npy.read_magic(file)
        header = npy.read_array_header_1_0(file) if version == (1, 0) else npy.read_array_header_2_0(file)
        shape, fortran, dtype = header
        begin = file.tell()
        if dtype.hasobject:
            raise ValueError(f"{member.filename} holds objects, which can't be read without running code")
        if member.compress_type != zipfile.ZIP_STORED:
            flat = np.frombuffer(file.read(), dtype)
            return flat.reshape(shape, order="F" if fortran else "C")
    with path.open("rb") as file:
        file.seek(member.header_offset + 26)
        name, extra = (int.from_bytes(file.read(2), "little") for _ in range(2))
    at = member.header_offset + 30 + name + extra + begin
    return np.memmap(path, dtype, mode="r", offset=at, shape=shape, order="F" if fortran else "C")
