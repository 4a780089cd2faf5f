"""Code that a config names besides its trainer's own, such as a network: its hash, and what is wrong with it.

Owns a protocol that a trainer may have, and the questions that any trainer can be asked.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple, Protocol

from pydantic import BaseModel

from trainers.trainer import Problem, Trainer


class Code(NamedTuple):
    """The hash of code that trains, "" for none, and whose it is: `trainer toy`, `network net.py:small`."""

    of: str
    hash: str


class NamesCode(Protocol):
    """What a trainer may have whose configs name code."""

    def named_code(self, config: BaseModel) -> Code | None:
        """Return the code that `config` names, None for none. Runs nothing of it."""

    def named_faults(self, config: BaseModel) -> Iterable[Problem]:
        """Return what is wrong with that code. This may run it."""


def code_of(trainer: Trainer, config: BaseModel) -> Code:
    """Return the code that trains `config`: what the config names, or else the trainer's own."""
    asked: Any = getattr(trainer, "named_code", None)
    named = asked(config) if asked else None
    return named or Code(f"trainer {trainer.name}", trainer.code())


def faults_of(trainer: Trainer, config: BaseModel) -> list[Problem]:
    """Return what is wrong with the code that `config` names."""
    asked: Any = getattr(trainer, "named_faults", None)
    return [*asked(config)] if asked else []
