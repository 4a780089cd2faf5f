"""What the orchestrator costs: seconds a trial beside plain Ray Tune, time to the first step, records a second.

    python -m benchmarks.bench_sweep [--trials N] [--plain N] [--workers N] [--rounds N]

- Overhead: N trials of next to no work through `sweeper run`, start-up included and the work itself taken off, against
  Ray Tune as people use it: a function that returns at once, a fresh actor for each trial, as many slots. Both are
  processes of their own on the same cores, one after the other, in `--rounds` rounds; told are median and least.
- First step: from the command to the first training record on disk, with Ray cold; and what of it is ours.
- Warm start: from a trial's attempt to its first record, without the first of them in each worker.
- Driver: how fast the dealer takes the records of many workers, each chunk synced to disk.

Prints a table and one JSON line.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import torch

from sweeper.dealing.dealer import Dealer, Worker
from sweeper.planning.expand import expand
from sweeper.planning.trial_spec import TrialSpec
from sweeper.results.paths import Results
from sweeper.results.survey import Batch
from sweeper.running.batch import prepare_run
from sweeper.sweepfile.sweep import load
from sweeper.worker.work import MemberUpdate, Update
from trainers.data import strokes
from trainers.data.catalog import CATALOG
from trainers.data.datasets import DataError, data_root, prepare
from trainers.maml.config import TrialConfig
from trainers.maml.engines.table import fastest
from trainers.maml.train import train

SWEEP = """\
version: 1
name: overhead
question: What does a trial cost that does nothing?
fixed:
  {{use: strokes, channels: 1, ways: 2, shots: 1, queries: 1, inner_steps: 0, eval_steps: 0, meta_batch_size: 1,
   outer_steps: 1, eval_every: 0, eval_episodes: 1}}
matrix:
  outer_lr: [0.001]
seeds: {trials}
endpoint: {{metric: test_accuracy, head: trained, steps: 0, at: last, window: 1}}
report:
  tables: [{{rows: [], columns: outer_lr}}]
"""

WARM = """\
version: 1
name: warm
question: How long does a warm worker take to begin?
fixed:
  {{ways: 2, shots: 1, queries: 1, inner_steps: 0, eval_steps: 0, meta_batch_size: 1, outer_steps: 1, eval_every: 0,
   eval_episodes: 1}}
matrix:
  data:
{data}
seeds: {seeds}
endpoint: {{metric: test_accuracy, head: trained, steps: 0, at: last, window: 1}}
report:
  tables: [{{rows: [], columns: data}}]
"""

PLAIN = """
import os, sys
os.environ.update(RAY_USAGE_STATS_ENABLED="0", TUNE_DISABLE_AUTO_CALLBACK_LOGGERS="1", RAY_AIR_NEW_OUTPUT="0")
import ray
from ray import tune
slots, trials, storage = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
ray.init(num_cpus=slots, include_dashboard=False, log_to_driver=False)
def nothing(config):
    tune.report({"accuracy": 0.5})
tuner = tune.Tuner(
    tune.with_resources(nothing, {"cpu": 1}),
    param_space={"seed": tune.grid_search(list(range(trials)))},
    run_config=tune.RunConfig(storage_path=storage, verbose=0),
)
results = tuner.fit()
assert len(results) == trials and not results.errors
"""


def sweeper(*words: str) -> float:
    """Run `sweeper` with `words` in a process of its own and return its wall time."""
    begun = time.perf_counter()
    command = [sys.executable, "-c", "from sweeper.cli import main; main()", *words]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - begun


def work_s(path: Path) -> float:
    """Return what one trial's training and evaluation take by themselves, the median of 20."""
    config, pixels = _config_of(expand(load(path))[0]), torch.from_numpy(strokes.make(0))
    taken = []
    for _ in range(20):
        begun = time.perf_counter()
        for _ in train([config], pixels):
            pass
        taken.append(time.perf_counter() - begun)
    return sorted(taken)[10]


def ours(folder: Path, trials: int, workers: int) -> dict[str, float]:
    """Time `sweeper run` of `trials` trials; and the way to the first record of its first trial."""
    path = folder / "overhead.yaml"
    path.write_text(SWEEP.format(trials=trials), encoding="utf-8")
    work = work_s(path)
    found = {"work_s": work}
    for tracked in ("none", "sqlite"):
        results = folder / f"results-{tracked}"
        words = ["run", str(path), "--results", str(results), "--device", "cpu", "--workers", str(workers)]
        began_ms = time.time() * 1000
        wall_s = sweeper(*words, *(["--tracking-uri", "none"] if tracked == "none" else []))
        found[f"wall_{tracked}_s"] = wall_s
        found[f"a_trial_{tracked}_s"] = (wall_s - work * trials / workers) / trials
        lines = [json.loads(line) for file in results.glob("trials/*/journal.jsonl") for line in file.open()]
        first_ms = min(line["time_ms"] for line in lines if line["kind"] == "record")
        found[f"first_step_{tracked}_s"] = (first_ms - began_ms) / 1000
    return found


