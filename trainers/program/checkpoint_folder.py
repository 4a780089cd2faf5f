"""A program's checkpoint as bytes and back: a tar that depends on names and contents alone.

Holds plain files and no links, so that what comes from elsewhere can't leave the folder.
"""

import io
import os
import stat
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from trainers.sealed_file import naming

MOST_FILES = 10_000
MOST_BYTES = 2**30
LONGEST_NAME = 1000
_Seen = dict[str, tuple[int, int, int]]
_CHANGED = "{} changed after its line was printed; give every checkpoint a name of its own, and never change it"


class UnfitError(Exception):
    """A folder that can't be a checkpoint; it will be no better next time."""


class GoneError(Exception):
    """A checkpoint that is not in its folder, or no more."""


def packed(folder: Path, checkpoint: str) -> bytes:
    """Return the file or folder `checkpoint` in `folder`, alone. Raises UnfitError, GoneError, OSError."""
    before = _seen(folder, checkpoint)
    contents = {name: _content(folder / name, facts) for name, facts in sorted(before.items())}
    if _seen(folder, checkpoint) != before:
        raise UnfitError(_CHANGED.format(checkpoint))
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
            with naming(path), path.open("xb") as file:
                file.write(data)
        except (FileExistsError, NotADirectoryError, IsADirectoryError):
            raise ValueError(f"{name} is in it twice, or is a file and a folder") from None


def check(content: bytes) -> None:
    """Raise ValueError unless `unpack` could read `content`."""
    for _ in _files(content):
        pass


def _seen(folder: Path, checkpoint: str) -> _Seen:
    """Return size, time and identity of each file of `checkpoint`."""
    found: _Seen = {}
    total = 0
    for name in _walk(folder, checkpoint):
        try:
            facts = (folder / name).lstat()
        except FileNotFoundError:
            raise GoneError(f"{name} is not in the folder, or no more") from None
        if not stat.S_ISREG(facts.st_mode):
            raise UnfitError(f"{name} is no plain file; a checkpoint is a file, or a folder of files without links")
        if not name.isprintable() or len(name) > LONGEST_NAME:
            raise UnfitError(f"the name {name!r} is no printable text of up to {LONGEST_NAME} characters")
        found[name] = (facts.st_size, facts.st_mtime_ns, facts.st_ino)
        total += facts.st_size
        if len(found) > MOST_FILES or total > MOST_BYTES:
            raise UnfitError(
                f"{checkpoint} has more than {MOST_FILES} files or {MOST_BYTES / 2**20:.0f} MiB; keep less in it"
            )
    return found


def _walk(folder: Path, name: str) -> Iterator[str]:
    """Yield the names of the files of `name`, which is one itself or a folder of them."""
    path = folder / name
    if path.is_symlink() or not path.is_dir():
        yield name
        return
    if name.count("/") > 50:
        raise UnfitError(f"the folder {name} is deeper than 50 levels")
    try:
        inside = sorted(os.listdir(path))  # noqa: PTH208, the names are all that is needed
    except FileNotFoundError:
        raise GoneError(f"{name} is not in the folder, or no more") from None
    for one in inside:
        yield from _walk(folder, f"{name}/{one}")


def _content(path: Path, facts: tuple[int, int, int]) -> bytes:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise GoneError(f"{path.name} is not in the folder, or no more") from None
    if len(content) != facts[0]:
        raise UnfitError(_CHANGED.format(path.name))
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
