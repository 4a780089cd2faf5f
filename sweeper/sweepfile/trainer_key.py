"""The key `trainer:` of a sweep file: which trainer the file is for. Imports a plug only through the registry."""

from collections.abc import Callable

from sweeper.errors import shown
from sweeper.sweepfile.yaml_source import Faults
from trainers.registry import find
from trainers.trainer import DEFAULT, Reference, Trainer, TrainerError


def nothing_stored(_: Reference) -> Trainer | None:
    """Return None: no results folder is known."""
    return None


def read_trainer(
    faults: Faults, stored: Callable[[Reference], Trainer | None] = nothing_stored
) -> tuple[Reference, Trainer]:
    """Return the trainer that the document names, with the reference to it; without the key, the default one.

    If it can't be found, what `stored` knows of it takes its place. Raises SweepFileError if that is nothing: without
    a trainer no other key can be checked.
    """
    document = faults.document
    says = document.value.get("trainer", DEFAULT) if isinstance(document.value, dict) else DEFAULT
    if not isinstance(says, str | dict):
        what = "a name, package.module:OBJECT, file.py:OBJECT, or a mapping with command"
        faults.add(("trainer",), f"must be {what}, got {shown(says)}")
        faults.raise_if_any()
    reference = Reference(says, str(document.path.absolute().parent))
    try:
        return reference, find(reference)
    except TrainerError as error:
        known = stored(reference)
        if known is None:
            faults.add(("trainer", *error.place), str(error))
            faults.raise_if_any()
        assert known is not None
        return reference, known
