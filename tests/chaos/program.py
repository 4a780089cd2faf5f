"""What a scene runs: a sweep of tiny trials, `sweeper` with more to hit than usual, and what both need around them."""

import os
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


def sweep_text(name: str, seeds: int, size: Size = LARGE) -> str:
    """Return a sweep of two cells, each with `seeds` trials of `size`."""
    text = _SWEEP.replace("NAME", name).replace("SEEDS", str(seeds))
    for field, number in size._asdict().items():
        text = text.replace(field.upper(), str(number))
    return text


def environment() -> dict[str, str]:
    """Return an environment without the caller's store or Ray; SPT_NOENV keeps Ray's titles from erasing the mark."""
    kept = {key: value for key, value in os.environ.items() if key not in ("MLFLOW_TRACKING_URI", "RAY_ADDRESS")}
    return kept | {"OMP_NUM_THREADS": "1", "CI": "1", "COLUMNS": "200", "SPT_NOENV": "1"}
