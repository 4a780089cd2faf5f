"""Checks that any trainer's own tests can call: it grows and it resumes to the bit. Knows no test framework.

Each check raises AssertionError with a sentence about the first difference.
"""

import itertools
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel

from trainers.trainer import Chunk, Data, Record, Task, Trainer


class Training(NamedTuple):
    """What a training has sent, how it ended ("running" if it was stopped), and its last state, None without one."""

    records: list[Record]
    status: str
    state: Any


def check_growth(
    trainer: Trainer, values: Mapping[str, Any], first: int, then: int, *, data: Data | None = None, device: str = "cpu"
) -> None:
    """Check that `values` trained to step `first` and then to `then` is equal to `then` at once, bit for bit.

    Records are compared as numbers, and states as the bytes of their checkpoint files.
    """
    assert trainer.length is not None, f"trainer {trainer.name} has no length, so its trials can't grow"
    assert 0 < first < then, f"first must be less than then, got {first} and {then}"
    with tempfile.TemporaryDirectory() as name:
        place = _Place(trainer, data, device, Path(name))
        shorter, longer = (trainer.resolve({**values, trainer.length: length}) for length in (first, then))
        at_once = place.trained(longer)
        begun = place.trained(shorter)
        assert begun.status == "done", f"trained to step {first}, it ended as {begun.status}"
        grown = place.trained(longer, place.kept(begun.state) if trainer.resumes else None)
        _compare(place, at_once, grown, f"trained to step {first} and then to {then}")


def check_resume(
    trainer: Trainer,
    values: Mapping[str, Any],
    *,
    data: Data | None = None,
    device: str = "cpu",
    chunk_s: float = 0.0,
    at_most: int = 20,
) -> None:
    """Check that a training of `values` that is stopped after any chunk and resumed is equal to one never stopped.

    Trains once for each of the first `at_most` chunks.
    """
    config = trainer.resolve(values)
    with tempfile.TemporaryDirectory() as name:
        place = _Place(trainer, data, device, Path(name))
        whole = place.trained(config)
        for stop_after in range(1, at_most + 1):
            stopped = place.trained(config, chunk_s=chunk_s, stop_after=stop_after)
            if stopped.status != "running":
                return
            state = place.kept(stopped.state) if stopped.state is not None else None
            resumed = place.trained(config, state)
            _compare(place, whole, resumed, f"stopped after {stop_after} chunks and resumed")


class _Place:
    """Where trainings of a check run: their trainer, data and device, and a folder for their files."""

    def __init__(self, trainer: Trainer, data: Data | None, device: str, folder: Path) -> None:
        self.trainer = trainer
        self._data = data
        self._device = device
        self._folder = folder
        self._numbers = itertools.count(1)

    def trained(
        self, config: BaseModel, state: Any = None, *, chunk_s: float = 0.05, stop_after: int | None = None
    ) -> Training:
        """Train from `state`, or from the start, to the end or until `stop_after` chunks."""
        attempt = self._folder / f"attempt-{next(self._numbers)}"
        attempt.mkdir()
        task = Task(
            configs=[config],
            states=[self.trainer.begun(config) if state is None else state],
            data=self._data,
            device=self._device,
            engine=self.trainer.engine(config, self._device),
            chunk_s=chunk_s,
            folders=[attempt],
            log=lambda line: None,
        )
        return _gathered(self.trainer.train(task), stop_after)

    def kept(self, state: Any) -> Any:
        """Return `state` after it was written to a file and read again."""
        path = self._folder / f"state-{next(self._numbers)}"
        self.trainer.save_together([(path, state)])
        return self.trainer.load(path)

    def written(self, state: Any) -> bytes:
        """Return the bytes of the file of `state`, nothing for no state."""
        if state is None:
            return b""
        path = self._folder / f"state-{next(self._numbers)}"
        self.trainer.save_together([(path, state)])
        return path.read_bytes()


def _gathered(chunks: Iterator[Chunk], stop_after: int | None) -> Training:
    records: list[Record] = []
    chunk = None
    for count, chunk in enumerate(chunks, start=1):
        records += chunk.runs[0].records
        if count == stop_after:
            break
    assert chunk is not None, "the training ended without a chunk"
    close = getattr(chunks, "close", None)
    if close is not None:
        close()
    status = chunk.runs[0].status
    return Training(records, status, None if status == "diverged" else chunk.states()[0])


def _compare(place: _Place, expected: Training, got: Training, how: str) -> None:
    name = f"trainer {place.trainer.name}, {how}"
    for one, other in itertools.zip_longest(expected.records, got.records):
        assert one == other, f"{name}: record {other} differs from {one} of one training without a stop"
    assert expected.status == got.status, f"{name}: ended as {got.status}, without a stop as {expected.status}"
    same = place.written(expected.state) == place.written(got.state)
    assert same, f"{name}: its last state differs from that of one training without a stop"
