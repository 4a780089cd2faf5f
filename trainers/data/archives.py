"""Reads named files from zip archives and folders; its errors name the archive and the next step. Decodes nothing."""

import hashlib
import os
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path


class DataError(Exception):
    """A fault in the data that the user can correct; the message says what, where, and what to do next."""


def member_names(source: Path, suffix: str) -> list[str]:
    """Return the names in a zip or below a folder that end in `suffix`, sorted, with forward slashes."""
    if source.is_dir():
        paths = (Path(folder, name) for folder, _, names in os.walk(source) for name in names)
        names = [path.relative_to(source).as_posix() for path in paths]
    else:
        with _opened(source) as archive:
            names = archive.namelist()
    return sorted(name for name in names if name.endswith(suffix) and not name.startswith("__MACOSX/"))


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
        names = member_names(source, "")
        for name, content in zip(names, contents((source, name) for name in names), strict=True):
            digest.update(f"{name}\0{len(content)}\0".encode())
            digest.update(content)
        return digest.hexdigest()
    try:
        with source.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise _unreadable(source, error) from None


def _opened(source: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(source)
    except zipfile.BadZipFile:
        raise damaged(source, "not a whole zip archive (truncated or damaged)") from None
    except OSError as error:
        raise _unreadable(source, error) from None


def _member(archive: zipfile.ZipFile, source: Path, name: str) -> bytes:
    try:
        return archive.read(name)
    except KeyError:
        raise damaged(source, f"member {name} is missing") from None
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, ValueError, RuntimeError) as error:
        raise damaged(source, f"member {name} can't be read ({error})") from None


def _file(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: OSError) -> DataError:
    return DataError(f"{path}: {error.strerror}; put the file there, or fix its permissions")
