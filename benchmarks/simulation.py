"""A sweep of 100,000 trials on 500 slots, simulated: where its driver's time goes, and that nothing is run twice.

    python -m benchmarks.simulation [--trials N] [--slots M] [--pack N] [--folder DIR]

Real are the planner, the survey, the dealer with its locks, the journals on disk and the index. Played are the workers,
by discrete events in virtual time: they vanish, also a node at a time, freeze and wake too late, diverge and fail; and
halfway the driver is killed and a new one begins with the same folder. Not there are Ray, its messages, the tracking
store and training. At the end every journal is read and compared with what the cluster knows to have happened.

Prints a table and one JSON line. Needs room for a folder, a lock and a journal for each trial, removed at the end.
"""

import argparse
import json
import os
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path

from analysis.contract.lifecycle import ENDS
from benchmarks.cluster import REPORTS, TIMEOUT_S, Cluster, Ledger
from benchmarks.stopwatch import Stopwatch
from sweeper.dealing import opening
from sweeper.dealing.dealer import Dealer, Worker
from sweeper.planning.expand import expand
from sweeper.planning.trial_spec import TrialSpec
from sweeper.results.index import summaries
from sweeper.results.journal import Journal
from sweeper.results.journal_lines import read_lines
from sweeper.results.locks import Lock
from sweeper.results.paths import Results
from sweeper.results.survey import counts, survey
from sweeper.running.batch import pending
from sweeper.sweepfile.sweep import load

SWEEP = """\
version: 1
name: simulated
question: What does a sweep of so many trials cost its driver?
fixed: {{use: omniglot, outer_steps: 1000, eval_every: 0}}
matrix:
  meta_batch_size: {{range: [1, {cells}, 1]}}
  inner_steps: [1, 2, 3, 4, 5]
  zeroing: {{none: {{}}, every step: {{zero_head_every: 1}}}}
seeds: 10
endpoint: {{metric: test_accuracy, head: zeroed, steps: 1, at: last, window: 1}}
report:
  tables: [{{rows: [zeroing, meta_batch_size], columns: inner_steps}}]
"""
OF_A_CELL = 100
"""Trials for each value of the first axis."""

FINAL = frozenset({"done", "diverged", "failed"})


@dataclass(frozen=True, kw_only=True)
class Simulated:
    """What one simulation found. `faults` are the trials whose journal isn't what it should be, each with why."""

    trials: int
    seconds: dict[str, float]
    by_tenth_ms: tuple[float, ...]
    """The driver's milliseconds for each trial that ended, in the first tenth of all trials, the second, and so on."""
    virtual_h: float
    ledger: Ledger
    states: dict[str, int]
    faults: dict[str, str]
    peak_mib: float
    disk_mib: float


