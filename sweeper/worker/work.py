"""Trains one assignment: the only place where a trainer, a checkpoint and an assignment meet.

An error is data: `step` never raises, it returns an update that says what went wrong. Writes no journal.
"""

import os
import socket
import time
import traceback
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from analysis.contract.lifecycle import UpdateStatus
from sweeper.dealing.assignment import Assignment, Member, MemberUpdate, Update
from sweeper.host.provenance import kernels
from sweeper.results.paths import CHECKPOINTS_KEPT, TrialPaths
from sweeper.worker.log import STORAGE_ERRORS, TrialLog, versions

if TYPE_CHECKING:
    from trainers.trainer import Record

_PASSES = {"evaluation": "", "final": "last pass, "}
_HEADS = {"trained": "as trained", "zeroed": "with the head zeroed"}

CHECKPOINT_EVERY_S = 30.0


class Work:
    """One assignment in progress in this process."""

    def __init__(self, assignment: Assignment, *, watched: bool = False) -> None:
        """If `watched`, this process ends when a step takes longer than the assignment's timeout."""
        self._assignment = assignment
        self._watched = watched
        self._members = assignment["members"]
        self._leaving: list[MemberUpdate] = []
        self._logs: list[TrialLog] = []
        self._opened: list[TrialLog] = []
        self._chunks: Iterator[Any] | None = None
        self._resent: list[int] = []
        self._last: Any = None
        self._saved_s = time.monotonic()
        self._stopped: set[int] = set()
        self._over = False

    def step(self) -> Update:
        """Train one more chunk and return what is new, or what went wrong."""
        try:
            with _own_files():
                self._open_logs()
            with self._watch():
                with _own_files():
                    chunks = self._started()
                chunk = next(chunks, None)
                if chunk is None:
                    raise RuntimeError("the trainer ended without a last chunk")
                with _own_files():
                    update = self._updated(chunk)
        except Exception as error:
            self._over = True
            update = self._trouble(error)
        if self._over:
            self._close_logs()
        return update

    def save(self) -> None:
        """Write a checkpoint at the end of the last chunk, unless the work is over. Never raises OSError."""
        with suppress(OSError):
            if not self._over and self._last is not None:
                try:
                    self._save(self._last)
                except OSError as error:
                    self._say(f"no checkpoint at step {self._last.step}: {error}")
                self._say(f"left at step {self._last.step}")
        self._close_logs()

    def _open_logs(self) -> None:
        if self._logs:
            return
        work, members = self._assignment, self._assignment["members"]
        here = kernels(work["engine"])
        compiled_for = f", kernels for {here['instruction_set']}" if here else ""
        for member in members:
            paths = TrialPaths(Path(member["folder"]))
            paths.attempt(member["attempt"]).mkdir(parents=True, exist_ok=True)
            log = TrialLog(paths.log(member["attempt"]))
            self._logs.append(log)
            log.say(
                f"attempt {member['attempt']} of {member['trial_id']} begun by process {os.getpid()} on "
                f"{socket.gethostname()}: engine {work['engine']}, device {work['device']}, "
                f"threads {work['threads']}, {versions()}{compiled_for}"
            )
            if len(members) > 1:
                log.say(f"in a pack of {len(members)}: {', '.join(mate['trial_id'] for mate in members)}")
        self._opened = self._logs

    def _close_logs(self) -> None:
        for log in self._opened:
            log.close()

    def _say(self, text: str) -> None:
        """Write `text` to the log of every member that was not stopped."""
        for index, log in enumerate(self._logs):
            if index not in self._stopped:
                log.say(text)

    def _watch(self) -> AbstractContextManager[None]:
        return self._logs[0].watched(self._assignment["timeout_s"]) if self._watched else nullcontext()

    def _started(self) -> Iterator[Any]:
        if self._chunks is None:
            import torch

            from trainers.data.datasets import Prepared
            from trainers.data.on_device import limit_memory, load_pixels
            from trainers.maml.config import resolve
            from trainers.maml.engines.table import EngineName
            from trainers.maml.train import train
            from trainers.process.allocator import keep_freed_memory
            from trainers.process.memory import forget_peak

            keep_freed_memory()
            limit_memory(self._assignment["device"], self._assignment["share"])
            forget_peak(self._assignment["device"])
            torch.set_num_threads(self._assignment["threads"])
            data = self._assignment["data"]
            states = self._joined()
            configs = [resolve(member["config"]) for member in self._members]
            prepared = Prepared(name=configs[0].dataset, path=Path(data["path"]), digest=data["digest"])
            self._resent = [len(state.records) for state in states]
            self._chunks = train(
                configs,
                load_pixels(prepared, self._assignment["device"]),
                states=states,
                engine=cast(EngineName, self._assignment["engine"]),
                chunk_s=self._assignment["chunk_s"],
            )
        return self._chunks

    def _joined(self) -> list[Any]:
        """Return the states from which the pack goes on: those at the point of most members.

        A member at another point leaves the pack, for its dealer to deal it alone.
        """
        starts = [_start(member) for member in self._members]
        together = _of_most([start.position for start in starts])
        staying: list[tuple[Member, TrialLog]] = []
        for member, log, start in zip(self._members, self._logs, starts, strict=True):
            for why in start.damaged:
                log.say(f"skipped: {why}")
            if start.position == together:
                log.say(
                    f"continues from {together}, by checkpoint {start.file}" if start.file else "starts from step 0"
                )
                staying.append((member, log))
            else:
                why = f"it goes on from {start.position}, and its pack from {together}; it is trained alone"
                log.say(f"leaves its pack: {why}")
                self._leaving.append(_update(member, start.state.step, "alone", why))
        self._members, self._logs = [member for member, _ in staying], [log for _, log in staying]
        return [start.state for start in starts if start.position == together]

    def _told(self, members: list[MemberUpdate]) -> Update:
        """Return news of `members`, and once of those that have left."""
        leaving, self._leaving = self._leaving, []
        return Update(pack=self._assignment["pack"], members=leaving + members, over=self._over)

    def _updated(self, chunk: Any) -> Update:
        self._last = chunk
        statuses = [self._status(index, run.status) for index, run in enumerate(chunk.runs)]
        self._over = "running" not in statuses
        asked = {index for index, status in enumerate(statuses) if status == "stopped"} - self._stopped
        self._log_evaluations(chunk)
        if self._over or asked or time.monotonic() - self._saved_s > CHECKPOINT_EVERY_S:
            self._save(chunk)
        self._log_ends(chunk, statuses, asked)
        self._stopped |= asked
        return self._told([
            _update(member, chunk.step, status, run.message, run.records)
            for member, run, status in zip(self._members, chunk.runs, statuses, strict=True)
        ])  # fmt: skip

    def _status(self, index: int, status: UpdateStatus) -> UpdateStatus:
        """Return the trainer's `status` of a member.

        It is "stopped" if its driver asked to stop it while it ran, or if another run has begun a later attempt.
        """
        if index in self._stopped:
            return "stopped"
        member = self._members[index]
        paths = TrialPaths(Path(member["folder"]))
        if paths.passed(member["attempt"]):
            self._logs[index].say(f"stopped: attempt {member['attempt'] + 1} has begun; nothing more is written")
            self._stopped.add(index)
            return "stopped"
        return "stopped" if status == "running" and paths.stop_mark(member["attempt"]).exists() else status

    def _log_evaluations(self, chunk: Any) -> None:
        for index, run in enumerate(chunk.runs):
            for step, key, value in run.records[self._resent[index] :]:
                if key in _PASSES and index not in self._stopped:
                    by_head = value["accuracy"].items()  # lists by number of inner steps, the last one is logged
                    accuracies = ", ".join(f"{100 * accuracy[-1]:.2f} % {_HEADS[head]}" for head, accuracy in by_head)
                    self._logs[index].say(
                        f"step {step}: {_PASSES[key]}{value['split']} accuracy {accuracies}, over "
                        f"{value['episodes']} episodes"
                    )
        self._resent = [0] * len(chunk.runs)

    def _log_ends(self, chunk: Any, statuses: list[UpdateStatus], asked: set[int]) -> None:
        """Log how members ended and their peak memory: stopped ones at once, the others when the pack is over."""
        from trainers.process.memory import peak_bytes

        peak = peak_bytes(self._assignment["device"])
        memory = f", at most {peak / 2**20:,.0f} MiB in use" if peak else ""
        for index, (run, status) in enumerate(zip(chunk.runs, statuses, strict=True)):
            if index in asked or (self._over and status != "stopped"):
                reason = f": {run.message}" if run.message else ""
                self._logs[index].say(f"{status} at step {chunk.step}{reason}{memory}")

    def _save(self, chunk: Any) -> None:
        """Save the members that still train. All files appear together, so that a kill leaves them at one point."""
        from trainers.maml.checkpoints.checkpoint import save_together

        members = zip(self._members, chunk.runs, chunk.states(), self._logs, strict=True)
        saved = [
            (TrialPaths(Path(member["folder"])), member["attempt"], state, log)
            for index, (member, run, state, log) in enumerate(members)
            if run.status != "diverged" and index not in self._stopped
        ]
        saved = [each for each in saved if not each[0].passed(each[1])]
        save_together((paths.checkpoint(attempt, state.step), state) for paths, attempt, state, _ in saved)
        for paths, attempt, state, log in saved:
            log.say(f"checkpoint saved at step {state.step}")
            for old in paths.checkpoints(state.step, attempt)[CHECKPOINTS_KEPT:]:
                old.unlink()
        self._saved_s = time.monotonic()

    def _trouble(self, error: Exception) -> Update:
        status = _status_of(error)
        shown = error.__cause__ if isinstance(error, _StorageError) and error.__cause__ else error
        message = "".join(traceback.format_exception(shown))
        with suppress(OSError):  # the log can't be written on a full disk; the driver still gets the error
            self._say(message.rstrip())
        step = self._last.step if self._last else 0
        return self._told([_update(member, step, status, message) for member in self._members])


