"""One sweep each for three trainers: a function of twenty lines, a program, and MAML on synthetic characters."""

from pathlib import Path
from typing import NamedTuple

from tests.places import ROOT
from tests.sweeper.command import Ended, sweeper
from tests.sweeper.tiny import TINY

TOY = """\
from dataclasses import dataclass

from sweeper import trainer


@dataclass
class Config:
    rate: float = 0.5
    steps: int = 4
    seed: int = 0


@trainer(metrics={"loss": {"better": "lower"}, "error": {"unit": "%", "better": "lower"}}, length="steps")
def toy(config: Config, state: dict):
    state.setdefault("x", 1.0 + config.seed)
    while True:
        state["x"] -= config.rate * state["x"]
        yield {"loss": state["x"], "error": min(state["x"], 1.0)}
"""

PROGRAM = """\
import json, os, pathlib, sys

rate, steps, seed = float(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
folder = pathlib.Path(os.environ["SWEEPER_CHECKPOINT"])
saved = sorted(folder.iterdir())
x, step = json.loads(saved[-1].read_text()) if saved else (1.0 + seed, 0)
while step < steps:
    x, step = x - rate * x, step + 1
    file = folder / f"{step:06}.json"
    file.write_text(json.dumps([x, step]))
    print(json.dumps({"step": step, "loss": x, "error": min(x, 1.0), "checkpoint": file.name}), flush=True)
"""

_QUESTION = """\
version: 1
name: tiny
question: Does the machinery work?
{trainer}
fixed:
  steps: 4
matrix:
  rate: [0.25, 0.5]
seeds: 2
endpoint: {{metric: loss, at: last, window: 1}}
report:
  tables: [{{rows: [], columns: rate}}]
  figures: [{{kind: line, x: rate}}]
"""
_COMMAND = """\
trainer:
  command: [python3, walk.py, "{rate}", "{steps}", "{seed}"]
  fields: {rate: {type: float}, steps: {type: int, ge: 1}, seed: {type: int, ge: 0}}
  metrics: {loss: {better: lower}, error: {unit: "%", better: lower}}
  length: steps
  resumes: true"""

BLOCK = """\
import sys


class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name == "trainers.maml" or name.startswith("trainers.maml."):
            raise ImportError(f"{name} is blocked by this test")


sys.meta_path.insert(0, Blocked())
"""
"""A sitecustomize.py by which no new interpreter can import MAML."""


class Case(NamedTuple):
    """A sweep of four trials named tiny, the field of its length with the target, and the axis of its table."""

    text: str
    files: dict[str, str]
    length: str
    target: int
    axis: str
    blocked: bool

    def write(self, folder: Path, length: int | None = None) -> Path:
        """Write the sweep and its trainer into `folder`, to train `length` steps, and return the sweep file."""
        for name, content in self.files.items():
            (folder / name).write_text(content)
        text = (
            self.text
            if length is None
            else self.text.replace(f"{self.length}: {self.target}", f"{self.length}: {length}", 1)
        )
        path = folder / "tiny.yaml"
        path.write_text(text)
        if self.blocked:
            (folder / "block").mkdir(exist_ok=True)
            (folder / "block" / "sitecustomize.py").write_text(BLOCK)
        return path

    def run(self, folder: Path, command: str, *arguments: str | Path) -> Ended:
        """Run `sweeper COMMAND tiny.yaml ARGUMENTS`, without MAML where the case has none."""
        return sweeper(command, *arguments, cwd=folder, **self.place(folder))

    def place(self, folder: Path) -> dict[str, str]:
        """Return where a command in `folder` and all that it starts are to find modules: no MAML if it is blocked."""
        paths = [str(folder / "block")] if self.blocked else []
        without = "trainers.maml" if self.blocked else ""
        return {"without": without, "PYTHONPATH": ":".join([*paths, str(ROOT)])}


CASES = {
    "function": Case(_QUESTION.format(trainer="trainer: toy.py:toy"), {"toy.py": TOY}, "steps", 4, "rate", True),
    "command": Case(_QUESTION.format(trainer=_COMMAND), {"walk.py": PROGRAM}, "steps", 4, "rate", True),
    "maml": Case(TINY, {}, "outer_steps", 4, "inner_steps", False),
}
