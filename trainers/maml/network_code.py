"""Where the code of a network of one's own is, and its hash. Runs none of it and loads no torch."""

import importlib.util
from pathlib import Path

from trainers.code import code_of, code_of_module, files_of_module


def hash_of(network: str) -> str:
    """Return the hash of the code of `network`, `FILE.py:FUNCTION` or `package.module:FUNCTION`; "" if there is none.

    It covers the file, and the files that this one imports from its own folder.
    """
    place = network.rpartition(":")[0]
    file = _file_of(place)
    if file is None or not file.is_file():
        return ""
    if place.endswith(".py"):
        return code_of([file.resolve()], file.resolve().parent)
    return code_of_module(place, str(file))


def _file_of(place: str) -> Path | None:
    if place.endswith(".py"):
        return Path(place)
    top, *inner = place.split(".")
    try:
        found = importlib.util.find_spec(top)  # of a module without dots, so that nothing is imported
    except (ImportError, ValueError, AttributeError):
        return None
    if found is None:
        return None
    if not inner:
        return None if found.origin is None else Path(found.origin)
    roots = [Path(folder).parent for folder in found.submodule_search_locations or ()]
    files = [*files_of_module(place, roots)]
    ends = (f"{inner[-1]}.py", f"{inner[-1]}/__init__.py")
    return files[-1] if files and files[-1].as_posix().endswith(ends) else None
