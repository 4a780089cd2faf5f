"""Refuses what a user names as a file and is none: reading a named pipe or a device may never end. Opens nothing."""

import errno
import os
import stat
from pathlib import Path

_KINDS = {
    stat.S_IFIFO: "a named pipe, not a file",
    stat.S_IFSOCK: "a socket, not a file",
    stat.S_IFCHR: "a device, not a file",
    stat.S_IFBLK: "a device, not a file",
}


def require_regular(path: Path) -> None:
    """Raise OSError, whose `strerror` says what `path` is, unless it is a file or a link to one."""
    kind = stat.S_IFMT(path.stat().st_mode)
    if kind == stat.S_IFDIR:
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if kind in _KINDS:
        raise OSError(errno.EINVAL, _KINDS[kind], str(path))
