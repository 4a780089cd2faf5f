"""The members of a trainer whose only records are readings, for trainers that need nothing special. Trains nothing.

A class of one's own may begin with `ReadingsTrainer`: it then states name, config, length, metrics and resumes, and
has `train`.
"""

import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from trainers import fields, state_file
from trainers.code import code_of_module
from trainers.metrics import is_among
from trainers.state_file import State
from trainers.thinning import stride
from trainers.trainer import (
    READINGS,
    WHOLE,
    CheckpointError,
    Chunk,
    Data,
    Metric,
    Point,
    Task,
    TrainerError,
    Wanted,
    metric_name,
)

STATE_BYTES = 2**17
"""What plans take for the size of a state that they can't know."""


class ReadingsTrainer:
    """Every member of `trainers.trainer.Trainer`; `train` is missing. A state is a `trainers.state_file.State`."""

    name: str
    config: type[BaseModel]
    length: str | None = None
    packable: frozenset[str] = frozenset()
    protocols: Mapping[str, Mapping[str, Any]] = {}
    metrics: Mapping[str, Metric]
    records: Mapping[str, type[BaseModel]] = {}
    resumes: bool = False
    engine_name = "python"
    _code: str | None = None

    def resolve(self, values: Mapping[str, Any]) -> BaseModel:
        return fields.resolve(self.config, values)

    def recipe(self, config: BaseModel) -> Mapping[str, int]:
        return {}

    def code(self) -> str:
        """Return the hash of the module that the class is in, as it was when the hash was first asked for."""
        return self._code_of(type(self).__module__)

    def _code_of(self, module: str) -> str:
        """Return the hash of `module`. It is taken once: the file may change after this process has imported it."""
        if self._code is None:
            self._code = code_of_module(module, getattr(sys.modules.get(module), "__file__", None))
        return self._code

    def unmeasured(self, config: BaseModel, wanted: Wanted) -> Iterator[tuple[str, str]]:
        metric = self.metrics.get(wanted.metric)
        if metric is None:
            yield "metric", f"{wanted.metric} is no metric of {self.name}; it has {', '.join(self.metrics)}"
            return
        for name in wanted.coordinates:
            if name not in metric.coordinates:
                known = ", ".join(metric.coordinates) or "no coordinates"
                yield name, f"{wanted.metric} has no coordinate {name}; it has {known}"
        for name, allowed in metric.coordinates.items():
            given = wanted.coordinates.get(name)
            if given is None:
                yield name, f"{wanted.metric} is measured for each {name}; say which of {', '.join(allowed)}"
            elif not is_among(allowed, given):
                yield name, f"{given} is never measured; {name} is {', '.join(allowed)}"
        target = self.target(config)
        beyond = [step for step in wanted.at if step > target] if target and wanted.at != "last" else []
        if beyond:
            yield "at", f"step {beyond[0]} is never reached, because {self.length} is {target}"

    def target(self, config: BaseModel) -> int:
        """Return the step at which a training of `config` stops, 0 for a trainer without a length."""
        return 0 if self.length is None else int(vars(config)[self.length])

    def dataset(self, config: BaseModel) -> str:
        return ""

    def digest(self, dataset: str) -> str:
        return ""

    def prepare(self, dataset: str, root: Path) -> Data:
        raise TrainerError(f"trainer {self.name}: it has no data set {dataset!r}; its own code reads its data")

    def checkpoint_bytes(self, config: BaseModel) -> int:
        return STATE_BYTES if self.resumes else 0

    def engines(self, device: str) -> tuple[str, ...]:
        return (self.engine_name,)

    def engine(self, config: BaseModel, device: str) -> str:
        return self.engine_name

    def cannot_treat(self, engine: str, config: BaseModel, device: str) -> str:
        return "" if engine == self.engine_name else f"engine {engine} is not one of {self.name}: {self.engine_name}"

    def make_ready(self, device: str, threads: int, share: float) -> None:
        """Limit the threads of torch and of numpy's libraries as far as they are loaded and allow it."""
        if (torch := sys.modules.get("torch")) is not None:
            torch.set_num_threads(threads)
            if device == "cuda":
                torch.cuda.set_per_process_memory_fraction(share)
        if (pools := sys.modules.get("threadpoolctl")) is not None:  # scikit-learn loads it
            pools.threadpool_limits(threads)

    def begun(self, config: BaseModel) -> State:
        return State(step=0)

    def point(self, config: BaseModel, state: State) -> Any:
        return At(state.step)

    def train(self, task: Task) -> Iterator[Chunk]:
        raise TrainerError(f"trainer {self.name}: has no train; see trainers.trainer.Trainer")

    def alone(self, task: Task) -> tuple[BaseModel, State]:
        """Return config and state of the one trial of `task`, for a trainer without packs. Raises ValueError."""
        if len(task.configs) != 1:
            raise ValueError(f"trainer {self.name}: trains one trial at a time, got {len(task.configs)}")
        return task.configs[0], task.states[0] or State(step=0)

    def save_together(self, files: Iterable[tuple[Path, State]]) -> None:
        state_file.save_together(files)

    def load(self, path: Path) -> State:
        state = state_file.load(path)
        try:
            self.check_content(state.content)
        except ValueError as error:
            raise CheckpointError(f"{path}: {error}") from None
        return state

    def check_content(self, content: bytes) -> None:
        """Raise ValueError if `content` is none of a state of this trainer. Without it any is taken."""

    def point_in(self, path: Path | None) -> Any:
        """Return () for a readable checkpoint: its step says everything of where it is."""
        return () if path is None or state_file.is_one(path) else None

    def records_in(self, payload: bytes) -> list[tuple[int, str, dict[str, Any]]]:
        return state_file.records_in(payload)

    def said(self, key: str, value: Mapping[str, Any]) -> str:
        if key != READINGS:
            return ""
        return ", ".join(
            f"{name} {worded(self.metrics.get(name.split('/')[0]), number)}" for name, number in value.items()
        )

    def progress(self, key: str, value: Mapping[str, Any]) -> float | None:
        if key != READINGS:
            return None
        return value.get(self._first)

    def outcome(self, config: BaseModel, number: float) -> str:
        return f"{self._first} {worded(next(iter(self.metrics.values())), number)}"

    @property
    def _first(self) -> str:
        """The name of the first metric, at the first value of each coordinate."""
        name, metric = next(iter(self.metrics.items()))
        return metric_name(name, (0 if allowed[0] == WHOLE else allowed[0] for allowed in metric.coordinates.values()))

    def points(self, record: Mapping[str, Any], *, all_of_them: bool) -> list[Point]:
        """Return the readings of a trial's record: the first of each span, and the last of each metric."""
        readings = record.get(READINGS, [])
        width = 1 if all_of_them else stride(max([record["target"], *(reading["step"] for reading in readings[-1:])]))
        found: list[Point] = []
        spans: dict[str, int] = {}
        last: dict[str, Point] = {}
        for reading in readings:
            for name, value in reading["values"].items():
                point = Point(name, value, reading["time_ms"], reading["step"])
                last[name] = point
                if spans.get(name) != point.step // width:
                    spans[name] = point.step // width
                    found.append(point)
        return found + [point for point in last.values() if point not in set(found)]


class At(tuple[int]):
    """A point that the step alone describes."""

    __slots__ = ()

    def __new__(cls, step: int) -> "At":
        return super().__new__(cls, (step,))

    @property
    def step(self) -> int:
        return self[0]

    def __str__(self) -> str:
        return f"step {self.step}"


def worded(metric: Metric | None, number: float) -> str:
    """Return a number of `metric` for a log: fractions in per cent where its unit is %."""
    if metric is not None and metric.unit == "%":
        return f"{100 * number:.2f} %"
    unit = f" {metric.unit}" if metric is not None and metric.unit else ""
    return f"{number:.6g}{unit}"
