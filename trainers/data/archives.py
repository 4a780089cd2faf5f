"""Reads named files from zip archives and folders; its errors name the archive and the next step. Decodes nothing."""

import hashlib
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path

from trainers.regular_file import require_regular


class DataError(Exception):
    """A fault in the data that the user can correct; the message says what, where, and what to do next."""


def member_names(source: Path, *suffixes: str) -> list[str]:
    """Return the names in a zip or below a folder that end in one of `suffixes`, sorted, with forward slashes.

    Upper and lower case are one. What macOS adds to copies is left out. Raises DataError.
    """
    names = (name for name in _names(source) if name.lower().endswith(suffixes))
    return sorted(name for name in names if not name.startswith("__MACOSX/") and not _base(name).startswith("._"))


def everything_in(folder: Path) -> Iterator[Path]:
    """Yield every file and folder below `folder`, also behind links, but no folder inside itself. Raises DataError."""
    yield from _below(folder, frozenset())


def unreadable(path: Path, error: OSError) -> DataError:
    """Return the error for a file or folder that can't be read; for a link to nowhere it says what is missing."""
    if path.is_symlink() and not path.exists():
        return DataError(f"{path}: a link to {path.readlink()}, which is missing; put that back, or correct the link")
    return DataError(f"{path}: {error.strerror}; put the file there, or fix its permissions")


def contents(members: Iterable[tuple[Path, str]]) -> Iterator[bytes]:
    """Yield the bytes of each (source, name) in order; a zip is opened once and its CRC checked. Raises DataError."""
    archives: dict[Path, zipfile.ZipFile] = {}
    with ExitStack() as opened:
        for source, name in members:
            if source.is_dir():
                yield _file(source / name)
                continue
            if source not in archives:
                archives[source] = opened.enter_context(_opened(source))
            yield _member(archives[source], source, name)


def damaged(source: Path, reason: str) -> DataError:
    """Return the error for an archive or folder with wrong content."""
    return DataError(f"{source}: {reason}; get this file again and put it in the same place")


def sha256(source: Path) -> str:
    """Return the sha256 of a file, or of a folder's sorted names and their contents. Raises DataError."""
    if source.is_dir():
        digest = hashlib.sha256()
        names = sorted(name for name in _names(source) if not name.startswith("__MACOSX/"))
        for name, content in zip(names, contents((source, name) for name in names), strict=True):
            digest.update(f"{name}\0{len(content)}\0".encode())
            digest.update(content)
        return digest.hexdigest()
    try:
        require_regular(source)
        with source.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise unreadable(source, error) from None


def _names(source: Path) -> list[str]:
    if source.is_dir():
        return [path.relative_to(source).as_posix() for path in everything_in(source) if not path.is_dir()]
    with _opened(source) as archive:
        return archive.namelist()


def _below(folder: Path, above: frozenset[tuple[int, int]]) -> Iterator[Path]:
    try:
        stat = folder.stat()
        inside = sorted(folder.iterdir())
    except OSError as error:
        raise unreadable(folder, error) from None
    around = above | {(stat.st_dev, stat.st_ino)}
    for path in inside:
        if path.is_dir():
            place = path.stat()
            if (place.st_dev, place.st_ino) in around:
                continue
            yield path
            yield from _below(path, around)
        else:
            yield path


def _base(name: str) -> str:
    return name.rpartition("/")[2]


def _opened(source: Path) -> zipfile.ZipFile:
    try:
        require_regular(source)
        return zipfile.ZipFile(source)
    except zipfile.BadZipFile:
        raise damaged(source, "not a whole zip archive (truncated or damaged)") from None
    except OSError as error:
        raise unreadable(source, error) from None


def _member(archive: zipfile.ZipFile, source: Path, name: str) -> bytes:
    try:
        return archive.read(name)
    except KeyError:
        raise damaged(source, f"member {name} is missing") from None
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, ValueError, RuntimeError) as error:
        raise damaged(source, f"member {name} can't be read ({error})") from None


def _file(path: Path) -> bytes:
    try:
        require_regular(path)
        return path.read_bytes()
    except OSError as error:
        raise unreadable(path, error) from None
