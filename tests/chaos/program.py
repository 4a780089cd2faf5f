"""What a scene runs: a sweep of tiny trials, `sweeper` with more to hit than usual, and what both need around them."""

import os

STEPS = 500
_SWEEP = f"""\
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
  outer_steps: {STEPS}
  eval_every: 120
  eval_episodes: 10
  probe_every: 200
  probe_episodes: 2
matrix:
  inner_steps: [1, 2]
seeds: SEEDS
endpoint: {{metric: test_accuracy, head: zeroed, steps: inner_steps, at: last, window: 1}}
report:
  tables: [{{rows: [], columns: inner_steps}}]
  figures: [{{kind: inner_steps, x: inner_steps}}]
"""
HASTY = """
import functools
import sweeper.executors.ray.tune, sweeper.running.session, sweeper.dealing.silence

class Hasty(sweeper.executors.ray.tune._Trainable):
    def setup(self, config):
        import sweeper.worker.work
        sweeper.worker.work.CHECKPOINT_EVERY_S = 0.0
        super().setup(config)

sweeper.executors.ray.tune._Trainable = Hasty
sweeper.running.session.Worker = functools.partial(sweeper.running.session.Worker, chunk_s=0.2)
sweeper.dealing.silence.GRACE_S = 3.0
from sweeper.cli import main
main()
"""
"""`sweeper` with chunks of a fifth of a second and a checkpoint after each, so that a fault finds much half done."""
PLAIN = "from sweeper.cli import main; main()"


def sweep_text(name: str, seeds: int) -> str:
    """Return a sweep of two cells, each with `seeds` trials of STEPS outer steps."""
    return _SWEEP.replace("NAME", name).replace("SEEDS", str(seeds))


def environment() -> dict[str, str]:
    """Return an environment without the caller's store or Ray; SPT_NOENV keeps Ray's titles from erasing the mark."""
    kept = {key: value for key, value in os.environ.items() if key not in ("MLFLOW_TRACKING_URI", "RAY_ADDRESS")}
    return kept | {"OMP_NUM_THREADS": "1", "CI": "1", "COLUMNS": "200", "SPT_NOENV": "1"}
