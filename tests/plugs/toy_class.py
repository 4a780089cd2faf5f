"""The toy as a class: packs of seeds that train together, and a kind of record of its own."""

import json
import random
import time
from collections.abc import Iterator, Mapping

from pydantic import BaseModel, ConfigDict, Field

from trainers.readings import ReadingsTrainer
from trainers.state_file import State
from trainers.trainer import READINGS, Chunk, Metric, Record, RunChunk, Task


class Config(BaseModel):
    """The fields of a trial."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    lr: float = Field(0.1, description="step size")
    steps: int = Field(6, ge=1, description="steps to take")
    seed: int = 0


class Weight(BaseModel):
    """The value of a record of kind `weight`."""

    w: float


class Toy(ReadingsTrainer):
    """Trains all runs of a pack side by side, a step of each in turn."""

    name = "toy_class"
    config = Config
    length = "steps"
    packable = frozenset({"seed"})
    metrics: Mapping[str, Metric] = {"closeness": Metric(words="closeness to one", better="higher", most=1.0)}
    records: Mapping[str, type[BaseModel]] = {"weight": Weight}
    resumes = True

    def train(self, task: Task) -> Iterator[Chunk]:
        configs, states = task.configs, task.states
        step, target = states[0].step, configs[0].steps
        if len({state.step for state in states}) > 1 or len({config.steps for config in configs}) > 1:
            raise ValueError("runs of a pack begin and end at one step")
        ws = [json.loads(state.content) if state.content else 0.0 for state in states]
        records = [list(state.records) for state in states]
        unsent = [list(state.records) for state in states]
        while True:
            ends = time.monotonic() + task.chunk_s
            while step < target:
                step += 1
                for run, config in enumerate(configs):
                    ws[run] += config.lr * (1 - ws[run]) + random.Random(f"{config.seed} {step}").gauss(0, 0.01)
                    new = [
                        Record(step, READINGS, {"closeness": 1 - abs(1 - ws[run])}),
                        *([Record(step, "weight", {"w": ws[run]})] if step % 3 == 0 else []),
                    ]
                    records[run] += new
                    unsent[run] += new
                if time.monotonic() >= ends:
                    break
            status = "done" if step >= target else "running"
            kept = tuple(
                State(step=step, records=tuple(sent), content=json.dumps(w).encode())
                for sent, w in zip(records, ws, strict=True)
            )
            yield Chunk(step, tuple(RunChunk(tuple(new), status, "") for new in unsent), lambda kept=kept: kept)
            unsent = [[] for _ in configs]
            if status == "done":
                return


toy = Toy()
