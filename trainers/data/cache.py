"""The cache folder: where it is, its locks, and its errors in words. Knows no data set."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from trainers.data.archives import DataError


def cache_folder() -> Path:
    """Return the folder of converted arrays: SWEEPER_CACHE, else `user_folder`; it need not exist."""
    folder = os.environ.get("SWEEPER_CACHE")
    return expanded(Path(folder)) if folder else user_folder()


def user_folder() -> Path:
    """Return the folder sweeper in the user's cache folder (XDG_CACHE_HOME, else ~/.cache)."""
    return expanded(Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache")) / "sweeper"


def expanded(path: Path) -> Path:
    """Return `path` with the home folder in place of ~. Raises DataError if there is none."""
    try:
        return path.expanduser()
    except RuntimeError:
        raise DataError(f"{path}: no home folder is known for {path.parts[0]}; give the full path") from None


@contextmanager
def locked(name: str) -> Iterator[Path]:
    """Hold the lock on converting `name`; a second process waits here and then finds the array."""
    import fcntl  # here, because Windows lacks it and can still plan

    folder = cache_folder()
    with explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / f".{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield folder


@contextmanager
def explained(folder: Path) -> Iterator[None]:
    """Turn an OSError about the cache into a DataError."""
    try:
        yield
    except OSError as error:
        raise DataError(
            f"{folder}: {error.strerror}; name a writable folder with enough space in SWEEPER_CACHE"
        ) from None
