"""What a scene runs: a sweep of tiny trials, `sweeper` with more to hit than usual, and what both need around them."""

import os
from pathlib import Path
from typing import NamedTuple

STEPS = 500
_SWEEP = """\
version: 1
name: NAME
question: Does it end with the same bits?
fixed:
  use: strokes
  order: first
  ways: 3
  queries: 3
  channels: 4
  meta_batch_size: 2
  outer_steps: STEPS
  eval_every: EVALUATED
  eval_episodes: EPISODES
  probe_every: PROBED
  probe_episodes: 2
matrix:
  inner_steps: [1, 2]
seeds: SEEDS
endpoint: {metric: test_accuracy, head: zeroed, steps: inner_steps, at: last, window: 1}
report:
  tables: [{rows: [], columns: inner_steps}]
  figures: [{kind: inner_steps, x: inner_steps}]
"""
TRAINER = os.environ.get("SWEEPER_CHAOS_TRAINER", "maml")
"""What trains: "maml", or "command" for a program that saves and resumes."""
METRICS = {"maml": ("train_query_loss", "test_accuracy/zeroed/inner_steps"), "command": ("loss",)}[TRAINER]
"""Tracked metrics of which every trial has points."""
COMMAND_SWEEP = """\
version: 1
name: NAME
question: Does it end with the same bits?
trainer:
  command: [python3, walk.py, "{rate}", "{steps}", "{seed}"]
  fields: {rate: {type: float}, steps: {type: int, ge: 1}, seed: {type: int, ge: 0}}
  metrics: [loss]
  length: steps
  resumes: true
fixed:
  steps: STEPS
matrix:
  rate: [0.001, 0.002]
seeds: SEEDS
endpoint: {metric: loss, at: last, window: 1}
report:
  tables: [{rows: [], columns: rate}]
  figures: [{kind: line, x: rate}]
"""
WALK = """\
import json, os, pathlib, random, sys, time

rate, steps, seed = float(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
folder = pathlib.Path(os.environ["SWEEPER_CHECKPOINT"])
saved = sorted(folder.iterdir())
x, step = json.loads(saved[-1].read_text()) if saved else (1.0 + seed, 0)
while step < steps:
    x, step = x - rate * x * random.Random(f"{seed} {step}").random(), step + 1
    line = {"step": step, "loss": x}
    if step % 3 == 0 or step == steps:
        file = folder / f"{step:06}.json"
        file.write_text(json.dumps([x, step]))
        line["checkpoint"] = file.name
    print(json.dumps(line), flush=True)
    time.sleep(0.004)
"""
HASTY = """
import functools
import sweeper.executors.ray.tune, sweeper.running.session, sweeper.dealing.silence, sweeper.worker.work

class Hasty(sweeper.executors.ray.tune._Trainable):
    def setup(self, config):
        import sweeper.worker.work
        sweeper.worker.work.CHECKPOINT_EVERY_S = 0.0
        super().setup(config)

sweeper.executors.ray.tune._Trainable = Hasty
sweeper.worker.work.CHECKPOINT_EVERY_S = 0.0
sweeper.running.session.Worker = functools.partial(sweeper.running.session.Worker, chunk_s=0.2)
sweeper.dealing.silence.GRACE_S = 3.0
from sweeper.cli import main
main()
"""
"""`sweeper` with chunks of a fifth of a second and a checkpoint after each, so that a fault finds much half done."""
BROKEN = "from tests.chaos.broken import begin; begin(); from sweeper.cli import main; main()"
"""`sweeper` whose clock, locks, storage or life are broken as its environment says; see broken.py."""
PLAIN = "from sweeper.cli import main; main()"


class Size(NamedTuple):
    """How long a trial is, in outer steps, and how often and by how many episodes it is measured."""

    steps: int
    evaluated: int
    probed: int
    episodes: int


LARGE = Size(STEPS, 120, 200, 10)
SMALL = Size(12, 3, 5, 3)


def write_sweep(folder: Path, name: str, seeds: int, size: Size = LARGE) -> Path:
    """Write a sweep of two cells, each with `seeds` trials of `size`, and return its file."""
    if TRAINER == "command":
        (folder / "walk.py").write_text(WALK)
    path = folder / "chaos.yaml"
    path.write_text(sweep_text(name, seeds, size, _SWEEP if TRAINER == "maml" else COMMAND_SWEEP))
    return path


def sweep_text(name: str, seeds: int, size: Size = LARGE, text: str = _SWEEP) -> str:
    """Return a sweep of two cells, each with `seeds` trials of `size`."""
    text = text.replace("NAME", name).replace("SEEDS", str(seeds))
    for field, number in size._asdict().items():
        text = text.replace(field.upper(), str(number))
    return text


def environment() -> dict[str, str]:
    """Return an environment without the caller's store or Ray; SPT_NOENV keeps Ray's titles from erasing the mark."""
    kept = {key: value for key, value in os.environ.items() if key not in ("MLFLOW_TRACKING_URI", "RAY_ADDRESS")}
    return kept | {"OMP_NUM_THREADS": "1", "CI": "1", "COLUMNS": "200", "SPT_NOENV": "1"}
