"""Trains one assignment: the only place where a trainer, a checkpoint and an assignment meet.

An error is data: `step` never raises, it returns an update that says what went wrong. Writes no journal, and knows no
trainer but by the protocol.
"""

import os
import socket
import time
import traceback
from collections.abc import Generator, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from typing import Any

from analysis.contract.lifecycle import UpdateStatus
from sweeper.dealing.assignment import MAML, Assignment, Member, MemberUpdate, Update, reference_in
from sweeper.results.paths import CHECKPOINTS_KEPT, TrialPaths
from sweeper.worker.checked import checked, states_of
from sweeper.worker.log import TrialLog, versions
from sweeper.worker.start import of_most, start_of
from sweeper.worker.trouble import OtherCodeError, StorageFailedError, own_files, require_code, status_of
from trainers.guarded import why
from trainers.process.memory import forget_peak, peak_bytes
from trainers.registry import find
from trainers.trainer import Chunk, Data, Diverged, Record, Task, Trainer, TrainerError
from trainers.tuned import kernels

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
        self._found: Trainer | None = None
        self._chunks: Iterator[Chunk] | None = None
        self._resent: list[int] = []
        self._last: Chunk | None = None
        self._saved_s = time.monotonic()
        self._stopped: set[int] = set()
        self._over = False

    def step(self) -> Update:
        """Train one more chunk and return what is new, or what went wrong."""
        try:
            with own_files():
                self._open_logs()
            with self._watch():
                chunk = next(self._started())
                with own_files():
                    update = self._updated(chunk)
        except Exception as error:
            self._over = True
            update = self._trouble(error)
        if self._over:
            self._close_logs()
        return update

    def save(self) -> None:
        """End the training and write a checkpoint where it ended, unless the work is over. Never raises OSError."""
        with suppress(OSError):
            if not self._over and self._last is not None:
                try:
                    self._end_training()
                    self._save(self._last)
                except (OSError, TrainerError) as error:
                    self._say(f"no checkpoint at step {self._last.step}: {error}")
                self._say(f"left at step {self._last.step}")
            else:
                self._end_training()
        self._close_logs()

    def _end_training(self) -> None:
        """Close the trainer's generator: a trainer of another process ends it then. Raises OSError, TrainerError."""
        if isinstance(self._chunks, Generator):
            try:
                self._chunks.close()
            except (OSError, TrainerError):
                raise
            except Exception as error:
                raise TrainerError(f"trainer {self._trainer.name}: train can't be closed: {why(error)}") from error

    @property
    def _trainer(self) -> Trainer:
        """The trainer, imported here at the latest. Raises TrainerError."""
        if self._found is None:
            self._found = find(reference_in(self._assignment))
        return self._found

    def _open_logs(self) -> None:
        if self._logs:
            return
        work, members = self._assignment, self._assignment["members"]
        for member in members:
            paths = _paths(member)
            paths.attempt(member["attempt"]).mkdir(parents=True, exist_ok=True)
            log = TrialLog(paths.log(member["attempt"]))
            self._logs.append(log)
            log.say(
                f"attempt {member['attempt']} of {member['trial_id']} begun by process {os.getpid()} on "
                f"{socket.gethostname()}: engine {work['engine']}, device {work['device']}, "
                f"threads {work['threads']}, {versions()}{self._compiled_for()}"
            )
            if len(members) > 1:
                log.say(f"in a pack of {len(members)}: {', '.join(mate['trial_id'] for mate in members)}")
        self._opened = self._logs

    def _compiled_for(self) -> str:
        try:
            here = kernels(self._trainer, self._assignment["engine"])
        except TrainerError:  # it is reported when the training starts
            return ""
        return f", kernels for {here['instruction_set']}" if here else ""

    def _close_logs(self) -> None:
        for log in self._opened:
            log.close()

    def _say(self, text: str) -> None:
        """Write `text` to the log of every member that was not stopped."""
        for index, log in enumerate(self._logs):
            if index not in self._stopped:
                log.say(text)

    def _noted(self, text: str) -> None:
        """Write a line of the trainer's own. A log that can't be written is never the trainer's fault."""
        with own_files():
            self._say(text)

    def _watch(self) -> AbstractContextManager[None]:
        return self._logs[0].watched(self._assignment["timeout_s"]) if self._watched else nullcontext()

    def _started(self) -> Iterator[Chunk]:
        if self._chunks is None:
            work, trainer = self._assignment, self._trainer
            require_code(trainer, work["members"][0]["config"], work.get("trainer", MAML)["code"])
            trainer.make_ready(work["device"], work["threads"], work["share"])
            forget_peak(work["device"])
            with own_files():
                states = self._joined()
            configs = [trainer.resolve(member["config"]) for member in self._members]
            data = work["data"]
            self._resent = [len(getattr(state, "records", ())) for state in states]
            with own_files() if data else nullcontext():
                task = Task(
                    configs=configs,
                    states=states,
                    data=Data(name=data["name"], path=Path(data["path"]), digest=data["digest"]) if data else None,
                    device=work["device"],
                    engine=work["engine"],
                    chunk_s=work["chunk_s"],
                    folders=[_paths(member).attempt(member["attempt"]) for member in self._members],
                    log=self._noted,
                )
                chunks = trainer.train(task)
            self._chunks = checked(trainer, configs, chunks)
        return self._chunks

    def _joined(self) -> list[Any]:
        """Return the states from which the pack goes on: those at the point of most members.

        A member at another point leaves the pack, for its dealer to deal it alone.
        """
        starts = [start_of(self._trainer, member) for member in self._members]
        together = of_most([start.position for start in starts])
        staying: list[tuple[Member, TrialLog]] = []
        for member, log, start in zip(self._members, self._logs, starts, strict=True):
            for fault in start.damaged:
                log.say(f"skipped: {fault}")
            if start.position == together:
                log.say(
                    f"continues from {together}, by checkpoint {start.file}" if start.file else "starts from step 0"
                )
                staying.append((member, log))
            else:
                why = f"it goes on from {start.position}, and its pack from {together}; it is trained alone"
                log.say(f"leaves its pack: {why}")
                self._leaving.append(_update(member, start.position[0], "alone", why))
        self._members, self._logs = [member for member, _ in staying], [log for _, log in staying]
        return [start.state for start in starts if start.position == together]

    def _told(self, members: list[MemberUpdate]) -> Update:
        """Return news of `members`, and once of those that have left."""
        leaving, self._leaving = self._leaving, []
        return Update(pack=self._assignment["pack"], members=leaving + members, over=self._over)

    def _updated(self, chunk: Chunk) -> Update:
        self._last = chunk
        statuses = [self._status(index, run.status) for index, run in enumerate(chunk.runs)]
        self._over = "running" not in statuses
        asked = {index for index, status in enumerate(statuses) if status == "stopped"} - self._stopped
        self._log_records(chunk)
        if self._over and asked:  # a program saves when it is told to end
            self._end_training()
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
        paths = _paths(member)
        if paths.passed(member["attempt"]):
            self._logs[index].say(f"stopped: attempt {member['attempt'] + 1} has begun; nothing more is written")
            self._stopped.add(index)
            return "stopped"
        return "stopped" if status == "running" and paths.stop_mark(member["attempt"]).exists() else status

    def _log_records(self, chunk: Chunk) -> None:
        """Log what the trainer says of the new records; those of the states it goes on from were logged before."""
        for index, run in enumerate(chunk.runs):
            for step, key, value in run.records[self._resent[index] :]:
                if index not in self._stopped and (said := self._trainer.said(key, value)):
                    self._logs[index].say(f"step {step}: {said}")
        self._resent = [0] * len(chunk.runs)

    def _log_ends(self, chunk: Chunk, statuses: list[UpdateStatus], asked: set[int]) -> None:
        """Log how members ended and their peak memory: stopped ones at once, the others when the pack is over."""
        peak = peak_bytes(self._assignment["device"])
        memory = f", at most {peak / 2**20:,.0f} MiB in use" if peak else ""
        for index, (run, status) in enumerate(zip(chunk.runs, statuses, strict=True)):
            if index in asked or (self._over and status != "stopped"):
                reason = f": {run.message}" if run.message else ""
                self._logs[index].say(f"{status} at step {chunk.step}{reason}{memory}")

    def _save(self, chunk: Chunk) -> None:
        """Save the members that still train. All files appear together, so that a kill leaves them at one point.

        A trainer that does not resume has nothing to save. Raises OSError, TrainerError.
        """
        self._saved_s = time.monotonic()
        if not self._trainer.resumes:
            return
        try:
            saved = self._saved(chunk)
        except (OSError, MemoryError, TrainerError):
            raise
        except Exception as error:
            raise TrainerError(
                f"trainer {self._trainer.name}: save_together can't save a state at step {chunk.step}: {why(error)}"
            ) from error
        for paths, attempt, step, log in saved:
            log.say(f"checkpoint saved at step {step}")
            for old in paths.checkpoints(step, attempt)[CHECKPOINTS_KEPT:]:
                old.unlink()

    def _saved(self, chunk: Chunk) -> list[tuple[TrialPaths, int, int, TrialLog]]:
        members = zip(self._members, chunk.runs, states_of(self._trainer, chunk), self._logs, strict=True)
        saving = [
            (_paths(member), member["attempt"], state, log)
            for index, (member, run, state, log) in enumerate(members)
            if state is not None and run.status != "diverged" and index not in self._stopped
        ]
        saving = [each for each in saving if not each[0].passed(each[1])]
        files = [(paths.checkpoint(attempt, state.step), state) for paths, attempt, state, _ in saving]
        self._trainer.save_together(files)
        for path, _ in files:
            if not path.exists():
                raise TrainerError(f"trainer {self._trainer.name}: save_together must write {path}, and has not")
        return [(paths, attempt, state.step, log) for paths, attempt, state, log in saving]

    def _trouble(self, error: Exception) -> Update:
        status = status_of(error, len(self._members))
        if status == "storage" and self._is_of_the_trainer(error):
            status = "failed"
        shown = error.__cause__ if isinstance(error, StorageFailedError) and error.__cause__ else error
        trace = "".join(traceback.format_exception(shown))
        with suppress(OSError):  # the log can't be written on a full disk; the driver still gets the error
            self._say(trace.rstrip())
        message = str(error) if isinstance(error, TrainerError | Diverged | OtherCodeError) and str(error) else trace
        step = self._last.step if self._last else 0
        return self._told([_update(member, step, status, message) for member in self._members])

    def _is_of_the_trainer(self, error: Exception) -> bool:
        """Return whether an OSError is about a file of the trainer's own, and not about one below the results."""
        if isinstance(error, StorageFailedError) or self._assignment.get("trainer", MAML)["says"] == MAML["says"]:
            return False
        place = Path(str(getattr(error, "filename", None) or ""))
        return not any(place.is_relative_to(Path(member["folder"])) for member in self._members)


def _update(
    member: Member,
    step: int,
    status: UpdateStatus,
    message: str,
    records: Iterable[Record] = (),
) -> MemberUpdate:
    return MemberUpdate(
        trial_id=member["trial_id"],
        attempt=member["attempt"],
        step=step,
        records=[(step, key, value) for step, key, value in records],
        status=status,
        message=message,
    )


def _paths(member: Member) -> TrialPaths:
    return TrialPaths(Path(member["folder"]))
