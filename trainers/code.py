"""A hash of the code of a plug: its own file, and the files of its folder that it imports. Runs no code.

Imports are followed by reading the statements. What a name computed at run time imports is not seen.
"""

import ast
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

DIGITS = 16
LARGEST = 64 * 2**20
"""Of a larger file, the size alone enters the hash: it holds data and not code."""


def code_of(files: Iterable[Path], folder: Path, roots: Iterable[Path] = ()) -> str:
    """Return 16 hex digits of `files` and of the Python files in `folder` that they import, in turn.

    Names of modules begin in `folder`, in the folder of the package that it belongs to, or in one of `roots`. A file
    that is missing or can't be read enters with its name alone.
    """
    hashed = hashlib.sha256()
    for path in sorted(closure(files, folder, roots)):
        name = path.relative_to(folder).as_posix() if path.is_relative_to(folder) else path.name
        hashed.update(f"{len(name)} {name} {_content(path)}\n".encode())
    return hashed.hexdigest()[:DIGITS]


def code_of_module(name: str, file: str | None) -> str:
    """Return the hash of the module `name` in `file`, "" for one without a file, such as a notebook's."""
    if file is None or not Path(file).is_file():
        return ""
    path = Path(file).resolve()
    return code_of([path], path.parent, [path.parents[min(name.count("."), len(path.parents) - 1)]])


def closure(files: Iterable[Path], folder: Path, roots: Iterable[Path] = ()) -> set[Path]:
    """Return `files` and every Python file in `folder` that they import, directly or by way of others."""
    begins = [folder, _outside(folder), *roots]
    found: set[Path] = set()
    waiting = list(files)
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting += [one for one in _imported(path, begins) if one.is_relative_to(folder)]
    return found


def _outside(folder: Path) -> Path:
    """Return the folder from which the package that `folder` belongs to is imported."""
    while (folder / "__init__.py").is_file() and folder != folder.parent:
        folder = folder.parent
    return folder


def _content(path: Path) -> str:
    try:
        size = path.stat().st_size
        return hashlib.sha256(path.read_bytes()).hexdigest() if size <= LARGEST else f"{size} bytes"
    except OSError:
        return "unreadable"


def _imported(path: Path, begins: Sequence[Path]) -> Iterator[Path]:
    """Yield the files that the import statements of `path` name."""
    if path.suffix != ".py":
        return
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from files_of_module(alias.name, begins)
        elif isinstance(node, ast.ImportFrom):
            above = path.parents[min(node.level, len(path.parents)) - 1] if node.level else None
            for alias in node.names:
                name = f"{node.module}.{alias.name}" if node.module else alias.name
                yield from files_of_module(name, begins if above is None else [above])


def files_of_module(name: str, begins: Iterable[Path]) -> Iterator[Path]:
    """Yield the files of the module `name` below any of `begins`, and of the packages on the way to it."""
    for begin in begins:
        at = begin
        for word in name.split("."):
            files = (at / f"{word}.py", at / word / "__init__.py")
            yield from (file for file in files if file.is_file())
            at = at / word
            if not at.is_dir():
                break
