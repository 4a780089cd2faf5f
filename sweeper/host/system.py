"""The operating system of this machine. Linux is tested; docs/platforms.md says what differs on others."""

import importlib.util
import os
import platform
from typing import Literal

System = Literal["Linux", "WSL", "macOS", "another system"]

WITHOUT_LOCKS = (
    "sweeper does not run here, because this system has no POSIX file locks; on Windows, install sweeper in WSL 2 and "
    "run it there"
)


def system() -> System:
    """Return which system this is. WSL is Linux in a virtual machine of Windows."""
    name = platform.system()
    if name == "Linux":
        return "WSL" if "microsoft" in platform.release().lower() else "Linux"
    return "macOS" if name == "Darwin" else "another system"


def has_locks() -> bool:
    """Return whether this system has the file locks that every results folder needs; Windows has none."""
    return importlib.util.find_spec("fcntl") is not None


def usable_cpus() -> int:
    """Return the number of CPU cores that this process may use; all of them where none can be withheld (macOS)."""
    allowed = getattr(os, "sched_getaffinity", None)
    return len(allowed(0)) if allowed else os.cpu_count() or 1