def warm_starts(folder: Path, workers: int, seeds: int = 12) -> dict[str, float]:
    """Return the median and the longest warm start with each data set that is there, its one small step included."""
    there = []
    for name in CATALOG:
        try:
            there.append(prepare(name, data_root(None)).name)
        except DataError as error:
            print(f"without {name}: {error}", file=sys.stderr)
    path, results = folder / "warm.yaml", folder / "results-warm"
    data = "\n".join(f"    {name}: {{use: {name}}}" for name in there)
    path.write_text(WARM.format(data=data, seeds=seeds), encoding="utf-8")
    words = ["run", str(path), "--results", str(results), "--device", "cpu", "--workers", str(workers)]
    sweeper(*words, "--tracking-uri", "none")
    starts: dict[str, list[tuple[int, float]]] = {name: [] for name in there}
    for file in results.glob("trials/*/journal.jsonl"):
        attempt, *rest = [json.loads(line) for line in file.open()]
        first = next(line for line in rest if line["kind"] == "record")
        taken_s = (first["time_ms"] - attempt["time_ms"]) / 1000
        starts[attempt["config"]["dataset"]].append((attempt["time_ms"], taken_s))
    found: dict[str, float] = {}
    for name, begun in starts.items():
        taken = [taken_s for _, taken_s in sorted(begun)[workers:]]
        found |= {f"warm_{name}_s": median(taken), f"warm_{name}_longest_s": max(taken)}
    return found


def plain(folder: Path, trials: int, workers: int) -> float:
    """Return the wall time of plain Ray Tune with fresh actors."""
    begun = time.perf_counter()
    command = [sys.executable, "-c", PLAIN, str(workers), str(trials), str(folder / "plain")]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - begun


def dealer_of(batch: Batch, specs: Sequence[TrialSpec], results: Results) -> Dealer:
    """Return a dealer of `specs` that tells no tracking store."""
    sweeps = {spec.trial_id: "overhead" for spec in specs}
    return Dealer(
        specs,
        sweeps=sweeps,
        engines=dict.fromkeys(sweeps, fastest(_config_of(specs[0]), "cpu")),
        results=results,
        worker=Worker(device="cpu", threads=1, pack=1, data=batch.data, timeout_s=60.0),
        note=lambda trial_id: None,
    )


def _config_of(spec: TrialSpec) -> TrialConfig:
    assert isinstance(spec.config, TrialConfig)
    return spec.config


def our_share_s(folder: Path) -> float:
    """Return the time from the parsed command to the first assignment, less Ray, torch and MLflow: what is our code."""
    results = Results.at(folder / "share")
    begun = time.perf_counter()
    batch = prepare_run([load(folder / "overhead.yaml")], None, results, folder)
    specs = batch.parts[0].specs
    dealer = dealer_of(batch, specs, results)
    assert dealer.next_assignment() is not None
    return time.perf_counter() - begun


def driver(folder: Path, workers: int = 10, records: int = 100, chunks: int = 20) -> dict[str, float]:
    """Feed the dealer `records` records a chunk from each of `workers` workers; return rate and time a chunk."""
    sweep = load(folder / "overhead.yaml")
    results = Results.at(folder / "driver")
    batch = prepare_run([sweep], None, results, folder)
    specs = batch.parts[0].specs[:workers]
    dealer = dealer_of(batch, specs, results)
    dealt = [assignment for _ in specs if (assignment := dealer.next_assignment()) is not None]
    assert len(dealt) == len(specs)
    taken = []
    for chunk in range(chunks):
        for assignment in dealt:
            (member,) = assignment["members"]
            first = chunk * records
            new = [(first + n, "training", {"query_loss": 1.0, "query_accuracy": 0.5}) for n in range(records)]
            update = MemberUpdate(
                trial_id=member["trial_id"],
                attempt=member["attempt"],
                step=first + records,
                records=new,
                status="running",
                message="",
            )
            begun = time.perf_counter()
            dealer.receive(Update(pack=assignment["pack"], members=[update], over=False))
            taken.append(time.perf_counter() - begun)
    return {
        "records_a_second": len(taken) * records / sum(taken),
        "a_chunk_of_100_ms": sorted(taken)[len(taken) // 2] * 1e3,
    }


def main() -> None:
    """Time all and print it."""
    parser = argparse.ArgumentParser(description="What the orchestrator costs.")
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--plain", type=int, default=200)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rounds = []
        for number in range(arguments.rounds):
            own = folder / str(number)
            own.mkdir()
            rounds.append(ours(own, arguments.trials, arguments.workers))
            if arguments.plain:
                wall_s = plain(own, arguments.plain, arguments.workers)
                rounds[-1] |= {"plain_wall_s": wall_s, "plain_a_trial_s": wall_s / arguments.plain}
                rounds[-1]["times_less"] = rounds[-1]["plain_a_trial_s"] / rounds[-1]["a_trial_none_s"]
        found: dict[str, float] = {}
        for key in rounds[0]:
            values = [one[key] for one in rounds]
            found |= {key: median(values), f"{key}_least": min(values)}
        found["our_share_s"] = our_share_s(folder / "0")
        found |= driver(folder / "0")
        found |= warm_starts(folder, arguments.workers)
    for key, value in found.items():
        print(f"{key:<26}{value:>12.4f}")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
