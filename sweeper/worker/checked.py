"""Checks what a trainer yields, so that the fault of a plug is one sentence: the trainer, the member, what is expected.

Looks at steps, states and the forms of records, and at the numbers of readings, which may be numpy's. Other values are
the trainer's own, and must be plain JSON data.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from pydantic import BaseModel

from sweeper.results.paths import FURTHEST
from trainers.metrics import measured
from trainers.trainer import READINGS, Chunk, Record, RunChunk, Trainer, TrainerError

STATUSES = ("running", "done", "diverged")


def checked(trainer: Trainer, configs: Sequence[BaseModel], yielded: Iterable[Chunk]) -> Iterator[Chunk]:
    """Yield the chunks that `trainer` yields for `configs`. Raises TrainerError for the first that is wrong."""
    check = _Check(trainer, configs)
    iterator = check.iterator(yielded)
    try:
        for chunk in _without_exits(trainer, iterator):
            yield check.chunk(chunk)
    finally:
        close = getattr(iterator, "close", None)  # what is no generator has nothing to close
        if close is not None:
            close()
    check.ended()


def states_of(trainer: Trainer, chunk: Chunk) -> Sequence[Any]:
    """Return the state of each run in `chunk`, None for a run without one. Raises TrainerError for anything else."""
    states = chunk.states()
    if not isinstance(states, Sequence) or len(states) != len(chunk.runs):
        raise TrainerError(
            f"trainer {trainer.name}: states of a chunk must return one state for each run, got {states!r:.100}"
        )
    for state in (state for state in states if state is not None):
        step: Any = getattr(state, "step", None)
        if not _whole(step) or not 0 <= step <= FURTHEST:
            raise TrainerError(f"trainer {trainer.name}: a state must have a `step` from 0 to {FURTHEST}, got {step!r}")
    return states


class _Check:
    def __init__(self, trainer: Trainer, configs: Sequence[BaseModel]) -> None:
        self._trainer = trainer
        self._owner = f"trainer {trainer.name}"
        self._targets = [getattr(config, trainer.length) if trainer.length else 0 for config in configs]
        self._step = 0
        self._read = [0] * len(configs)
        self._yielded = self._over = False

    def iterator(self, yielded: Any) -> Iterator[Any]:
        try:
            return iter(yielded)
        except TypeError:
            raise self._fault(f"must return an iterator of chunks, got {yielded!r:.100}") from None

    def chunk(self, chunk: Any) -> Chunk:
        """Return `chunk` with plain numbers in its readings."""
        if not isinstance(chunk, Chunk):
            raise self._fault(f"must yield Chunk, got {chunk!r:.100}")
        self._yielded = True
        if not _whole(chunk.step) or not 0 <= chunk.step <= FURTHEST:
            raise self._fault(f"must yield chunks with a step from 0 to {FURTHEST}, got {chunk.step!r}")
        if chunk.step < self._step:
            raise self._fault(f"must not go back: it yielded step {chunk.step} after step {self._step}")
        self._step = chunk.step
        if len(chunk.runs) != len(self._targets):
            raise self._fault(f"must yield news of each of its {len(self._targets)} runs, got {len(chunk.runs)}")
        runs = tuple(self._run(number, run, chunk.step) for number, run in enumerate(chunk.runs))
        self._over = all(run.status != "running" for run in runs)
        return replace(chunk, runs=runs)

    def ended(self) -> None:
        if not self._yielded:
            raise self._fault("ended and has yielded nothing; it must yield a chunk whose runs are done or diverged")
        if not self._over:
            raise self._fault("ended without a last chunk whose runs are done or diverged")

    def _run(self, number: int, run: Any, step: int) -> RunChunk:
        if not isinstance(run, RunChunk) or run.status not in STATUSES:
            known = ", ".join(STATUSES)
            raise self._fault(f"must yield a RunChunk for each run, with a status of {known}, got {run!r:.100}")
        if run.status == "done" and step < self._targets[number]:
            raise self._fault(
                f"is done at step {step}, but {self._trainer.length} asks for {self._targets[number]} steps; a "
                "trainer that stops early has `length` None"
            )
        return replace(run, records=tuple(self._record(number, record, step) for record in run.records))

    def _record(self, number: int, record: Any, last: int) -> Record:
        if not isinstance(record, tuple) or len(record) != 3:
            raise self._fault(f"must yield records of a step, a key and a value, got {record!r:.100}")
        step, key, value = record
        if not _whole(step) or not 0 <= step <= last:
            raise self._fault(f"must yield records of steps from 0 to that of the chunk, {last}, got {step!r}")
        if not isinstance(value, dict):
            raise self._fault(f"must yield records whose value is a dict, got {value!r:.100} at step {step}")
        if key == READINGS:
            if step < self._read[number]:
                raise self._fault(f"must not go back: it yielded a reading of step {step} after {self._read[number]}")
            self._read[number] = step
            return Record(step, key, measured(f"{self._owner}: train", self._trainer.metrics, step, value))
        if key not in self._trainer.records:
            known = ", ".join([READINGS, *self._trainer.records])
            raise self._fault(f"must yield records of a declared key ({known}), got {key!r} at step {step}")
        try:
            json.dumps(value, allow_nan=False)
        except (TypeError, ValueError, RecursionError) as error:
            raise self._fault(f"must yield plain JSON data, got {key} at step {step} with other ({error})") from None
        return Record(step, key, value)

    def _fault(self, what: str) -> TrainerError:
        return TrainerError(f"{self._owner}: train {what}")


def _without_exits(trainer: Trainer, chunks: Iterator[Any]) -> Iterator[Any]:
    """Yield the chunks. A SystemExit would end the worker, and with it other trials: it is an error of the trainer."""
    try:
        yield from chunks
    except SystemExit as error:
        raise TrainerError(
            f"trainer {trainer.name}: train must not end its process, which may train other trials; it called "
            f"sys.exit({error.code!r:.100})"
        ) from error


def _whole(number: Any) -> bool:
    return isinstance(number, int) and not isinstance(number, bool)
