"""What a proposal of a search costs, beside Ray Tune with OptunaSearch and ASHAScheduler: trials of no work, in pairs.

    python -m benchmarks.bench_search [--proposals N] [--workers N] [--rounds N]

Both search one range by Optuna's TPE, with rungs at 1, 3 and 9 reports of which the best third go on, and train in Ray
workers. A trial reports a number at once. Each round times both, one after the other, as processes of their own with
their start-up; told are the median of the rounds, and the ratio in each round. Prints a table and one JSON line.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

SWEEP = """\
version: 1
name: no_work
question: What does a proposal cost?
trainer: nothing.py:NOTHING
fixed: {{steps: 9}}
seeds: 1
search:
  space: {{x: {{uniform: [0.0, 1.0]}}}}
  sampler: tpe
  trials: {proposals}
  metric: {{name: distance}}
  rungs: {{first: 1, factor: 3, last: 9}}
"""
NOTHING = """\
from dataclasses import dataclass

from trainers.function.decorator import trainer


@dataclass
class Config:
    x: float = 0.5
    steps: int = 9
    seed: int = 0


@trainer(name="nothing", metrics={"distance": {"better": "lower"}}, length="steps")
def NOTHING(config: Config, state):
    while True:
        yield {"distance": abs(config.x - 0.3)}
"""
PEER = """
import os, sys
os.environ.update(RAY_USAGE_STATS_ENABLED="0", TUNE_DISABLE_AUTO_CALLBACK_LOGGERS="1", RAY_AIR_NEW_OUTPUT="0")
import ray
from ray import tune
from ray.tune.schedulers import ASHAScheduler
from ray.tune.search.optuna import OptunaSearch
slots, proposals, storage = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
ray.init(address="local", num_cpus=slots, include_dashboard=False, log_to_driver=False)
def nothing(config):
    for _ in range(9):
        tune.report({"distance": abs(config["x"] - 0.3)})
tuner = tune.Tuner(
    tune.with_resources(nothing, {"cpu": 1}),
    param_space={"x": tune.uniform(0.0, 1.0)},
    tune_config=tune.TuneConfig(
        metric="distance",
        mode="min",
        num_samples=proposals,
        max_concurrent_trials=slots,
        search_alg=OptunaSearch(seed=0),
        scheduler=ASHAScheduler(max_t=9, grace_period=1, reduction_factor=3),
    ),
    run_config=tune.RunConfig(storage_path=storage, verbose=0),
)
results = tuner.fit()
assert len(results) == proposals and not results.errors
"""


def timed(*words: str) -> float:
    """Run Python with `words` in a process of its own and return its wall time."""
    begun = time.perf_counter()
    subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - begun


def ours(folder: Path, proposals: int, workers: int) -> float:
    """Return the wall time of a search by `sweeper run`. Raises AssertionError if it is not complete."""
    folder.mkdir()
    (folder / "nothing.py").write_text(NOTHING, encoding="utf-8")
    file = folder / "no_work.yaml"
    file.write_text(SWEEP.format(proposals=proposals), encoding="utf-8")
    words = ["run", str(file), "--results", str(folder / "results"), "--workers", str(workers), "--device", "cpu"]
    wall_s = timed("-c", "from sweeper.cli import main; main()", *words, "--tracking-uri", "none")
    (journal,) = (folder / "results" / "searches").glob("*/journal.jsonl")
    assert journal.read_text().count('"kind":"asked"') == proposals
    return wall_s


def main() -> None:
    """Time both and print the ratios."""
    parser = argparse.ArgumentParser(description="What a proposal of a search costs beside Ray Tune.")
    parser.add_argument("--proposals", type=int, default=60)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    count, workers = arguments.proposals, arguments.workers
    pairs = []
    with tempfile.TemporaryDirectory() as name:
        for number in range(arguments.rounds):
            mine = ours(Path(name) / f"ours-{number}", count, workers)
            theirs = timed("-c", PEER, str(workers), str(count), str(Path(name) / f"peer-{number}"))
            pairs.append((mine / count, theirs / count))
            print(f"round {number}: ours {mine:.1f} s, Ray Tune {theirs:.1f} s, ratio {theirs / mine:.2f}", flush=True)
    found = {
        "proposals": count,
        "workers": workers,
        "ours_a_proposal_s": median(mine for mine, _ in pairs),
        "ray_tune_a_proposal_s": median(theirs for _, theirs in pairs),
        "ratios": [theirs / mine for mine, theirs in pairs],
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
