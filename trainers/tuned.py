"""What a trainer may offer besides the protocol, for speed alone: kernels made beforehand, and packs that are measured.

Owns the second protocol and the questions that any trainer can be asked. No bit of a training depends on an answer.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple, Protocol, runtime_checkable

from pydantic import BaseModel

from trainers.trainer import Trainer

OF_MEMORY = 0.8
"""The share of free memory that a pack may use; the rest is for gaps in the allocator."""


class Command(NamedTuple):
    """A program to run: its words, and the text that it gets on its standard input."""

    words: tuple[str, ...]
    given: str = ""


@runtime_checkable
class Tuned(Protocol):
    """What sweeper asks of a trainer that has it. `modules` are imported by every worker of a run when it starts."""

    modules: tuple[str, ...]

    def kernels(self, engine: str) -> Mapping[str, str]:
        """Return what compiles the kernels of `engine` here and for which instruction set; empty if it has none.

        The last bits of a training depend on them.
        """

    def compiling(self, trials: Iterable[tuple[str, BaseModel]]) -> Command | None:
        """Return what compiles the kernels of `trials` (engine, config); None if none is needed that isn't kept."""

    def demand(self, config: BaseModel) -> int:
        """Return a number that grows with the memory that one step of `config` takes."""

    def measuring(self, config: BaseModel, device: str, data_root: Path, most: int, engine: str | None) -> Command:
        """Return what measures packs of up to `most` trials like `config`.

        It prints a JSON object: `runs`, the size to use; `measured`, a list of a `runs`, `step_s` and `peak_bytes` for
        each size that was tried; `free_bytes` of the GPU. It ends with a sentence on standard error if it can't.
        """


TUNED: tuple[str, ...] = ("modules", *(name for name in vars(Tuned) if not name.startswith("_")))
"""The names of the members of Tuned."""


def kernels(trainer: Trainer, engine: str) -> Mapping[str, str]:
    """Return what compiles the kernels of `engine` here; empty for a trainer without kernels."""
    return trainer.kernels(engine) if isinstance(trainer, Tuned) else {}


def modules(trainers: Iterable[Trainer]) -> tuple[str, ...]:
    """Return the names of the modules that workers of these trainers import when they start, each once."""
    found = (name for trainer in trainers if isinstance(trainer, Tuned) for name in trainer.modules)
    return tuple(dict.fromkeys(found))
