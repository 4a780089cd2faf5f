"""How long a report takes of a local store of 5,000 trials: the tables alone, and with curves and pages.

    python -m benchmarks.report [--trials N] [--evaluations N]

Journals are written here and sent by `sweeper sync`, which takes longer than what is timed. Wall time and the largest
resident size of each command, all its imports included. Prints a table and one JSON line.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from sweeper.planning.expand import expand
from sweeper.planning.trial_spec import TrialSpec
from sweeper.results.paths import Results
from sweeper.sweepfile.sweep import load

SWEEP = """\
version: 1
name: report
question: How long does a report take?
fixed: {{use: omniglot, outer_steps: {steps}, eval_every: 30, eval_steps: 3}}
matrix:
  inner_lr: {{linspace: [0.1, 1, {rates}]}}
  inner_steps: [1, 2, 3, 4, 5]
  zeroing: {{none: {{}}, every step: {{zero_head_every: 1}}}}
seeds: 10
endpoint: {{metric: test_accuracy, head: zeroed, steps: 1, at: last, window: 5}}
claims:
  - says: The zeroing trick raises the accuracy.
    source: Fig. 4
    kind: effect
    of: {{zeroing: every step}}
    minus: {{zeroing: none}}
    where: {{inner_steps: 1, inner_lr: 0.1}}
    expected: positive
report:
  tables: [{{rows: [inner_lr, zeroing], columns: inner_steps}}]
  figures:
    - {{kind: inner_steps, x: inner_steps, hue: zeroing, facets: inner_lr}}
    - {{kind: curves, hue: inner_steps, facets: [zeroing, inner_lr]}}
"""
COMMAND = "from sweeper.cli import main; main()"


def finish(results: Results, spec: TrialSpec, draw: random.Random) -> None:
    """Write the journal of a finished trial with an evaluation every 30 outer steps."""
    attempt = {
        "kind": "attempt", "form": 1, "trial_id": spec.trial_id, "point": spec.point, "cell": spec.cell,
        "seed": spec.seed, "target": spec.target, "config": spec.config.model_dump(), "recipe": dict(spec.recipe),
        "digest": spec.digest, "sweep": "report", "engine": "loop", "threads": 1, "pack": 1, "device": "cpu",
        "commit": "none", "dirty": False, "host": "none", "versions": {},
    }  # fmt: skip
    lines = [attempt]
    for step in range(30, spec.target + 1, 30):
        scores = {head: [0.2, *(draw.uniform(0.5, 0.9) for _ in range(3))] for head in ("trained", "zeroed")}
        value = {"split": "test", "episodes": 992, "accuracy": scores, "sd": scores}
        lines.append({"kind": "record", "step": step, "key": "evaluation", "value": value})
    lines.append({"kind": "done", "step": spec.target, "message": ""})
    paths = results.trial(spec.trial_id)
    paths.folder.mkdir(parents=True)
    stamped = [{"attempt": 1, "time_ms": 1_700_000_000_000 + n} | line for n, line in enumerate(lines)]
    paths.journal.write_text("".join(json.dumps(line) + "\n" for line in stamped), encoding="utf-8")


def sweeper(*words: str) -> tuple[float, float]:
    """Run `sweeper` with `words` in a process of its own; return its wall time in s and largest size in MiB."""
    begun = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-c", COMMAND, *words], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"sweeper {' '.join(words)} ended with {status}")
    return time.perf_counter() - begun, usage.ru_maxrss / 1024


def main() -> None:
    """Time all and print it."""
    parser = argparse.ArgumentParser(description="How long a report takes.")
    parser.add_argument("--trials", type=int, default=5000, help="in hundreds")
    parser.add_argument("--evaluations", type=int, default=100)
    arguments = parser.parse_args()
    found: dict[str, float] = {"trials": arguments.trials, "evaluations": arguments.evaluations}
    with tempfile.TemporaryDirectory() as name:
        folder, draw = Path(name), random.Random(0)
        path, results = folder / "report.yaml", Results.at(folder / "results")
        text = SWEEP.format(steps=30 * arguments.evaluations, rates=arguments.trials // 100)
        path.write_text(text, encoding="utf-8")
        for spec in expand(load(path)):
            finish(results, spec, draw)
        where = (str(path), "--results", str(results.root))
        found["sync_s"], _ = sweeper("sync", *where)
        found["tables_s"], found["tables_mib"] = sweeper("report", *where, "--format", "csv", "--format", "tex")
        found["all_s"], found["all_mib"] = sweeper("report", *where)
    for key, value in found.items():
        print(f"{key:<16}{value:>12.1f}")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
