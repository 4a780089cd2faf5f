"""Runs a program as a training: judges its lines, keeps its state, and decides when it is over."""

import shutil
import signal
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Protocol

from pydantic import BaseModel

from trainers.fields import shown
from trainers.metrics import measured
from trainers.plain_fields import FURTHEST
from trainers.program.checkpoint_folder import unpack
from trainers.program.command import Command
from trainers.program.output import StepLine, is_name
from trainers.program.process import Ended, Kept, News, Process, Text
from trainers.state_file import State
from trainers.trainer import READINGS, Chunk, Metric, Record, RunChunk, RunStatus, TrainerError

CHECKPOINT = "SWEEPER_CHECKPOINT"
"""The environment variable with the folder of the attempt's checkpoint."""
FOLDER = "checkpoint"
_LAST_LINES = 20


class ProgramError(Exception):
    """A program that ended with an error. The message ends with its last lines."""


class Described(Protocol):
    """What a run asks of its trainer."""

    name: str
    command: Command
    folder: Path
    metrics: Mapping[str, Metric]
    length: str | None
    resumes: bool
    grace_s: float

    def target(self, config: BaseModel) -> int: ...

    def environment(self, device: str) -> dict[str, str]: ...


class Run:
    """One run of a program, from `state` to the target or to its end."""

    def __init__(
        self, trainer: Described, config: BaseModel, state: State, attempt: Path | None, log: Callable[[str], None]
    ) -> None:
        self._trainer = trainer
        self._owner = f"trainer {shown(trainer.name)}"
        self._config = config
        self._target = trainer.target(config)
        self._attempt = attempt
        self._log = log
        self._start = state
        self._kept: State | None = state if state.content else None
        self._step = state.step
        self._measured_at = max((record.step for record in state.records), default=-1)
        self._records = list(state.records)
        self._unsent = list(state.records)
        self._last_lines: deque[str] = deque(maxlen=_LAST_LINES)
        self._status: RunStatus = "running"
        self._message = ""
        self._trouble: Exception | None = None
        self._ends_by_s: float | None = None
        self._terminated = False
        self._ended = False

    def chunks(self, chunk_s: float, device: str) -> Iterator[Chunk]:
        """Yield news about every `chunk_s` seconds, also if there is none. Ends with an exception if the program fails.

        When it is closed, the program has `grace_s` to save and end, and `states` of the last chunk has what it saved.
        """
        if self._target and self._step >= self._target:
            self._status = "done"
            yield self._chunk()
            return
        place = Path(tempfile.mkdtemp()) if self._attempt is None else self._attempt / FOLDER
        process = self._started(place, device)
        try:
            while True:
                self._listen(process, time.monotonic() + chunk_s)
                if self._trouble is None or self._unsent:
                    yield self._chunk()
                if self._ended or self._trouble is not None:
                    break
        except GeneratorExit:
            self._stop(process)
            raise
        finally:
            process.kill()
            shutil.rmtree(place, ignore_errors=True)
        if self._trouble is not None:
            raise self._trouble

    def _started(self, place: Path, device: str) -> Process:
        if not self._trainer.folder.is_dir():
            raise TrainerError(f"{self._owner}: the folder of the sweep file, {self._trainer.folder}, is not here")
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        try:
            unpack(self._start.content, place)
        except ValueError as error:
            raise TrainerError(
                f"{self._owner}: its checkpoint of step {self._step} can't be unpacked: {error}"
            ) from None
        command = self._trainer.command.filled(vars(self._config))
        self._log(f"starts {' '.join(command)!r}"[:2000])
        extra = self._trainer.environment(device) | {CHECKPOINT: str(place.absolute())}
        try:
            return Process(command, self._trainer.folder, place if self._trainer.resumes else None, extra)
        except OSError as error:  # too many processes, or arguments that are too long
            raise TrainerError(f"{self._owner}: can't be started: {error.strerror or error}") from None

    def _listen(self, process: Process, until_s: float) -> None:
        """Judge what the program says until then, or until it has ended."""
        while not self._ended and self._trouble is None:
            news = process.next(until_s - time.monotonic())
            if news is None:
                break
            self._judge(process, news)
            if time.monotonic() >= until_s:
                break
        if self._ends_by_s is not None and time.monotonic() > self._ends_by_s and not self._ended:
            if self._terminated:
                self._log(f"is killed, because it did not end in {self._trainer.grace_s:g} s after SIGTERM")
                self._ended = True
                self._status = "diverged" if self._status == "diverged" else "done"
            else:
                self._ask_to_end(process)

    def _judge(self, process: Process, news: News) -> None:
        match news:
            case Text(text):
                self._last_lines.append(text)
                self._log(text)
            case StepLine():
                try:
                    self._take(process, news)
                except TrainerError as error:
                    self._trouble = error
            case Kept(step, content, why, unfit):
                self._keep(process, step, content, why, unfit)
            case Ended(code):
                self._end(code)

    def _take(self, process: Process, line: StepLine) -> None:
        """Take a JSON line in."""
        if self._status == "diverged":
            return
        step = self._checked_step(line)
        if self._target and step > self._target:
            if self._knows_its_length:
                raise TrainerError(
                    f"{self._owner}: printed step {step}, but its {self._trainer.length} is {self._target}"
                )
            self._ask_to_end(process)
            return
        numbers = measured(self._owner, self._trainer.metrics, step, line.values)
        if numbers and step == self._measured_at:
            raise TrainerError(
                f"{self._owner}: printed values of step {step} twice; print all values of a step in one line"
            )
        self._step = step
        if numbers:
            self._measured_at = step
            self._records.append(Record(step, READINGS, numbers))
            self._unsent.append(self._records[-1])
        if line.diverged:
            self._status = "diverged"
            said = f": {line.diverged}"[:500] if isinstance(line.diverged, str) else ""
            self._message = f"diverged at step {step}{said}"
            self._ask_to_end(process)
        elif self._target and step >= self._target and self._ends_by_s is None:
            self._ends_by_s = time.monotonic() + self._trainer.grace_s
            if not self._knows_its_length and not self._trainer.resumes:
                self._ask_to_end(process)

    @property
    def _knows_its_length(self) -> bool:
        return self._trainer.length in self._trainer.command.fields()

    def _checked_step(self, line: StepLine) -> int:
        step = line.step
        if isinstance(step, bool) or not isinstance(step, int) or not 0 <= step <= FURTHEST:
            raise TrainerError(f"{self._owner}: printed step {shown(step)}; a step is a whole number from 0")
        if not isinstance(line.diverged, bool | str):
            raise TrainerError(
                f"{self._owner}: step {step}: diverged must be true or false, got {shown(line.diverged)}"
            )
        if line.checkpoint is not None and not is_name(line.checkpoint):
            raise TrainerError(
                f"{self._owner}: step {step}: checkpoint must be the name of a file or folder in {CHECKPOINT}, which "
                f"the program never changes again, got {shown(line.checkpoint)}"
            )
        if step < self._step:
            hint = ""
            if self._start.content and self._step == self._start.step:
                hint = (
                    f"; it was given the checkpoint of step {self._step} in the folder {CHECKPOINT}: let it go on from "
                    "there, or leave resumes: true out"
                )
            raise TrainerError(f"{self._owner}: printed step {step} after step {self._step}; steps never go back{hint}")
        return step

    def _keep(self, process: Process, step: object, content: bytes | None, why: str, unfit: bool) -> None:
        if unfit:
            self._trouble = TrainerError(f"{self._owner}: its state can't be saved at step {step}: {why}")
        elif content is None:
            self._log(f"no checkpoint at step {step}: {why}")
        elif isinstance(step, int) and step <= self._step:  # after the target, lines are left out
            records = tuple(record for record in self._records if record.step <= step)
            self._kept = State(step=step, records=records, content=content)
            if self._ends_by_s is not None and not self._knows_its_length:
                self._ask_to_end(process)

    def _ask_to_end(self, process: Process) -> None:
        if not self._terminated:
            self._terminated = True
            self._ends_by_s = time.monotonic() + self._trainer.grace_s
            process.terminate()

    def _end(self, code: int) -> None:
        self._ended = True
        if code and not self._terminated:
            self._trouble = ProgramError(self._failure(code))
        elif self._status == "diverged":
            return
        elif self._target and self._step < self._target:
            self._trouble = TrainerError(
                f"{self._owner}: ended at step {self._step} of {self._target}; it must print a line such as "
                f'{{"step": {self._target}, ...}} before it ends'
            )
        elif self._measured_at < 0:
            self._trouble = TrainerError(
                f"{self._owner}: ended without a measurement; it must print lines such as "
                f'{{"step": 1, "{next(iter(self._trainer.metrics))}": 0.5}}'
            )
        else:
            self._status = "done"

    def _failure(self, code: int) -> str:
        how = f"exit code {code}" if code > 0 else f"signal {_signal_name(-code)}"
        lines = "\n".join(self._last_lines)
        return f"{self._owner}: ended at step {self._step} with {how}" + (
            f"; its last lines:\n{lines}" if lines else ""
        )

    def _stop(self, process: Process) -> None:
        """Let the program save and end: it has `grace_s` from SIGTERM to its end."""
        process.terminate()
        ends = time.monotonic() + self._trainer.grace_s
        while not self._ended and (left_s := ends - time.monotonic()) > 0:
            news = process.next(left_s)
            if news is None:
                break
            self._judge(process, news)
            if self._trouble is not None and not self._ended:
                self._log(str(self._trouble))
                break
        if not self._ended:
            self._log(f"is killed, because it did not end in {self._trainer.grace_s:g} s after SIGTERM")

    def _chunk(self) -> Chunk:
        status: RunStatus = self._status if self._ended or self._status == "done" else "running"
        news = RunChunk(tuple(self._unsent), status, self._message if status == "diverged" else "")
        self._unsent = []
        return Chunk(self._step, (news,), lambda: (self._kept,))


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)