class _StorageError(Exception):
    """The storage of this project's own files failed; never the trainer's fault."""


@contextmanager
def _own_files() -> Iterator[None]:
    """Turn every OSError of the block, which reads and writes the data, logs and checkpoints, into a _StorageError."""
    try:
        yield
    except OSError as error:
        raise _StorageError(str(error)) from error


def _status_of(error: Exception) -> UpdateStatus:
    import torch

    if isinstance(error, MemoryError | torch.cuda.OutOfMemoryError):
        return "memory"
    if isinstance(error, _StorageError) or (isinstance(error, OSError) and error.errno in STORAGE_ERRORS):
        return "storage"
    return "failed"


def _update(
    member: Member,
    step: int,
    status: UpdateStatus,
    message: str,
    records: "Iterable[Record]" = (),
) -> MemberUpdate:
    return MemberUpdate(
        trial_id=member["trial_id"],
        attempt=member["attempt"],
        step=step,
        records=[(record.step, record.key, record.value) for record in records],
        status=status,
        message=message,
    )


class _Start(NamedTuple):
    """Where a member goes on: its state, that state's position and file ("": none), and errors of damaged files."""

    state: Any
    position: Any
    file: str
    damaged: list[str]


def _start(member: Member) -> _Start:
    """Return the state in the member's furthest whole checkpoint of any attempt, or that before the first step."""
    from trainers.maml.checkpoints.checkpoint import read
    from trainers.maml.config import resolve
    from trainers.maml.evaluation import position
    from trainers.maml.train import begun
    from trainers.trainer import CheckpointError

    config, damaged = resolve(member["config"]), list[str]()
    for path in TrialPaths(Path(member["folder"])).checkpoints(config.outer_steps):
        try:
            state = read(path)
        except CheckpointError as error:
            damaged.append(str(error))
        else:
            return _Start(state, position(config, state), f"{path.parent.name}/{path.name}", damaged)
    state = begun(config)
    return _Start(state, position(config, state), "", damaged)


def _of_most(positions: list[Any]) -> Any:
    """Return the most frequent position; of equally frequent ones that of the latest step."""
    counts = Counter(positions)
    return max(counts, key=lambda position: (counts[position], position.step, position.scored))
