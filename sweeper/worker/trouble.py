"""What goes wrong in a worker, told apart: the storage's fault, the trainer's, too little memory, other code."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from analysis.contract.lifecycle import UpdateStatus
from sweeper.worker.log import STORAGE_ERRORS
from trainers.named_code import Code, code_of
from trainers.trainer import Diverged, Trainer


class StorageFailedError(Exception):
    """The storage of this project's own files failed; never the trainer's fault."""


@contextmanager
def own_files() -> Iterator[None]:
    """Turn every OSError of the block, which reads or writes data, logs or checkpoints, into a StorageFailedError."""
    try:
        yield
    except OSError as error:
        raise StorageFailedError(str(error)) from error


class OtherCodeError(Exception):
    """The trainer that this process has imported is not the one that the run began with."""


def require_code(trainer: Trainer, values: Mapping[str, Any], wanted: str) -> None:
    """Raise OtherCodeError if the code that trains the config of `values` has another hash here than `wanted`."""
    named = hasattr(trainer, "named_code")  # else the values need not be those of a config of this code
    of, here = code_of(trainer, trainer.resolve(values)) if named else Code(f"trainer {trainer.name}", trainer.code())
    if here != wanted:
        raise OtherCodeError(
            f"the code of {of} changed after the run began: {here[:12] or 'not known'} is this "
            f"worker's, and {wanted[:12] or 'not known'} is the driver's; run the same command again"
        )


def status_of(error: Exception, members: int) -> UpdateStatus:
    """Return what `error` means for the trials of a pack of `members`."""
    torch = sys.modules.get("torch")  # a trainer without torch can't run out of its memory
    if isinstance(error, MemoryError) or (torch is not None and isinstance(error, torch.cuda.OutOfMemoryError)):
        return "memory"
    if isinstance(error, OtherCodeError):
        return "changed"
    if isinstance(error, Diverged) and members == 1:  # in a pack nobody knows which: each is tried alone
        return "diverged"
    if isinstance(error, StorageFailedError) or (isinstance(error, OSError) and error.errno in STORAGE_ERRORS):
        return "storage"
    return "failed"
