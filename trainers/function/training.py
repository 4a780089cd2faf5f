"""Runs a trainer's function: takes its steps, checks what it yields, and keeps its state at the ends of chunks."""

import io
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from typing import Any, Protocol

from pydantic import BaseModel

from trainers.fields import shown
from trainers.function.state_content import UnsavableError, decode, encode
from trainers.log_line import LONGEST, log_line
from trainers.metrics import measured
from trainers.state_file import State
from trainers.trainer import READINGS, Chunk, Diverged, Metric, Record, RunChunk, RunStatus, TrainerError


class Described(Protocol):
    """What a run asks of its trainer."""

    name: str
    function: Callable[..., Any]
    metrics: Mapping[str, Metric]
    length: str | None
    resumes: bool

    def target(self, config: BaseModel) -> int: ...

    def owned(self, config: BaseModel) -> Any: ...


class Run:
    """One run of a function, from `state` to the target or to its end."""

    def __init__(self, trainer: Described, config: BaseModel, state: State, log: Callable[[str], None]) -> None:
        self._trainer = trainer
        self._owner = f"trainer {trainer.name}"
        self._config = config
        self._target = trainer.target(config)
        self._log = log
        self._start = state
        self._step = state.step
        self._records = list(state.records)
        self._unsent = list(state.records)
        self._printed = _Printed(log)
        self._kept = decode(state.content) if state.content else {}
        self._status: RunStatus = "running"
        self._message = ""
        self._trouble: Exception | None = None

    def chunks(self, chunk_s: float) -> Iterator[Chunk]:
        """Yield news about every `chunk_s` seconds. Ends with an exception if the function does."""
        if self._target and self._step >= self._target:
            self._status = "done"
            yield self._chunk(lambda: (self._start,))
            return
        values = self._called()
        first = True
        try:
            while self._status == "running" and self._trouble is None:
                ends = time.monotonic() + chunk_s
                self._advance(values)
                while self._status == "running" and self._trouble is None and time.monotonic() < ends:
                    self._advance(values)
                if self._trouble is not None and not self._unsent:
                    break
                snapshot = _Snapshot(self._state)
                if self._status != "running":
                    snapshot.take()
                elif first and self._trouble is None:
                    snapshot()  # a state that can't be saved is told at once
                first = False
                try:
                    yield self._chunk(snapshot)
                except GeneratorExit:
                    snapshot.take()
                    raise
                snapshot.forget()
        finally:
            self._close(values)
            self._printed.end()
        if self._trouble is not None:
            raise self._trouble

    def _called(self) -> Iterator[Any]:
        own = self._trainer.owned(self._config)
        function = self._trainer.function
        with redirect_stdout(self._printed):
            found = function(own, state=self._kept) if self._trainer.resumes else function(own)
        if not isinstance(found, Iterator):
            raise TrainerError(
                f"{self._owner}: the function must yield {{metric: number}} once a step, but it returned {shown(found)}"
            )
        return found

    def _advance(self, values: Iterator[Any]) -> None:
        """Take one step, or note how the function has ended."""
        try:
            with redirect_stdout(self._printed):
                given = next(values)
            self._step += 1
            numbers = measured(self._owner, self._trainer.metrics, self._step, given)
        except StopIteration:
            self._end()
        except Diverged as error:
            self._status = "diverged"
            self._message = f"diverged after step {self._step}" + (f": {error}" if str(error) else "")
        except Exception as error:  # the records before it are sent first
            self._trouble = error
        else:
            if numbers:
                record = Record(self._step, READINGS, numbers)
                self._records.append(record)
                self._unsent.append(record)
            if self._target and self._step >= self._target:
                self._status = "done"

    def _end(self) -> None:
        if not self._step:
            self._trouble = TrainerError(
                f"{self._owner}: the function ended without a yield; it must yield once a step"
            )
        elif self._target:
            self._trouble = TrainerError(
                f"{self._owner}: ended at step {self._step} of {self._target}; the function must yield until "
                f"{self._trainer.length}, or for ever"
            )
        else:
            self._status = "done"

    def _chunk(self, states: Callable[[], Sequence[Any]]) -> Chunk:
        news = RunChunk(tuple(self._unsent), self._status, self._message)
        self._unsent = []
        return Chunk(self._step, (news,), states)

    def _state(self) -> State | None:
        """Return the state at the last yield; the function must not have gone on since."""
        if not self._trainer.resumes or self._trouble is not None or self._status == "diverged":
            return None  # a function that raised may have left its state between two steps
        try:
            content = encode(self._kept)
        except UnsavableError as error:
            raise TrainerError(
                f"{self._owner}: its state can't be saved at step {self._step}: {error}. A state holds None, true and "
                "false, numbers, texts, bytes, lists, tuples, dicts, numpy arrays and torch tensors; keep anything "
                "else as bytes of your own"
            ) from None
        return State(step=self._step, records=tuple(self._records), content=content)

    def _close(self, values: Iterator[Any]) -> None:
        close = getattr(values, "close", None)
        if close is None:
            return
        try:
            with redirect_stdout(self._printed):
                close()
        except Exception as error:  # what it measured stands
            self._log(f"{self._owner}: when it was stopped, it raised {type(error).__name__}: {error}")


class _Printed(io.TextIOBase):
    """What the function prints, a line of the log for each line."""

    def __init__(self, log: Callable[[str], None]) -> None:
        super().__init__()
        self._say = log
        self._begun = ""

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        *lines, self._begun = (self._begun + text).split("\n")
        for line in lines:
            self._note(line)
        self._begun = self._begun[-LONGEST:]
        return len(text)

    def end(self) -> None:
        """Note what stands in a line without an end."""
        self._note(self._begun)
        self._begun = ""

    def _note(self, line: str) -> None:
        if said := log_line(line):
            self._say(said)


class _Snapshot:
    """The state at a chunk's end. It is taken when it is asked for, or at the latest when the function may go on."""

    def __init__(self, state: Callable[[], State | None]) -> None:
        self._state: Callable[[], State | None] | None = state
        self._taken: list[State | None] = []
        self._error: TrainerError | None = None

    def take(self) -> None:
        """Keep the state, or why there is none, for later."""
        if self._state is not None and not self._taken and self._error is None:
            try:
                self._taken.append(self._state())
            except TrainerError as error:
                self._error = error

    def forget(self) -> None:
        """Note that the function goes on."""
        self._state = None

    def __call__(self) -> Sequence[State | None]:
        self.take()
        if self._error is not None:
            raise self._error
        if not self._taken:
            raise RuntimeError("the state of an earlier chunk is asked for, after the function has gone on")
        return self._taken
