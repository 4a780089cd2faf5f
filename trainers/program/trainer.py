"""A program as a trainer, from the mapping under `trainer:` of a sweep file. `trainers.program.training` runs it."""

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from trainers.fields import Field, fields_from_mapping, finite, model_of, shown
from trainers.metrics import metrics_of
from trainers.plain_fields import plain_fields
from trainers.program import checkpoint_folder
from trainers.program.command import Command, check_fields, read_command
from trainers.program.output import RESERVED
from trainers.program.training import Run
from trainers.readings import ReadingsTrainer
from trainers.trainer import Chunk, ConfigError, Metric, Problem, Task, TrainerError

GRACE_S = 30.0
LONGEST_GRACE_S = 3600.0
_KEYS = ("command", "fields", "metrics", "length", "resumes", "grace_s")


class ProgramTrainer(ReadingsTrainer):
    """A trainer that starts `command` in `folder`, the folder of the sweep file."""

    engine_name = "program"

    def __init__(
        self,
        *,
        command: Command,
        folder: Path,
        fields: Mapping[str, Field],
        metrics: Mapping[str, Metric],
        length: str | None,
        resumes: bool,
        grace_s: float,
    ) -> None:
        self.name = command.text
        self.command = command
        self.folder = folder
        self.config = model_of("Config", fields)
        self.metrics = metrics
        self.length = length
        self.resumes = resumes
        self.grace_s = grace_s
        self._threads: int | None = None

    def __repr__(self) -> str:
        return f"<trainer {self.name}>"

    def resolve(self, values: Mapping[str, Any]) -> BaseModel:
        config = super().resolve(values)
        nulls = [name for name, value in config if isinstance(value, str) and "\0" in value]
        if nulls:
            raise ConfigError((Problem(nulls[0], "has a NUL character, which no program can be given"),))
        return config

    def code(self) -> str:
        return self.command.code(self.folder)

    def make_ready(self, device: str, threads: int, share: float) -> None:
        """Note the number of threads for the program's environment; sweeper can't limit its memory of a GPU."""
        self._threads = threads

    def environment(self, device: str) -> dict[str, str]:
        """Return what the program's environment has besides that of this process."""
        unbuffered = {"PYTHONUNBUFFERED": os.environ.get("PYTHONUNBUFFERED", "1")}
        threads = {} if self._threads is None else {"OMP_NUM_THREADS": str(self._threads)}
        return unbuffered | threads | {"SWEEPER_DEVICE": device}

    def train(self, task: Task) -> Iterator[Chunk]:
        """See `trainers.trainer.Trainer`; a pack has one run, which is one program."""
        attempt = task.folders[0] if task.folders else None
        return Run(self, *self.alone(task), attempt, task.log).chunks(task.chunk_s, task.device)

    def check_content(self, content: bytes) -> None:
        checkpoint_folder.check(content)


def from_mapping(given: Mapping[str, Any], folder: Path) -> ProgramTrainer:
    """Return the trainer that a sweep file in `folder` describes. Raises TrainerError with the place of the fault."""
    for key in given:
        if key not in _KEYS:
            raise TrainerError(f"unknown key {shown(key)}; known are {', '.join(_KEYS)}", (str(key),))
    command = read_command(_required(given, "command", "the program and its arguments"))
    missing = command.missing(folder)
    if missing:
        raise TrainerError(
            f"command names {missing}, and there is no such file in the folder of the sweep file, {folder}",
            ("command",),
        )
    fields = _fields(given)
    metrics = _metrics(given)
    length = given.get("length")
    if length is not None and not isinstance(length, str):
        raise TrainerError(f"length must be the name of a field, got {shown(length)}", ("length",))
    fields = _placed(lambda: plain_fields("command", fields, None), "fields")
    fields = _placed(lambda: plain_fields("command", fields, length), "length")
    check_fields(command, tuple(fields), length)
    return ProgramTrainer(
        command=command,
        folder=folder,
        fields=fields,
        metrics=metrics,
        length=length,
        resumes=_resumes(given),
        grace_s=_grace_s(given),
    )


def _required(given: Mapping[str, Any], key: str, what: str) -> Any:
    if given.get(key) is None:
        raise TrainerError(f"{key} is required and not given ({what})")
    return given[key]


def _placed(read: Callable[[], Any], *place: str) -> Any:
    """Return what `read` returns. A TrainerError gets its place."""
    try:
        return read()
    except TrainerError as error:
        raise TrainerError(str(error).removeprefix("command: "), place) from None


def _fields(given: Mapping[str, Any]) -> dict[str, Field]:
    described = _placed(lambda: fields_from_mapping(given.get("fields", {}), "command"), "fields")
    if "seed" not in described:
        described["seed"] = Field(type="int", ge=0, default=0)
    seed = described["seed"]
    if seed.type == "int" and seed.ge is None and seed.gt is None:
        described["seed"] = replace(seed, ge=0)
    return dict(described)


def _metrics(given: Mapping[str, Any]) -> dict[str, Metric]:
    found = _placed(lambda: metrics_of(_required(given, "metrics", "what the program prints"), "command"), "metrics")
    for name in RESERVED:
        if name in found:
            raise TrainerError(f"a metric may not be called {name}, which a line says otherwise", ("metrics", name))
    return dict(found)


def _resumes(given: Mapping[str, Any]) -> bool:
    resumes = given.get("resumes", False)
    if not isinstance(resumes, bool):
        raise TrainerError(f"resumes must be true or false, got {shown(resumes)}", ("resumes",))
    return resumes


def _grace_s(given: Mapping[str, Any]) -> float:
    grace_s = given.get("grace_s", GRACE_S)
    if not finite(grace_s) or not 0 <= grace_s <= LONGEST_GRACE_S:
        raise TrainerError(f"grace_s must be 0 to {LONGEST_GRACE_S:.0f} seconds, got {shown(grace_s)}", ("grace_s",))
    return float(grace_s)
