"""Processes that are known by what stands in their environment, which all that they start inherit."""

import contextlib
from pathlib import Path


def marked(name: str, value: str) -> dict[int, str]:
    """Return the living processes whose environment has `name`=`value`, by id, with their command lines."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended meanwhile, or isn't ours to look into
            if f"{name}={value}".encode() in (folder / "environ").read_bytes():
                found[int(folder.name)] = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
    return found
