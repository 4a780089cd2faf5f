"""Checks what a trainer yields, so that the fault of a plug is one sentence: the trainer, the member, what is expected.

Looks at steps, states and the forms of records, and at the numbers of readings. Other values are the trainer's own.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from sweeper.results.paths import FURTHEST
from trainers.trainer import READINGS, Chunk, Metric, RunChunk, Trainer, TrainerError

STATUSES = ("running", "done", "diverged")


def checked(trainer: Trainer, configs: Sequence[BaseModel], yielded: Iterable[Chunk]) -> Iterator[Chunk]:
    """Yield the chunks that `trainer` yields for `configs`. Raises TrainerError for the first that is wrong."""
    check = _Check(trainer, configs)
    iterator = check.iterator(yielded)
    try:
        for chunk in iterator:
            check.chunk(chunk)
            yield chunk
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
        self._targets = [getattr(config, trainer.length) if trainer.length else 0 for config in configs]
        self._step = 0
        self._read = [0] * len(configs)
        self._yielded = self._over = False

    def iterator(self, yielded: Any) -> Iterator[Any]:
        try:
            return iter(yielded)
        except TypeError:
            raise self._fault(f"must return an iterator of chunks, got {yielded!r:.100}") from None

    def chunk(self, chunk: Any) -> None:
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
        for number, run in enumerate(chunk.runs):
            self._run(number, run, chunk.step)
        self._over = all(run.status != "running" for run in chunk.runs)

    def ended(self) -> None:
        if not self._yielded:
            raise self._fault("ended and has yielded nothing; it must yield a chunk whose runs are done or diverged")
        if not self._over:
            raise self._fault("ended without a last chunk whose runs are done or diverged")

    def _run(self, number: int, run: Any, step: int) -> None:
        if not isinstance(run, RunChunk) or run.status not in STATUSES:
            known = ", ".join(STATUSES)
            raise self._fault(f"must yield a RunChunk for each run, with a status of {known}, got {run!r:.100}")
        if run.status == "done" and step < self._targets[number]:
            raise self._fault(
                f"is done at step {step}, but {self._trainer.length} asks for {self._targets[number]} steps; a "
                "trainer that stops early has `length` None"
            )
        for record in run.records:
            if not isinstance(record, tuple) or len(record) != 3:
                raise self._fault(f"must yield records of a step, a key and a value, got {record!r:.100}")
            self._record(number, *record, last=step)

    def _record(self, number: int, step: Any, key: Any, value: Any, *, last: int) -> None:
        if not _whole(step) or not 0 <= step <= last:
            raise self._fault(f"must yield records of steps from 0 to that of the chunk, {last}, got {step!r}")
        if not isinstance(value, dict):
            raise self._fault(f"must yield records whose value is a dict, got {value!r:.100} at step {step}")
        if key != READINGS:
            if key not in self._trainer.records:
                known = ", ".join([READINGS, *self._trainer.records])
                raise self._fault(f"must yield records of a declared key ({known}), got {key!r} at step {step}")
            return
        if step < self._read[number]:
            raise self._fault(f"must not go back: it yielded a reading of step {step} after step {self._read[number]}")
        self._read[number] = step
        for name, measured in value.items():
            self._number(name, measured, step)

    def _number(self, name: Any, number: Any, step: int) -> None:
        if fault := undeclared(name, self._trainer.metrics):
            raise self._fault(f"yielded the metric {name!r} at step {step}, {fault}")
        if isinstance(number, bool) or not isinstance(number, int | float) or not math.isfinite(number):
            raise self._fault(
                f"must yield finite numbers, got {number!r:.100} for {name} at step {step}; raise Diverged where "
                "numbers are out of range"
            )

    def _fault(self, what: str) -> TrainerError:
        return TrainerError(f"trainer {self._trainer.name}: train {what}")


def undeclared(name: Any, metrics: Mapping[str, Metric]) -> str:
    """Return why `metrics` do not declare a reading of this name, or "". Coordinates follow after slashes."""
    metric, *values = name.split("/") if isinstance(name, str) else [""]
    if metric not in metrics:
        return f"which its `metrics` do not declare; they are {', '.join(metrics)}"
    coordinates = metrics[metric].coordinates
    if len(values) != len(coordinates):
        named = "/".join([metric, *(key.upper() for key in coordinates)])
        return f"but its `metrics` declare {named}"
    return ""


def _whole(number: Any) -> bool:
    return isinstance(number, int) and not isinstance(number, bool)
