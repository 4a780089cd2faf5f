"""Finds trainers: by name, as `package.module:OBJECT`, as `file.py:OBJECT` beside the sweep file, or as a command.

A trainer's own module is imported by `trainers.plug_modules`. Does not look into a results folder.
"""

import json
from collections.abc import Mapping
from functools import lru_cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from trainers.described import describe
from trainers.guarded import guarded, why
from trainers.plug_modules import module_of, stamp_of
from trainers.showing import SHOWING
from trainers.trainer import DEFAULT, MEMBERS, Metric, Reference, Trainer, TrainerError
from trainers.tuned import TUNED

GROUP = "sweeper.trainers"
"""The entry points of installed trainers, besides those that ship."""


def names() -> list[str]:
    """Return the names of the trainers that are installed, sorted, the default one included."""
    return sorted({DEFAULT, "protonet", *(entry.name for entry in entry_points(group=GROUP))})


def find(reference: Reference) -> Trainer:
    """Return the trainer of `reference`. Raises TrainerError that says what can't be found, or what the trainer lacks.

    In one process a trainer is found once, as long as its file and those that it imports from its folder do not change.
    """
    says, folder = reference
    if says == DEFAULT:
        from trainers.maml.trainer import MAML, MamlTrainer

        return MamlTrainer(folder) if folder else MAML  # its networks may be files of that folder
    if says == "protonet":
        from trainers.protonet.trainer import PROTONET, ProtonetTrainer

        return ProtonetTrainer(folder) if folder else PROTONET
    if isinstance(says, Mapping):
        return _of_command(json.dumps(says, sort_keys=True), folder)
    return _found(says, folder, stamp_of(says, folder))


@lru_cache(maxsize=64)
def _of_command(says: str, folder: str) -> Trainer:
    from trainers.program.trainer import from_mapping

    return checked(from_mapping(json.loads(says), Path(folder)), "a command")


@lru_cache(maxsize=64)
def _found(says: str, folder: str, stamp: str) -> Trainer:
    place, colon, name = says.rpartition(":")
    if not colon:
        return checked(_installed(says), says)
    module = module_of(says, folder, stamp)
    if not name.isidentifier() or not hasattr(module, name):
        offered = [key for key, value in vars(module).items() if not key.startswith("_") and _looks_like_one(value)]
        raise TrainerError(f"{says}: {place} has no {name!r}; its trainers are {', '.join(offered) or 'none'}")
    return checked(getattr(module, name), says)


def _installed(name: str) -> Any:
    found = [entry for entry in entry_points(group=GROUP) if entry.name == name]
    if not found:
        raise TrainerError(
            f"there is no trainer {name!r}; installed are {', '.join(names())}, and one of your own is "
            "`package.module:OBJECT` or `file.py:OBJECT`"
        )
    try:
        return found[0].load()
    except Exception as error:
        raise TrainerError(f"{name}: its entry point {found[0].value} can't be loaded: {why(error)}") from error


def _looks_like_one(value: Any) -> bool:
    return all(hasattr(value, member) for member in ("config", "metrics", "train"))


def checked(found: Any, says: str) -> Trainer:
    """Return `found`, guarded, if it has every member of a trainer. Raises TrainerError that names the wrong ones."""
    lacking = [member for member in MEMBERS if not hasattr(found, member)]
    if lacking:
        hint = "; `@trainer` makes a trainer of a function" if callable(found) else ""
        raise TrainerError(f"{says}: is no trainer, because it lacks {', '.join(lacking[:4])}{hint}")
    try:
        for member, fault in _faults(found):
            raise TrainerError(f"{says}: its {member} {fault}")
        describe(found)
    except TrainerError:
        raise
    except Exception as error:  # a member of a type that no check expects
        raise TrainerError(f"{says}: its members can't be read: {why(error)}") from error
    trainer = guarded(found, (*TUNED, *SHOWING))
    trainer.code()  # noted now: its files may change while this process goes on with what it has loaded
    return trainer


def _faults(found: Any) -> list[tuple[str, str]]:
    faults: list[tuple[str, str]] = []
    if not isinstance(found.name, str) or not found.name.strip() or not found.name.isprintable():
        faults.append(("name", f"must be a printable text, got {found.name!r}"))
    if found.name == DEFAULT:
        faults.append(("name", f"is {DEFAULT!r}, which is the default trainer's; choose another"))
    if not (isinstance(found.config, type) and issubclass(found.config, BaseModel)):
        return [*faults, ("config", f"must be a pydantic model, got {found.config!r}")]
    fields = found.config.model_fields
    if "seed" not in fields or fields["seed"].annotation is not int:
        faults.append(("config", "must have a field `seed: int`, since every trial has a seed"))
    if found.length is not None and found.length not in fields:
        faults.append(("length", f"names {found.length!r}, which is no field of its config"))
    elif found.length is not None and fields[found.length].annotation is not int:
        faults.append(("length", f"names {found.length!r}, which is not a field of whole numbers"))
    for name in sorted(set(found.packable) - fields.keys()):
        faults.append(("packable", f"names {name!r}, which is no field of its config"))
    if not found.metrics:
        faults.append(("metrics", "is empty; name at least one number that it measures"))
    for name, metric in found.metrics.items():
        if not isinstance(metric, Metric):
            faults.append(("metrics", f"must map names to Metric, got {metric!r} for {name!r}"))
    return faults
