"""The worker's side: the one place where a trainer, a checkpoint and an assignment meet.

An assignment and an update are plain data (JSON-able), so that any executor can carry them. Trouble is data too:
`step` never raises, it returns an update that says what went wrong.
"""

import errno
import logging
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, TypedDict

from sweeper.results import TrialPaths

logger = logging.getLogger(__name__)

CHECKPOINT_EVERY_S = 30.0
KEPT_CHECKPOINTS = 2

UpdateStatus = Literal["running", "done", "diverged", "failed", "memory", "storage"]
"""`failed` is an exception of the trainer, `memory` too little of it, `storage` a results folder full or read-only."""

STORAGE_ERRORS = frozenset({errno.ENOSPC, errno.EROFS, errno.EDQUOT, errno.EACCES, errno.EPERM})


class Member(TypedDict):
    """One trial of an assignment; `folder` is the trial's, `attempt` the number it was dealt under."""

    trial_id: str
    attempt: int
    folder: str
    config: dict[str, Any]


class Assignment(TypedDict):
    """A pack of trials to train together, and where and how."""

    pack: int
    members: list[Member]
    data: dict[str, str]
    device: str
    engine: str
    threads: int
    chunk_s: float


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


class Work:
    """One assignment under way in this process."""

    def __init__(self, assignment: Assignment) -> None:
        self._assignment = assignment
        self._chunks: Iterator[Any] | None = None
        self._last: Any = None
        self._saved_s = time.monotonic()
        self._over = False

    def step(self) -> Update:
        """Train one chunk further and return what is new."""
        try:
            chunk = next(self._started(), None)
            if chunk is None:
                raise RuntimeError("the trainer ended without a last chunk")
            return self._updated(chunk)
        except Exception as error:
            self._over = True
            return self._trouble(error)

    def save(self) -> None:
        """Checkpoint the last chunk's boundary, if there is one and the work isn't over. Never raises OSError."""
        if self._over or self._last is None:
            return
        try:
            self._save(self._last)
        except OSError as error:
            logger.warning("no checkpoint at step %d: %s", self._last.step, error)

    def _started(self) -> Iterator[Any]:
        if self._chunks is None:
            import torch

            from trainers.config import resolve
            from trainers.datasets import Prepared
            from trainers.device import load_pixels
            from trainers.train import train

            torch.set_num_threads(self._assignment["threads"])
            data = self._assignment["data"]
            prepared = Prepared(name=data["name"], path=Path(data["path"]), digest=data["digest"])
            members = self._assignment["members"]
            for member in members:
                self._attempt_folder(member).mkdir(parents=True, exist_ok=True)
            self._chunks = train(
                [resolve(member["config"]) for member in members],
                load_pixels(prepared, self._assignment["device"]),
                states=_states(members),
                engine=self._assignment["engine"],
                chunk_s=self._assignment["chunk_s"],
            )
        return self._chunks

    def _updated(self, chunk: Any) -> Update:
        self._last = chunk
        self._over = all(run.status != "running" for run in chunk.runs)
        if self._over or time.monotonic() - self._saved_s > CHECKPOINT_EVERY_S:
            self._save(chunk)
        members = [
            MemberUpdate(
                trial_id=member["trial_id"],
                attempt=member["attempt"],
                step=chunk.step,
                records=[tuple(record) for record in run.records],
                status=run.status,
                message=run.message,
            )
            for member, run in zip(self._assignment["members"], chunk.runs, strict=True)
        ]
        return Update(pack=self._assignment["pack"], members=members, over=self._over)

    def _save(self, chunk: Any) -> None:
        from trainers.checkpoint import save

        for member, run, state in zip(self._assignment["members"], chunk.runs, chunk.states(), strict=True):
            if run.status == "diverged":
                continue
            paths = TrialPaths(Path(member["folder"]))
            save(paths.checkpoint(member["attempt"], state.step), state)
            for old in paths.checkpoints(state.step, member["attempt"])[KEPT_CHECKPOINTS:]:
                old.unlink()
        self._saved_s = time.monotonic()

    def _trouble(self, error: Exception) -> Update:
        status = _status_of(error)
        return Update(
            pack=self._assignment["pack"],
            members=[
                MemberUpdate(
                    trial_id=member["trial_id"],
                    attempt=member["attempt"],
                    step=self._last.step if self._last else 0,
                    records=[],
                    status=status,
                    message="".join(traceback.format_exception(error)),
                )
                for member in self._assignment["members"]
            ],
            over=True,
        )

    def _attempt_folder(self, member: Member) -> Path:
        return TrialPaths(Path(member["folder"])).attempt(member["attempt"])


def _status_of(error: Exception) -> UpdateStatus:
    import torch

    if isinstance(error, MemoryError | torch.cuda.OutOfMemoryError):
        return "memory"
    if isinstance(error, OSError) and error.errno in STORAGE_ERRORS:
        return "storage"
    return "failed"


def _states(members: list[Member]) -> list[Any] | None:
    """Return each member's furthest whole checkpoint of any attempt, or None if they start from nothing.

    A damaged checkpoint is passed over for an earlier one. Members of a pack that are at different points start
    again from nothing rather than wait for each other.
    """
    states = [_furthest(TrialPaths(Path(member["folder"])), member["config"]["outer_steps"]) for member in members]
    if any(state is None for state in states):
        return None
    alike = len({(state.step, state.correct.shape) for state in states}) == 1
    return states if alike else None


def _furthest(paths: TrialPaths, target: int) -> Any | None:
    from trainers.checkpoint import CheckpointError, read

    for path in paths.checkpoints(target):
        try:
            return read(path)
        except CheckpointError as error:
            logger.warning("passed over: %s", error)
    return None
