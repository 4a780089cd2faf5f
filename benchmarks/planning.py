"""How long planning takes: 100,000 points against 100,000 finished trials, and the commands on 10,000.

    python benchmarks/planning.py [--trials N] [--commands N]

Finished trials are journals written here, with an attempt, a short curve, two evaluations and an end. The first read of
a folder makes its index; what is timed is what every later command pays. Prints a table and one JSON line.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from sweeper.planning.expand import expand
from sweeper.planning.trial_spec import TrialSpec
from sweeper.results.index import summaries
from sweeper.results.paths import Results
from sweeper.results.survey import counts, survey
from sweeper.sweepfile.sweep import load

SWEEP = """\
version: 1
name: planning
question: How long does a plan take?
fixed: {{use: omniglot, eval_every: 0}}
matrix:
  inner_lr: {{linspace: [0.01, 1, {rates}]}}
  outer_lr: {{linspace: [0.001, 0.1, 100]}}
  inner_steps: [1, 2, 3, 4, 5]
  zeroing: {{none: {{}}, every step: {{zero_head_every: 1}}}}
seeds: 1
endpoint: {{metric: test_accuracy, head: zeroed, steps: 1, at: last, window: 1}}
report:
  tables: [{{rows: [zeroing, inner_lr, outer_lr], columns: inner_steps}}]
"""


def write_sweep(folder: Path, trials: int) -> Path:
    """Write a sweep of `trials` one-seed cells, in thousands, and return its path."""
    path = folder / "planning.yaml"
    path.write_text(SWEEP.format(rates=max(trials // 1000, 2)), encoding="utf-8")
    return path


def finish(results: Results, specs: Sequence[TrialSpec]) -> None:
    """Write a finished trial's journal for every one of `specs`."""
    config = specs[0].config.model_dump()
    for spec in specs:
        attempt = {
            "kind": "attempt", "trial_id": spec.trial_id, "point": spec.point, "cell": spec.cell, "seed": spec.seed,
            "target": spec.target, "config": config, "recipe": dict(spec.recipe), "digest": spec.digest,
            "sweep": "planning", "engine": "loop", "threads": 1, "pack": 1, "device": "cpu",
        }  # fmt: skip
        curve = [
            {"kind": "record", "step": step, "key": "training", "value": {"query_loss": 1.0, "query_accuracy": 0.5}}
            for step in range(0, spec.target, max(spec.target // 20, 1))
        ]
        head = {"trained": [0.2, 0.5], "zeroed": [0.2, 0.5]}
        value = {"split": "test", "episodes": 100, "accuracy": head, "sd": head}
        evaluation = {"kind": "record", "step": spec.target, "key": "evaluation", "value": value}
        lines = [attempt, *curve, evaluation, {"kind": "done", "step": spec.target, "message": ""}]
        paths = results.trial(spec.trial_id)
        paths.folder.mkdir(parents=True)
        stamped = [{"attempt": 1, "time_ms": 1_700_000_000_000 + n} | line for n, line in enumerate(lines)]
        paths.journal.write_text("".join(json.dumps(line) + "\n" for line in stamped))


def timed_command(*arguments: str) -> float:
    """Return the wall time of `sweeper` with `arguments`, a process of its own."""
    begun = time.perf_counter()
    program = "from sweeper.cli import main; main()"
    subprocess.run([sys.executable, "-c", program, *arguments], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begun


def main() -> None:
    """Time all and print it."""
    parser = argparse.ArgumentParser(description="How long planning takes.")
    parser.add_argument("--trials", type=int, default=100_000)
    parser.add_argument("--commands", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    found: dict[str, float] = {"help_s": min(timed_command("--help") for _ in range(5))}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path, results = write_sweep(folder, arguments.commands), Results.at(folder / "few")
        finish(results, expand(load(path)))
        begun = time.perf_counter()
        summaries(results)
        found["index_made_s"] = time.perf_counter() - begun
        for command in ("plan", "status"):
            words = (command, str(path), "--results", str(results.root))
            found[f"{command}_s"] = min(timed_command(*words) for _ in range(arguments.rounds))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path, results = write_sweep(folder, arguments.trials), Results.at(folder / "many")
        finish(results, expand(load(path)))
        program = (
            "import json, resource, sys, time; from pathlib import Path; begun = time.perf_counter();"
            "from benchmarks.planning import planned; n = planned(Path(sys.argv[1]), Path(sys.argv[2]));"
            "peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024;"
            "print(json.dumps([n, time.perf_counter() - begun, time.process_time(), peak]))"
        )
        measured = [sys.executable, "-c", program, str(path), str(results.root)]
        subprocess.run(measured, check=True, stdout=subprocess.DEVNULL)  # makes the index
        rounds = [subprocess.run(measured, check=True, capture_output=True) for _ in range(arguments.rounds)]
        taken = [json.loads(done.stdout) for done in rounds]
        found["trials"] = taken[0][0]
        found["expand_and_compare_s"] = min(one[1] for one in taken)
        found["expand_and_compare_cpu_s"] = min(one[2] for one in taken)
        found["peak_mib"] = max(one[3] for one in taken)
    for key, value in found.items():
        print(f"{key:<24}{value:>12.2f}")
    print(json.dumps(found))


def planned(path: Path, root: Path) -> int:
    """Expand the sweep at `path`, compare it with the results in `root`, and return how many trials are done."""
    results = Results.at(root)
    return counts(survey(results, expand(load(path), None, results.digests())).standings)["done"]


if __name__ == "__main__":
    main()
