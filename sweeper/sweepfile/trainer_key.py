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
    faults: Faults, stored: Callable[[Reference], Trainer | None] = nothing_stored, *, trusted: bool = True
) -> tuple[Reference, Trainer]:
    """Return the trainer that the document names, with the reference to it; without the key, the default one.

    If it can't be found, what `stored` knows of it takes its place. If the document is not `trusted`, no code that it
    names is run, so that what is stored takes the place of every trainer but the default one. Raises SweepFileError if
    nothing is stored: without a trainer no other key can be checked.
    """
    document = faults.document
    says = document.value.get("trainer", DEFAULT) if isinstance(document.value, dict) else DEFAULT
    if not isinstance(says, str | dict):
        what = "a name, package.module:OBJECT, file.py:OBJECT, or a mapping with command"
        faults.add(("trainer",), f"must be {what}, got {shown(says)}")
        faults.raise_if_any()
    reference = Reference(says, str(document.path.absolute().parent))
    try:
        if not trusted and says != DEFAULT:
            raise TrainerError(
                f"{shown(says)}: its description is absent beside this file, and code that a file from elsewhere names "
                "is not run; name the sweep FILE of your own"
            )
        return reference, find(reference if trusted else reference._replace(folder=""))  # there is code of networks
    except TrainerError as error:
        known = stored(reference)
        if known is None:
            faults.add(("trainer", *error.place), str(error))
            faults.raise_if_any()
        assert known is not None
        return reference, known
