"""A folder of files as bytes and back: a tar that depends on names and contents alone, for a program's checkpoints.

Holds plain files and no links, so that what comes from elsewhere can't leave the folder.
"""

import io
import os
import stat
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

MOST_FILES = 10_000
MOST_BYTES = 2**30
LONGEST_NAME = 1000
_Seen = dict[str, tuple[int, int, int]]


class UnfitError(Exception):
    """A folder that can't be a checkpoint; it will be no better next time."""


class ChangedError(Exception):
    """A folder in which something changed while it was read."""


def packed(folder: Path) -> bytes:
    """Return the content of `folder`. Raises UnfitError, ChangedError, OSError."""
    before = _seen(folder)
    contents = {name: _content(folder / name, facts) for name, facts in sorted(before.items())}
    if _seen(folder) != before:
        raise ChangedError("its files changed while they were read")
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, content in contents.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o644
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def unpack(content: bytes, folder: Path) -> None:
    """Write the files in `content` into the empty `folder`. Raises ValueError for what `packed` has not made."""
    for name, data in _files(content):
        path = folder / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("xb") as file:
                file.write(data)
        except (FileExistsError, NotADirectoryError, IsADirectoryError):
            raise ValueError(f"{name} is in it twice, or is a file and a folder") from None


def check(content: bytes) -> None:
    """Raise ValueError unless `unpack` could read `content`."""
    for _ in _files(content):
        pass


def _seen(folder: Path) -> _Seen:
    """Return size, time and identity of each file below `folder`."""
    found: _Seen = {}
    total = 0
    for name, entry in _walk(folder, ""):
        try:
            facts = entry.stat(follow_symlinks=False)
        except FileNotFoundError:
            raise ChangedError(f"{name} vanished while the folder was read") from None
        if not stat.S_ISREG(facts.st_mode):
            raise UnfitError(f"{name} is no plain file; a checkpoint folder holds files and folders, and no links")
        if not name.isprintable() or len(name) > LONGEST_NAME:
            raise UnfitError(f"the name {name!r} is no printable text of up to {LONGEST_NAME} characters")
        found[name] = (facts.st_size, facts.st_mtime_ns, facts.st_ino)
        total += facts.st_size
        if len(found) > MOST_FILES or total > MOST_BYTES:
            raise UnfitError(
                f"the folder has more than {MOST_FILES} files or {MOST_BYTES / 2**20:.0f} MiB; keep less in it"
            )
    return found


def _walk(folder: Path, above: str) -> Iterator[tuple[str, os.DirEntry[str]]]:
    try:
        with os.scandir(folder / above) as entries:
            listed = list(entries)
    except FileNotFoundError:
        raise ChangedError(f"{above or folder.name} vanished while the folder was read") from None
    for entry in listed:
        name = f"{above}/{entry.name}" if above else entry.name
        if entry.is_dir(follow_symlinks=False):
            if name.count("/") > 50:
                raise UnfitError(f"the folder {name} is deeper than 50 levels")
            yield from _walk(folder, name)
        else:
            yield name, entry


def _content(path: Path, facts: tuple[int, int, int]) -> bytes:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise ChangedError(f"{path.name} vanished while the folder was read") from None
    if len(content) != facts[0]:
        raise ChangedError(f"{path.name} changed while the folder was read")
    return content


def _files(content: bytes) -> Iterator[tuple[str, bytes]]:
    if not content:
        return
    count = total = 0
    try:
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:") as archive:
            for entry in archive:
                count, total = count + 1, total + entry.size
                if count > MOST_FILES or total > MOST_BYTES:
                    raise ValueError("it is too large")
                if entry.type not in (tarfile.REGTYPE, tarfile.AREGTYPE) or entry.issparse():
                    raise ValueError(f"{entry.name!r} is no plain file")
                path = PurePosixPath(entry.name)
                if path.is_absolute() or not path.parts or ".." in path.parts or not entry.name.isprintable():
                    raise ValueError(f"{entry.name!r} leads out of the folder")
                file = archive.extractfile(entry)
                data = b"" if file is None else file.read()
                if len(data) != entry.size:
                    raise ValueError(f"{entry.name!r} is cut short")
                yield str(path), data
    except (tarfile.TarError, EOFError, OverflowError, UnicodeError) as error:
        raise ValueError(f"not the folder of a program ({error})") from None
