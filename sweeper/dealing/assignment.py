"""The messages between a dealer and a worker: plain data (JSON-able), so that any executor can carry them."""

from collections.abc import Mapping
from typing import Any, NotRequired, TypedDict

from analysis.contract.lifecycle import UpdateStatus
from trainers.trainer import DEFAULT, Reference


class Member(TypedDict):
    """One trial of an assignment; `folder` is the trial's folder, `attempt` the number of this attempt."""

    trial_id: str
    attempt: int
    folder: str
    config: dict[str, Any]


class TrainerFound(TypedDict):
    """How a worker finds the trainer (see `trainers.trainer.Reference`), and the hash of its code, "" for none.

    With `config`, the hash is that of the code which these values name, such as a network.
    """

    says: str | Mapping[str, Any]
    folder: str
    code: str
    config: NotRequired[dict[str, Any]]


class Assignment(TypedDict):
    """A pack of trials to train together, where and how. The worker reports a chunk about every `chunk_s` seconds.

    It ends itself if a chunk takes longer than `timeout_s`. `share` in (0, 1] is its part of the GPU's memory. `data`
    is empty for a trainer without data. Without `trainer`, the trainer is MAML.
    """

    pack: int
    members: list[Member]
    data: dict[str, str]
    device: str
    engine: str
    threads: int
    chunk_s: float
    timeout_s: float
    share: float
    trainer: NotRequired[TrainerFound]


MAML = TrainerFound(says=DEFAULT, folder="", code="")


def reference_in(assignment: Assignment) -> Reference:
    """Return how the trainer of an assignment is found."""
    found = assignment.get("trainer", MAML)
    return Reference(found["says"], found["folder"])


class MemberUpdate(TypedDict):
    """News of one trial: new records as (step, key, value), and its status, with a message if it has ended."""

    trial_id: str
    attempt: int
    step: int
    records: list[tuple[int, str, dict[str, Any]]]
    status: UpdateStatus
    message: str


class Update(TypedDict):
    """News of a pack; `over` when its worker has finished with it."""

    pack: int
    members: list[MemberUpdate]
    over: bool
