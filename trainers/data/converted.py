"""Converted arrays in the cache folder: for each data set and digest a .npy file, and a JSON sidecar with its sources.

Writes are atomic: under a lock, to a temporary file that is synced and then renamed. The sidecar is written last; an
array without one is ignored. Decodes no images.
"""

import hashlib
import json
import os
import socket
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from io import BytesIO
from math import prod
from pathlib import Path

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from trainers.data.archives import DataError, everything_in, sha256, unreadable
from trainers.data.cache import cache_folder, explained, locked
from trainers.sealed_file import part_of, write_whole

Shape = tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Source:
    """One file or folder from which an array was made; a folder's sha256 covers its names and contents."""

    path: str
    size: int
    mtime_ns: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Converted:
    """One array in the cache: uint8 of `shape` in `path`; `digest` is the sha256 of its bytes in C order."""

    name: str
    path: Path
    shape: Shape
    digest: str
    sources: tuple[Source, ...]


def find(name: str, sources: tuple[Path, ...], digest: str | None) -> Converted | None:
    """Return the array made from exactly these files as they are now (by path, size and time), or None. Reads no data.

    If `digest` is given, an array with another digest is ignored. Raises DataError.
    """
    stats = [stat_of(source) for source in sources]
    with explained(cache_folder()):
        arrays = list(_arrays(name))
    for array in arrays:
        made_of = [(known.path, known.size, known.mtime_ns) for known in array.sources]
        if made_of == stats and digest in (None, array.digest):
            return array
    return None


def convert(
    name: str, sources: tuple[Path, ...], rows: Iterator[NDArray[np.uint8]], shape: Shape, digest: str | None
) -> Converted:
    """Write `rows`, the arrays along the first axis of `shape`, as the array of `sources`, and return it.

    Writes no array if another process has converted these files meanwhile, or if they were converted earlier under
    another path or time. Raises DataError if the array's digest is not `digest` or the cache can't be written. Errors
    of `rows` pass through. After an error no partial file is left.
    """
    with locked(name) as folder:
        if array := find(name, sources, digest):
            return array
        fingerprints = tuple(_fingerprint(source) for source in sources)
        for array in _arrays(name):
            same = [known.sha256 for known in array.sources] == [new.sha256 for new in fingerprints]
            if same and digest in (None, array.digest):
                return _noted(replace(array, sources=fingerprints))
        for left in folder.glob(f".{name}.{socket.gethostname()}.*.part"):  # by a killed process of this machine
            left.unlink()
        part = part_of(folder / name)
        try:
            made = _written(part, rows, shape)
            if digest not in (None, made):
                raise DataError(unlike(name, made, digest))
            path = folder / f"{name}-{made[:16]}.npy"
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
        return _noted(Converted(name=name, path=path, shape=shape, digest=made, sources=fingerprints))


def unlike(name: str, digest: str, expected: str) -> str:
    """Return the message for images whose digest is not `expected`."""
    return (
        f"{name}: the images have digest {digest[:16]}, should be {expected[:16]}; they are damaged or not this data "
        "set; get it again"
    )


def stored_digest(array: Converted) -> str:
    """Return the sha256 of the array's bytes now in the file, in C order, without the header. Reads the whole file."""
    return hashlib.sha256(np.load(array.path, mmap_mode="r").data).hexdigest()


def _arrays(name: str) -> Iterator[Converted]:
    """Yield the arrays of `name` whose file has its full length."""
    for sidecar in sorted(cache_folder().glob(f"{name}-*.json")):
        array = _read(name, sidecar)
        if array and array.path.exists() and array.path.stat().st_size == len(header(array.shape)) + prod(array.shape):
            yield array


def _read(name: str, sidecar: Path) -> Converted | None:
    """Return what a sidecar says, or None if it is damaged; its array is then made again."""
    try:
        noted = json.loads(sidecar.read_text(encoding="utf-8"))
        return Converted(
            name=name,
            path=sidecar.with_suffix(".npy"),
            shape=tuple(noted["shape"]),
            digest=noted["digest"],
            sources=tuple(Source(**source) for source in noted["sources"]),
        )
    except (ValueError, KeyError, TypeError):
        return None


def _noted(array: Converted) -> Converted:
    noted = asdict(array) | {"shape": list(array.shape)}
    del noted["path"]
    write_whole(array.path.with_suffix(".json"), json.dumps(noted, indent=1).encode())
    return array


def _written(part: Path, rows: Iterator[NDArray[np.uint8]], shape: Shape) -> str:
    digest = hashlib.sha256()
    count = 0
    with part.open("wb") as file:
        file.write(header(shape))
        for row in rows:
            assert row.dtype == np.uint8 and row.shape == shape[1:], (
                f"a row of {row.dtype} {row.shape}, not {shape[1:]}"
            )
            row_bytes = np.ascontiguousarray(row).data
            digest.update(row_bytes)
            file.write(row_bytes)
            count += 1
        file.flush()
        os.fsync(file.fileno())
    assert count == shape[0], f"{count} rows, not {shape[0]}"
    return digest.hexdigest()


def header(shape: Shape) -> bytes:
    """Return the beginning of a .npy file with a uint8 array of `shape` in C order."""
    buffer = BytesIO()
    npy.write_array_header_1_0(buffer, {"descr": "|u1", "fortran_order": False, "shape": shape})
    return buffer.getvalue()


def stat_of(source: Path) -> tuple[str, int, int]:
    """Return path, size and newest time of a file, or of a folder with everything in it. Raises DataError."""
    size, newest_ns = 0, 0
    for path in (source, *(everything_in(source) if source.is_dir() else ())):
        try:
            stat = path.stat()
        except OSError as error:
            raise unreadable(path, error) from None
        size, newest_ns = size + stat.st_size, max(newest_ns, stat.st_mtime_ns)
    return str(source.resolve()), size, newest_ns


def _fingerprint(source: Path) -> Source:
    path, size, mtime_ns = stat_of(source)
    return Source(path=path, size=size, mtime_ns=mtime_ns, sha256=sha256(source))
