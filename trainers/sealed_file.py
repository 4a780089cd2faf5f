"""Atomic files: written beside their path and then renamed, and sealed with a digest of their content."""

import hashlib
import os
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from trainers.trainer import CheckpointError

_DIGITS = 64


def part_of(path: Path) -> Path:
    """Return the name under which this process writes `path` first. Nodes share process ids, so it holds the host."""
    return path.with_name(f".{path.name}.{socket.gethostname()}.{os.getpid()}.part")


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Give an OSError that names no file the name of `path`: calls on an open file don't know it."""
    try:
        yield
    except OSError as error:
        if error.filename is not None or error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


def write_whole(path: Path, content: bytes) -> None:
    """Write `content` to `path`, replacing an older file only after the new one is complete and on disk.

    Raises OSError that names the file, and then leaves what was there as it was.
    """
    write_together([(path, content)])


def write_together(files: Iterable[tuple[Path, bytes]]) -> None:
    """Write each (path, content), and replace older files only after all new ones are complete and on disk.

    A process that is killed meanwhile leaves all old files, except between the renames, which take microseconds each.
    Raises OSError like `write_whole`.
    """
    parts: list[tuple[Path, Path]] = []
    try:
        for path, content in files:
            parts.append((part_of(path), path))
            with naming(path), part_of(path).open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        for part, path in parts:
            with naming(path):
                part.replace(path)
    finally:
        for part, _ in parts:
            with suppress(OSError):  # what failed before says more
                part.unlink()


def seal(payload: bytes) -> bytes:
    """Return `payload` after the 64 hexadecimal digits of its sha256 and a newline."""
    return hashlib.sha256(payload).hexdigest().encode() + b"\n" + payload


def unseal(content: bytes) -> bytes | None:
    """Return the payload that `seal` was given, or None if `content` isn't whole."""
    payload = content[_DIGITS + 1 :]
    return payload if content[: _DIGITS + 1] == seal(payload)[: _DIGITS + 1] else None


def payload_of(path: Path) -> bytes:
    """Return the payload of a sealed file. Raises CheckpointError if it is missing or damaged, else OSError."""
    try:
        with naming(path):
            payload = unseal(path.read_bytes())
    except FileNotFoundError as error:
        raise CheckpointError(f"{path}: {error.strerror}") from None
    if payload is None:
        raise CheckpointError(f"{path}: its content does not match its digest; delete it to go on from an earlier one")
    return payload
