"""Atomic files: written beside their path and then renamed, and sealed with a digest of their content."""

import hashlib
import os
from pathlib import Path

_DIGITS = 64


def write_whole(path: Path, content: bytes) -> None:
    """Write `content` to `path`, replacing an older file only after the new one is complete and on disk.

    Raises OSError, and then leaves what was there as it was.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def seal(payload: bytes) -> bytes:
    """Return `payload` after the 64 hexadecimal digits of its sha256 and a newline."""
    return hashlib.sha256(payload).hexdigest().encode() + b"\n" + payload


def unseal(content: bytes) -> bytes | None:
    """Return the payload that `seal` was given, or None if `content` isn't whole."""
    payload = content[_DIGITS + 1 :]
    return payload if content[: _DIGITS + 1] == seal(payload)[: _DIGITS + 1] else None