def simulate(folder: Path, *, trials: int, slots: int, pack: int = 1, seed: int = 0) -> Simulated:
    """Run the simulation in `folder`, which is empty; `trials` is rounded up to a multiple of OF_A_CELL."""
    watch = Stopwatch("simulating")
    path, results = folder / "simulated.yaml", Results.at(folder / "results")
    path.write_text(SWEEP.format(cells=max(-(-trials // OF_A_CELL), 2)), encoding="utf-8")
    with watch.watching(_parts()):
        with watch.part("planning"):
            specs = expand(load(path))
        cluster = Cluster(slots, {spec.trial_id: spec.target for spec in specs}, results, seed)
        ended, tenths = cluster.ledger.ended, [0.0]

        def half() -> bool:
            return len(ended) >= len(specs) // 2

        def tick() -> None:
            while len(ended) >= len(tenths) * len(specs) / 10:
                tenths.append(_driving(watch))

        def ticked(until: Callable[[], bool]) -> bool:
            tick()
            return until()

        for until in (half, lambda: False):
            with watch.part("surveying"):
                standings = survey(results, specs).standings
            dealer = _dealer(pending(standings, retry_failed=False), results, pack, cluster)
            cluster.run(dealer, partial(ticked, until))
            if not dealer.over:
                cluster.kill_driver()
        tick()
        assert dealer.fatal is None, dealer.fatal
        with watch.part("index"):
            summaries(results)
        with watch.part("surveying"):
            states = counts(survey(results, specs).standings)
        with watch.part("checking"):
            faults = faults_of(specs, results, cluster.ledger)
    each = len(specs) / 10
    return Simulated(
        trials=len(specs),
        seconds=dict(watch.seconds),
        by_tenth_ms=tuple(1000 * (after - before) / each for before, after in pairwise(tenths)),
        virtual_h=cluster.now_s / 3600,
        ledger=cluster.ledger,
        states=dict(states),
        faults=faults,
        peak_mib=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        disk_mib=sum(file.stat().st_blocks for file in folder.rglob("*")) * 512 / 2**20,
    )


def _parts() -> dict[str, list[tuple[object, str]]]:
    """Return what is timed while the simulation runs, by what a person calls it."""
    return {
        "dealing": [(Dealer, "next_assignment")],
        "receiving": [(Dealer, "receive")],
        "taking back": [(Dealer, "ended")],
        "looking around": [(Dealer, "poll"), (Dealer, "overdue")],
        "locks": [(Lock, "take"), (Lock, "release")],
        "reading journals": [(Journal, "__init__"), (opening, "read_summary")],
        "writing journals": [(Journal, "open_attempt"), (Journal, "add"), (Journal, "end")],
        "waiting for the disk": [(os, "fsync")],
    }


def _driving(watch: Stopwatch) -> float:
    return sum(watch.seconds[part] for part in _parts())


def _dealer(specs: Sequence[TrialSpec], results: Results, pack: int, cluster: Cluster) -> Dealer:
    data = {"omniglot": {"name": "omniglot", "path": "", "digest": ""}}
    worker = Worker(device="cpu", threads=1, pack=pack, data=data, timeout_s=TIMEOUT_S)
    sweeps = {spec.trial_id: "simulated" for spec in specs}
    return Dealer(
        specs,
        sweeps=sweeps,
        engines=dict.fromkeys(sweeps, "loop"),
        results=results,
        worker=worker,
        note=lambda _: None,
        clock=lambda: cluster.now_s,
    )


def faults_of(specs: Iterable[TrialSpec], results: Results, ledger: Ledger) -> dict[str, str]:
    """Return what is wrong with any trial's journal: it must tell of every attempt, of each step once, of one end."""
    faults = dict.fromkeys(ledger.twice, "dealt while it was out or after its end")
    for spec in specs:
        name = spec.trial_id
        lines = list(read_lines(results.trial(name).journal))
        attempts = [line["attempt"] for line in lines if line["kind"] == "attempt"]
        ends = [line["kind"] for line in lines if line["kind"] in ENDS and line["kind"] in FINAL]
        steps = [line["step"] for line in lines if line["kind"] == "record" and line["key"] == "training"]
        whole = [spec.target * report // REPORTS for report in range(1, REPORTS + 1)]
        if attempts != list(range(1, 2 + ledger.interrupted[name])) or len(attempts) != ledger.dealt[name]:
            faults[name] = f"attempts {attempts}, dealt {ledger.dealt[name]}, interrupted {ledger.interrupted[name]}"
        elif ends != [ledger.ended.get(name)] or lines[-1]["kind"] != ends[0]:
            faults[name] = f"ends {ends}, ended {ledger.ended.get(name)}"
        elif steps != whole[: len(steps)] or (ends == ["done"] and steps != whole):
            faults[name] = f"steps {steps}"
    return faults


def main() -> None:
    """Simulate and print it."""
    parser = argparse.ArgumentParser(description="A sweep of many trials on many slots, simulated.")
    parser.add_argument("--trials", type=int, default=100_000)
    parser.add_argument("--slots", type=int, default=500)
    parser.add_argument("--pack", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="where to make the folder that is used; a disk, not a tmpfs")
    arguments = parser.parse_args()
    begun_s = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="sweeper-simulation-", dir=arguments.folder) as name:
        found = simulate(
            Path(name), trials=arguments.trials, slots=arguments.slots, pack=arguments.pack, seed=arguments.seed
        )
    took_s = time.perf_counter() - begun_s
    attempts = sum(found.ledger.dealt.values())
    print(
        f"{found.trials} trials on {arguments.slots} slots in packs of {arguments.pack}: {attempts} attempts, ", end=""
    )
    print(f"{found.virtual_h:.1f} h of virtual time in {took_s:.0f} s")
    print(f"{'part':<24}{'seconds':>10}{'ms a trial':>12}")
    for part, seconds in sorted(found.seconds.items(), key=lambda item: -item[1]):
        print(f"{part:<24}{seconds:>10.1f}{1000 * seconds / found.trials:>12.3f}")
    print("driver's ms a trial, by tenths:", " ".join(f"{ms:.2f}" for ms in found.by_tenth_ms))
    print("what happened:", ", ".join(f"{count} {event}" for event, count in sorted(found.ledger.events.items())))
    print("attempts of a trial:", dict(sorted(Counter(found.ledger.dealt.values()).items())))
    print(f"memory {found.peak_mib:.0f} MiB at most, {found.disk_mib:.0f} MiB on disk")
    print(f"trials run twice or not as their journal says: {len(found.faults)}")
    for trial_id, why in list(found.faults.items())[:10]:
        print(f"  {trial_id}: {why}")
    facts = {"attempts": attempts, "wall_s": took_s, "states": found.states, "faults": len(found.faults)}
    print(json.dumps(facts | {"seconds": found.seconds, "peak_mib": found.peak_mib}))
    sys.exit(1 if found.faults else 0)


if __name__ == "__main__":
    main()
