"""Trainers other than MAML for tests: functions in a file beside the sweep file, and journals without training."""

from pathlib import Path
from typing import Any

from sweeper.dealing.assignment import Assignment, Member, TrainerFound
from sweeper.planning.identity import identify, trial_id
from sweeper.results.journal import Journal
from sweeper.results.paths import Results
from trainers.registry import find
from trainers.trainer import Reference

TOY = """\
from dataclasses import dataclass

from trainers.function.decorator import trainer


@dataclass
class Config:
    rate: float = 0.5
    steps: int = 4
    seed: int = 0


@trainer(name="toy", metrics={"loss": {"better": "lower"}, "error": {"unit": "%"}}, length="steps")
def TOY(config: Config, state):
    state.setdefault("x", 1.0 + config.seed)
    while True:
        state["x"] -= config.rate * state["x"]
        yield {"loss": state["x"], "error": min(state["x"], 1.0)}
"""
"""A trainer that resumes, in a file `toy.py`."""

FORGETFUL = TOY.replace("(config: Config, state):", "(config: Config):\n    state = {}").replace('"toy"', '"forgetful"')
"""The same training without a state: it starts again after a crash."""

ENDLESS = TOY.replace(', length="steps")', ")").replace(
    "while True:", "while state.setdefault('taken', 0) < config.steps:\n        state['taken'] += 1"
)
"""The same training without a length: it ends by itself."""

OWN = """\
from pydantic import BaseModel, ConfigDict

from trainers.readings import ReadingsTrainer
from trainers.state_file import State
from trainers.trainer import Chunk, Diverged, Metric, Record, RunChunk


class Config(BaseModel):
    model_config = ConfigDict(frozen=True)

    rate: float = 0.5
    steps: int = 4
    seed: int = 0


class Own(ReadingsTrainer):
    name, config, metrics, resumes, length = "own", Config, {"loss": Metric(words="Loss")}, True, "steps"

    def train(self, task):
        configs, states = task.configs, task.states
        BODY


TOY = Own()
"""
"""A trainer that is a class of the user's own; BODY stands for what it does."""

PACKED = OWN.replace('"steps"\n', '"steps"\n    packable = frozenset({"rate", "seed"})\n').replace(
    "BODY",
    """xs = [float(state.content or 1.0 + config.seed) for state, config in zip(states, configs, strict=True)]
        records = [state.records for state in states]
        unsent = records
        for step in range(states[0].step + 1, configs[0].steps + 1):
            xs = [x - config.rate * x for x, config in zip(xs, configs, strict=True)]
            new = [(Record(step, "readings", {"loss": x}),) for x in xs]
            records = [known + one for known, one in zip(records, new, strict=True)]
            status = "done" if step == configs[0].steps else "running"
            runs = [RunChunk(known + one, status, "") for known, one in zip(unsent, new, strict=True)]
            kept = [State(step=step, records=known, content=str(x).encode())
                    for known, x in zip(records, xs, strict=True)]
            yield Chunk(step, tuple(runs), lambda kept=kept: kept)
            unsent = [()] * len(xs)""",
)
"""A class that trains packs and resumes."""

SWEEP = """\
version: 1
name: toys
question: Does the machinery work?
trainer: toy.py:TOY
fixed:
  steps: 4
matrix:
  rate: [0.25, 0.5]
seeds: 2
endpoint: {metric: loss, at: last, window: 1}
report:
  tables: [{rows: [], columns: rate}]
"""


def write_toys(folder: Path, code: str = TOY, *lines: str) -> Path:
    """Write the toy and its sweep into `folder`, with the line of the same key replaced by each given."""
    text = SWEEP
    for line in lines:
        key = line.strip().partition(":")[0]
        old = next(found for found in SWEEP.splitlines() if found.strip().startswith(f"{key}:"))
        text = text.replace(old, line)
    (folder / "toy.py").write_text(code)
    path = folder / "toys.yaml"
    path.write_text(text)
    return path


def attempt_of(trainer: str = "toy", *, resumes: bool = True, **changes: Any) -> dict[str, Any]:
    """Return what an attempt of form 2 records, with an id that is of its config."""
    config = {"rate": 0.5, "steps": 4, "seed": 0} | changes.pop("config", {})
    fields = {"@trainer": trainer, "rate": config["rate"]}
    point = identify(fields | {"seed": config["seed"]})
    usual = {
        "form": 2, "trainer": trainer, "code": "c" * 16, "resumes": resumes, "length": "steps", "class": "1" * 16,
        "dataset": "", "trial_id": trial_id(point=point, digest="", recipe={}), "point": point,
        "cell": identify(fields), "seed": config["seed"], "target": config["steps"], "config": config, "recipe": {},
        "digest": "", "sweep": "toys", "engine": "python", "threads": 1, "pack": 1, "device": "cpu", "kernels": {},
    }  # fmt: skip
    return usual | changes


def begin(results: Results, **changes: Any) -> Journal:
    """Open the next attempt of the journal of `attempt_of(**changes)`."""
    facts = attempt_of(**changes)
    journal = Journal(results.trial(facts["trial_id"]).journal)
    journal.open_attempt(facts)
    return journal


def read(journal: Journal, *readings: tuple[int, dict[str, float]]) -> int:
    """Journal readings (step, numbers) of the last attempt."""
    return journal.add(journal.attempts, [(step, "readings", dict(values)) for step, values in readings])


def assigned(folder: Path, results: Results, code: str = TOY, name: str = "TOY", **config: Any) -> Assignment:
    """Return an assignment of one trial of the trainer in `code`, which is written to `folder`."""
    (folder / "toy.py").write_text(code)
    found = TrainerFound(says=f"toy.py:{name}", folder=str(folder), code="")
    found["code"] = find(Reference(found["says"], found["folder"])).code()
    trial = results.trial("0123456789abcdef").folder
    member = Member(
        trial_id=trial.name, attempt=1, folder=str(trial), config={"rate": 0.5, "steps": 4, "seed": 0} | config
    )
    return Assignment(
        pack=1, members=[member], data={}, device="cpu", engine="python", threads=1, chunk_s=0.0, timeout_s=60.0,
        share=1.0, trainer=found,
    )  # fmt: skip
