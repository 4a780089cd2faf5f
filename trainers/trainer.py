"""The seam: what a trainer offers, so that sweeper can plan, run, resume, track and report its trials.

Owns the protocol and the plain data that pass through it. Imports nothing of this project, and no torch.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

from pydantic import BaseModel

READINGS = "readings"
"""The key of a record that any trainer may send: its value maps names of metrics to finite numbers."""


WHOLE = "a whole number from 0"
"""Among the allowed values of a coordinate: any such number."""


class Problem(NamedTuple):
    """One fault of a config: its field, and a sentence with the value and what is allowed."""

    field: str
    message: str


class ConfigError(ValueError):
    """An invalid config; `problems` has every fault, not only the first."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("; ".join(f"{problem.field}: {problem.message}" for problem in problems))
        self.problems = problems


class TrainerError(Exception):
    """A trainer that can't be found or loaded, or that breaks the protocol. The message says which member, and how.

    `place` are the keys inside `trainer:` that it is about.
    """

    def __init__(self, message: str, place: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.place = place


class CheckpointError(Exception):
    """A checkpoint that cannot be used: missing, truncated or altered. A disk that fails to read one is an OSError."""


class Diverged(Exception):  # noqa: N818, it is an end of a training and no fault of the code
    """A trainer raises it when its numbers are out of range: the trial ends as diverged and is not tried again."""


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A number that a trainer measures: `words` name it in a sentence, `axis` on an axis of a figure (default: words).

    `unit` "%" means that fractions are printed in percent. `coordinates` maps each further key of a reading to its
    allowed values, which are texts or WHOLE. `least` and `most` bound the metric. `measured` is the kind of record that
    holds it.
    """

    words: str
    axis: str = ""
    unit: str = ""
    better: Literal["higher", "lower"] | None = None
    coordinates: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    least: float = -math.inf
    most: float = math.inf
    measured: str = READINGS


def metric_name(metric: str, coordinates: Iterable[str | int] = ()) -> str:
    """Return the name of a number in a record of readings: `accuracy`, or `accuracy/val` with a coordinate."""
    return "/".join([metric, *map(str, coordinates)])


class Wanted(NamedTuple):
    """A number that a sweep file reads: a metric, its coordinates by name, the steps ("last" or some), the window."""

    metric: str
    coordinates: Mapping[str, Any]
    at: tuple[int, ...] | Literal["last"]
    window: int


RunStatus = Literal["running", "done", "diverged"]


class Record(NamedTuple):
    """One measurement after `step` steps. (step, key) is unique in a trial; `value` is plain JSON data."""

    step: int
    key: str
    value: dict[str, Any]


@dataclass(frozen=True)
class RunChunk:
    """News of one run; `message` says why it diverged, and is empty otherwise."""

    records: tuple[Record, ...]
    status: RunStatus
    message: str


@dataclass(frozen=True)
class Chunk:
    """News of a pack since the last chunk; `states()` returns each run's resumable state at this boundary.

    A state has its own `step`, which may be another one where a program saves by itself. A run without a state has
    None. `states` is asked before the next chunk is, or after the generator was closed.
    """

    step: int
    runs: tuple[RunChunk, ...]
    states: Callable[[], Sequence[Any]]


class Data(NamedTuple):
    """A prepared data set: its name, the path of its file, and the sha256 digest of its content."""

    name: str
    path: Path
    digest: str


class Point(NamedTuple):
    """One value of a tracked metric; `step` counts steps, `time_ms` is the record's time in ms since 1970."""

    key: str
    value: float
    time_ms: int
    step: int


@dataclass(frozen=True, kw_only=True)
class Task:
    """What a trainer is asked to train: a pack of `configs`, each from its own of `states`.

    `chunk_s` is about how many seconds lie between two chunks. `folders` are those of the attempts, for a trainer that
    keeps files of its own. `log` writes a line into the trials' logs.
    """

    configs: Sequence[Any]
    states: Sequence[Any]
    data: Data | None = None
    device: str = "cpu"
    engine: str = ""
    chunk_s: float = 1.0
    folders: Sequence[Path] = ()
    log: Callable[[str], None] = print


class Trainer(Protocol):
    """What sweeper asks of a trainer. A config is an instance of `config`; a state is opaque to sweeper.

    `config` is a frozen pydantic model of plain fields (numbers, texts, true or false, null) with an int field `seed`.
    `length` names the field with the number of steps, which is no part of a trial's identity, or is None: then a trial
    can't grow. Trials of one pack may differ in the fields of `packable`. `protocols` are named sets of values for
    `use:`. `metrics` are all numbers that a sweep file may read. `records` has the form of the value of each kind of
    record besides READINGS. `resumes` says whether a training goes on from a state to the bit; without it a training
    starts again after a crash.
    """

    @property
    def name(self) -> str: ...

    @property
    def config(self) -> type[BaseModel]: ...

    @property
    def length(self) -> str | None: ...

    @property
    def packable(self) -> frozenset[str]: ...

    @property
    def protocols(self) -> Mapping[str, Mapping[str, Any]]: ...

    @property
    def metrics(self) -> Mapping[str, Metric]: ...

    @property
    def records(self) -> Mapping[str, type[BaseModel]]: ...

    @property
    def resumes(self) -> bool: ...

    def resolve(self, values: Mapping[str, Any]) -> BaseModel:
        """Return the config of `values`. Raises ConfigError with every fault."""

    def recipe(self, config: BaseModel) -> Mapping[str, int]:
        """Return numbers that are raised by hand when the numbers of `config` change. They are in the identity."""

    def code(self) -> str:
        """Return a hash of the code that trains, "" where `recipe` alone stands for it. It is not in the identity."""

    def unmeasured(self, config: BaseModel, wanted: Wanted) -> Iterator[tuple[str, str]]:
        """Yield each key of a reading that a trial of `config` never measures, with the reason."""

    def dataset(self, config: BaseModel) -> str:
        """Return the name of the data set that `config` needs, "" for none."""

    def digest(self, dataset: str) -> str:
        """Return the digest of a data set before it was prepared, as far as it is known in advance."""

    def prepare(self, dataset: str, root: Path) -> Data:
        """Find and convert a data set below `root`. Raises TrainerError that says what is missing."""

    def checkpoint_bytes(self, config: BaseModel) -> int:
        """Return about how many bytes one checkpoint takes."""

    def engines(self, device: str) -> tuple[str, ...]:
        """Return the names of the ways in which this trainer computes on `device`, the preferred one first."""

    def engine(self, config: BaseModel, device: str) -> str:
        """Return the engine of a new trial. Raises ValueError with the reason if it can't be trained on `device`."""

    def cannot_treat(self, engine: str, config: BaseModel, device: str) -> str:
        """Return why `engine` on `device` can't train `config`, or ""."""

    def make_ready(self, device: str, threads: int, share: float) -> None:
        """Prepare this process to train with `threads` threads and `share` (in (0, 1]) of its GPU's memory."""

    def begun(self, config: BaseModel) -> Any:
        """Return the state of a run that has not taken a step."""

    def point(self, config: BaseModel, state: Any) -> Any:
        """Return where a run goes on from `state`: a tuple whose first entry is the step; as text it reads "step 30".

        Trials of one pack are at equal points.
        """

    def train(self, task: Task) -> Iterator[Chunk]:
        """Train a pack from its states and yield a chunk about every `chunk_s` seconds.

        The first chunk holds the records of the states again. A trainer sees the length only as the place to stop. When
        the generator is closed, it stops; the last chunk's `states` is called after that.
        """

    def save_together(self, files: Iterable[tuple[Path, Any]]) -> None:
        """Write each (path, state) as a sealed file; all appear together. Raises OSError."""

    def load(self, path: Path) -> Any:
        """Return the state in a checkpoint. Raises CheckpointError, OSError."""

    def point_in(self, path: Path | None) -> Any:
        """Return what distinguishes the point in a checkpoint from others at its step, without reading it whole.

        `path` None stands for a trial without checkpoints. The answer None means that the file is unreadable. This must
        be quick and load no torch.
        """

    def records_in(self, payload: bytes) -> list[tuple[int, str, dict[str, Any]]]:
        """Return the records (step, key, value) in the unsealed content of a checkpoint. Raises ValueError."""

    def said(self, key: str, value: Mapping[str, Any]) -> str:
        """Return what the log says of a record, "" for nothing."""

    def progress(self, key: str, value: Mapping[str, Any]) -> float | None:
        """Return the number of a record that a progress view shows, in the unit of the trainer's first metric."""

    def outcome(self, config: BaseModel, number: float) -> str:
        """Return the last number of `progress` in words, for the line that says how a trial ended."""

    def points(self, record: Mapping[str, Any], *, all_of_them: bool) -> list[Point]:
        """Return the points that a tracking store shows of a trial's record, thinned out unless `all_of_them`."""


MEMBERS: tuple[str, ...] = tuple(name for name in vars(Trainer) if not name.startswith("_"))
"""The names of everything that a trainer must have."""


DEFAULT = "maml"
"""The trainer of a sweep file that names none."""


class Reference(NamedTuple):
    """How a trainer is found again in another process: what `trainer:` says, and the folder of the sweep file."""

    says: str | Mapping[str, Any]
    folder: str
