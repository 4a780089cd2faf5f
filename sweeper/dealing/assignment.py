"""What a dealer and a worker tell each other: plain data (JSON-able), so that any executor can carry it."""

from typing import Any, TypedDict

from analysis.contract.lifecycle import UpdateStatus
from trainers.maml.engines.table import EngineName


class Member(TypedDict):
    """One trial of an assignment; `folder` is the trial's, `attempt` the number it was dealt under."""

    trial_id: str
    attempt: int
    folder: str
    config: dict[str, Any]


class Assignment(TypedDict):
    """A pack of trials to train together, and where and how; a chunk every `chunk_s`, one in `timeout_s` at least.

    `share` is the part of its GPU's memory that it may take.
    """

    pack: int
    members: list[Member]
    data: dict[str, str]
    device: str
    engine: EngineName
    threads: int
    chunk_s: float
    timeout_s: float
    share: float


class MemberUpdate(TypedDict):
    """What is new of one trial: records as (step, key, value), and its status with a message if it has ended."""

    trial_id: str
    attempt: int
    step: int
    records: list[tuple[int, str, dict[str, Any]]]
    status: UpdateStatus
    message: str


class Update(TypedDict):
    """What is new of a pack; `over` when its worker has nothing more to do for it."""

    pack: int
    members: list[MemberUpdate]
    over: bool
