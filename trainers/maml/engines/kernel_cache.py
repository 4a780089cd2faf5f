"""Compiles kernels, and keeps them for later processes of this user on this machine.

They are kept in a folder named after the sources of all engines, because numba's own check sees a change of the file of
a kernel and not of the files that it calls. Where nothing can be kept (a read-only home, a full disk), each process
compiles for itself. What is kept is code, so a folder that another user can write is never read.
"""

import gc
import hashlib
import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from fcntl import LOCK_EX, flock
from functools import lru_cache
from pathlib import Path
from typing import Any


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate a kernel: compiled at its first call, and kept where there is a place for that."""
    import numba

    settings: Any = numba.config
    how: dict[str, Any] = {"nogil": True, "fastmath": {"contract"}, "error_model": "numpy"}
    folder = kept_in()
    if folder is None:
        return _for_all_values(numba.njit(function, **how))
    usual, settings.CACHE_DIR = settings.CACHE_DIR, str(folder)
    try:
        kernel: Any = numba.njit(function, cache=True, **how)
    except RuntimeError:  # the folder can't be written any more
        return _for_all_values(numba.njit(function, **how))
    finally:
        settings.CACHE_DIR = usual
    kernel._cache = _Forgiving(kernel._cache)  # numba has no other way to go on when the disk is full
    return _for_all_values(kernel)


def _for_all_values(kernel: Any) -> Any:
    """Let `kernel` be compiled once for all values of an argument; numba compiles it for each constant in a call."""
    from numba import types

    usual = kernel.get_call_template

    def of_types(args: tuple[Any, ...], kws: dict[str, Any]) -> Any:
        return usual(tuple(map(types.unliteral, args)), {name: types.unliteral(kind) for name, kind in kws.items()})

    kernel.get_call_template = of_types
    return kernel


@contextmanager
def alone() -> Iterator[None]:
    """Let one process of this machine at a time compile in the block; the others find what it has kept.

    Python's search for cyclic garbage rests: it visits the objects of numba, for 6 % of the time, and finds none.
    """
    folder = kept_in()
    with ExitStack() as held:
        if gc.isenabled():
            gc.disable()
            held.callback(gc.enable)
        if folder is not None:
            with suppress(OSError):  # a file system without locks, or a full disk: two may compile the same
                flock(held.enter_context((folder / "lock").open("w")), LOCK_EX)
        yield


def nothing_kept() -> bool:
    """Return whether no kernel of these sources is kept on this machine, so that a training begins by compiling."""
    folder = kept_in()
    return folder is None or not any(folder.rglob("*.nbc"))


@lru_cache(maxsize=1)
def kept_in() -> Path | None:
    """Return the folder for kernels of these sources, or None if there is none that can be written.

    It is below NUMBA_CACHE_DIR, or else below the user's cache folder, or else below the temporary folder.
    """
    caches = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    given = os.environ.get("NUMBA_CACHE_DIR")
    usual = [Path(caches) / "sweeper", Path(tempfile.gettempdir()) / f"sweeper-{os.getuid()}"]
    for place in [Path(given)] if given else usual:
        folder = place / "kernels" / _sources()
        try:
            for part in (place, place / "kernels", folder):
                part.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not _is_ours(folder) or not _is_ours(place / "kernels"):
                continue
            with tempfile.TemporaryFile(dir=folder):
                return folder
        except OSError:
            continue
    return None


def _is_ours(folder: Path) -> bool:
    """Return whether this user owns `folder` and nobody else can write it."""
    facts = folder.stat()
    return facts.st_uid == os.getuid() and not facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _sources() -> str:
    """Return a digest of the source files of all engines."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(path.name.encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


class _Forgiving:
    """A kernel's cache that goes without saving where that fails."""

    def __init__(self, cache: Any) -> None:
        self._cache = cache

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cache, name)

    def save_overload(self, signature: Any, data: Any) -> None:
        try:
            self._cache.save_overload(signature, data)
        except OSError:
            self._cache.disable()
