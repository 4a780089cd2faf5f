"""What Linux tells of other processes."""

import contextlib
from pathlib import Path


def state_of(pid: int | str) -> str:
    """Return the letter for what a process does: "T" if it is stopped, "Z" if it has ended, "" if it is gone."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[0]
    return ""


def alive(pid: int | str) -> bool:
    """Say whether a process has not ended."""
    return state_of(pid) not in ("", "Z")
