"""Imports the module that a plug is in: an installed one, or a file beside the sweep file. Judges nothing in it."""

import importlib
import importlib.util
import sys
from hashlib import sha256
from pathlib import Path
from types import ModuleType

from trainers.code import closure, code_of
from trainers.guarded import why
from trainers.trainer import TrainerError


def file_of(says: str, folder: str) -> Path | None:
    """Return the file that `file.py:OBJECT` names, seen from `folder`; None for an installed module."""
    place = says.rpartition(":")[0]
    return Path(folder, place) if place.endswith(".py") else None


def stamp_of(says: str, folder: str) -> str:
    """Return the hash of that file and of those that it imports from its folder, "" for an installed module."""
    file = file_of(says, folder)
    return "" if file is None else code_of([file.resolve()], file.resolve().parent)


def module_of(says: str, folder: str, stamp: str) -> ModuleType:
    """Return the module that `says` names before its last colon; `stamp` is that of its file.

    Raises TrainerError if it isn't there or can't be imported.
    """
    file = file_of(says, folder)
    return _imported(says, says.rpartition(":")[0]) if file is None else _from_file(says, file, stamp)


def _imported(says: str, module: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except Exception as error:
        hint = (
            "" if not isinstance(error, ModuleNotFoundError) else "; a file beside the sweep file is `file.py:OBJECT`"
        )
        raise TrainerError(f"{says}: {module} can't be imported: {why(error)}{hint}") from error


def _from_file(says: str, file: Path, stamp: str) -> ModuleType:
    """Return the module of `file`, under a name of its own. It can import other files of its folder.

    No bytecode is kept: Python takes it for that of any file of the same size that changes within a second.
    """
    if not file.is_file():
        raise TrainerError(f"{says}: there is no file {file}; give its path from the folder of the sweep file")
    name = f"trainer_{file.stem}_{sha256(f'{file.resolve()} {stamp}'.encode()).hexdigest()[:12]}"
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None and spec.loader is not None  # its name ends in .py
    module = importlib.util.module_from_spec(spec)
    folder = str(file.resolve().parent)
    _forget_siblings(says, file.resolve())
    if folder not in sys.path:
        sys.path.append(folder)  # last, so that no file beside the trainer hides an installed package
    sys.modules[name] = module  # dataclasses and pickle look there
    kept, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise TrainerError(f"{says}: {file} can't be imported: {why(error)}") from error
    finally:
        sys.dont_write_bytecode = kept
    return module


def _forget_siblings(says: str, file: Path) -> None:
    """Let the files that `file` imports from its folder be imported anew: they may have changed.

    Raises TrainerError if this process has a module of the same name from elsewhere, which would be taken instead.
    """
    for sibling in closure([file], file.parent) - {file}:
        parts = sibling.relative_to(file.parent).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        known = sys.modules.get(name)
        if known is None:
            continue
        place = getattr(known, "__file__", None)
        if place is None or Path(place).resolve() != sibling:
            raise TrainerError(
                f"{says}: {sibling.name} beside it has the name of another module that is loaded already, "
                f"{place or name}; rename the file"
            )
        del sys.modules[name]
