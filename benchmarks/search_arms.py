"""Random against TPE, each with and without halving, at equal outer steps on the built-in characters.

    python -m benchmarks.search_arms run FOLDER FILE.jsonl
    python -m benchmarks.search_arms draw FILE.jsonl PICTURE.png

`run` makes five searches an arm in FOLDER, by one worker in one process, so that the same command gives the same
numbers, and goes on after a kill. Search s of every arm trains trials of seed s, so arms are compared in pairs. FILE
has a line for each search: the best so far against the steps spent, and the confirmation of the best on test classes
with fresh seeds. Each arm has a results folder of its own, so no arm finds a trial that another has trained.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean
from typing import Any

from analysis.contract.search import SearchFound
from analysis.numbers.searched import best_so_far, leader, steps_spent
from analysis.numbers.stats import summary
from sweeper.reporting.searches import searches_found
from sweeper.results.fold import fold
from sweeper.results.paths import Results
from sweeper.search.trials import known_searches
from sweeper.search.value import value_at
from sweeper.sweepfile.sweep import Sweep, load

SWEEP = """\
version: 1
name: {name}
question: How good is what this search finds in 1,260 outer steps?
fixed:
  {{use: strokes, channels: 8, queries: 5, meta_batch_size: 2, outer_steps: 90, eval_split: val, eval_every: 0,
   eval_episodes: 40, eval_heads: trained, eval_each_step: false}}
seeds: 5
search:
  space:
    inner_lr: {{log: [0.01, 1]}}
    outer_lr: {{log: [0.0003, 0.1]}}
    inner_steps: {{int: [1, 3]}}
  sampler: {sampler}
  trials: {trials}
  metric: {{name: accuracy, split: val, head: trained, steps: inner_steps}}
  {rungs}
  confirm: {{best: 1, seeds: 3, on: test}}
"""
SAMPLERS = {"random": "random", "tpe": "{name: tpe, startup: 5}"}
LENGTHS = {"halving": (54, "rungs: {first: 10, factor: 3, last: 90}"), "full": (14, "# each trial to its full length")}
"""The proposals that 1,260 steps should pay for: 54 x 10 + 18 x 20 + 6 x 60, and 14 x 90. Halving may spend more."""
BUDGET = 1260
WORDS = {"halving": "with halving", "full": "without halving"}


def run(folder: Path, out: Path) -> None:
    """Search with every arm, and write a line for each search."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for sampler, spelled in SAMPLERS.items():
        for length, (trials, rungs) in LENGTHS.items():
            file, results = folder / f"{sampler}-{length}.yaml", folder / f"{sampler}-{length}"
            file.write_text(SWEEP.format(name=file.stem, sampler=spelled, trials=trials, rungs=rungs), "utf-8")
            words = ["run", str(file), "--results", str(results), "--executor", "inline", "--tracking-uri", "none"]
            subprocess.run([sys.executable, "-c", "from sweeper.cli import main; main()", *words], check=True)
            lines += [{"sampler": sampler, "length": length} | line for line in _lines(load(file), Results.at(results))]
    out.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")


def _lines(sweep: Sweep, results: Results) -> Iterator[dict[str, Any]]:
    assert sweep.search is not None
    for found in searches_found(known_searches(sweep, None, results, {}), importance=False):
        best = leader(found, found.values)
        assert best is not None
        yield {
            "seed": found.seed,
            "proposals": len(found.points),
            "spent": steps_spent(found),
            "chosen": {"n": best.number, **found.points[best.number].params},
            "chosen_by": best.value,
            "confirmed": _confirmed(sweep, found, results),
            "best_so_far": [list(point) for point in best_so_far(found)],
        }


def _confirmed(sweep: Sweep, found: SearchFound, results: Results) -> list[float]:
    values = []
    for trial in next(one for one in found.confirmed if one.current).trial_ids:
        record = fold(results.trial(trial).journal)
        value = None if record is None else value_at(record, sweep.endpoint, found.rungs[-1])
        assert value is not None, trial
        values.append(value)
    return values


def draw(file: Path, picture: Path) -> None:
    """Draw the best so far of each arm, and the confirmed accuracy of what each search chose; print the differences."""
    from matplotlib.figure import Figure

    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    arms: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for line in lines:
        arms.setdefault((line["sampler"], line["length"]), []).append(line)
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    curves, found = figure.subplots(1, 2, width_ratios=(3, 2))
    steps = list(range(10, BUDGET + 1, 10))
    for number, ((sampler, length), searches) in enumerate(arms.items()):
        look: dict[str, Any] = {"color": f"C{list(SAMPLERS).index(sampler)}"}
        rows = [[100 * value for one in searches if (value := _at(one["best_so_far"], step))] for step in steps]
        shown = [(step, row) for step, row in zip(steps, rows, strict=True) if len(row) == len(searches)]
        xs = [step for step, _ in shown]
        dash = "-" if length == "halving" else "--"
        curves.plot(xs, [fmean(row) for _, row in shown], dash, label=f"{sampler} {WORDS[length]}", **look)
        curves.fill_between(xs, [min(row) for _, row in shown], [max(row) for _, row in shown], alpha=0.12, **look)
        means = [100 * fmean(one["confirmed"]) for one in searches]
        found.plot([number] * len(means), means, "o", mfc=look["color"] if length == "halving" else "none", **look)
        found.plot([number - 0.25, number + 0.25], [fmean(means)] * 2, "k-", linewidth=1)
    curves.set(xlabel="outer steps spent by all trials of a search", ylabel="best so far: validation accuracy (%)")
    curves.legend(fontsize=8)
    found.set(ylabel="confirmed: test accuracy (%)", xlim=(-0.5, len(arms) - 0.5))
    found.set_xticks(range(len(arms)), [f"{sampler}\n{length}" for sampler, length in arms], fontsize=8)
    figure.savefig(picture, dpi=150)
    _print_differences(arms)


def _at(curve: list[list[float]], step: int) -> float | None:
    before = [value for spent, value, _ in curve if spent <= step]
    return before[-1] if before else None


def _print_differences(arms: dict[tuple[str, str], list[dict[str, Any]]]) -> None:
    values = {arm: {one["seed"]: 100 * fmean(one["confirmed"]) for one in searches} for arm, searches in arms.items()}
    for (sampler, length), by_seed in values.items():
        print(f"{sampler} {WORDS[length]}: {_spoken(list(by_seed.values()))}")
    pairs = [((s, "halving"), (s, "full")) for s in SAMPLERS]
    pairs += [(("tpe", length), ("random", length)) for length in LENGTHS]
    for one, other in pairs:
        differences = [values[one][seed] - values[other][seed] for seed in values[one]]
        print(f"{' '.join(one)} - {' '.join(other)}: {_spoken(differences)}")


def _spoken(numbers: list[float]) -> str:
    found = summary(numbers)
    return f"{found.mean:+.1f} ± {found.half_width:.1f} ({', '.join(f'{one:.1f}' for one in numbers)})"


def main() -> None:
    """Run or draw."""
    parser = argparse.ArgumentParser(description="Random against TPE, with and without halving.")
    parser.add_argument("what", choices=["run", "draw"])
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    arguments = parser.parse_args()
    {"run": run, "draw": draw}[arguments.what](arguments.source, arguments.target)


if __name__ == "__main__":
    main()
