"""Where more workers stop to help: the memory traffic of a step against the bandwidth of a machine, simulated.

    python -m benchmarks.many_cores [--step-s OMNIGLOT MINI_IMAGENET]

A worker is one thread that in turn computes and moves bytes. Its bytes are those of `bench_packs.traffic`: each block's
input read and output written once a pass, all of them from memory, as if no cache were shared. `TRAFFIC` of them is
assumed, since formulas read what a convolution wrote. The workers of one NUMA node share its bandwidth equally, and no
worker gets more than a core can draw. A worker's arrays lie on its own node, because it touches them first. With
`remote`, all lie on the first node: what happens if another process filled the memory before.

The simulation is of events: it needs the seconds of a step alone, which `bench_trainer` measures.
"""

import argparse
import heapq
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.bench_packs import traffic
from trainers.maml import protocols
from trainers.maml.config import resolve

TRAFFIC = 2.0
PHASES = 16
"""Pairs of computing and moving in a step: two passes over four blocks, for the support sets and for the queries."""
STEPS = 20
WORKERS = (1, 8, 16, 32, 48, 64)


@dataclass(frozen=True, kw_only=True)
class Machine:
    """Nodes with `cores` and `bytes_s` each; a core draws `core_bytes_s` at most. `link_bytes_s` joins two nodes."""

    name: str
    nodes: int
    cores: int
    bytes_s: float
    core_bytes_s: float
    link_bytes_s: float


MACHINES = (
    Machine(name="2 x 32 cores, 8 x DDR5-4800", nodes=2, cores=32, bytes_s=307e9, core_bytes_s=12e9, link_bytes_s=96e9),
    Machine(name="1 x 64 cores, 8 x DDR4-3200", nodes=1, cores=64, bytes_s=205e9, core_bytes_s=20e9, link_bytes_s=0),
)


def steps_s(
    computing_s: float, moved_bytes: float, workers: int, bytes_s: float, core_bytes_s: float, seed: int = 0
) -> float:
    """Return the steps a second of `workers` that share `bytes_s`, each computing and moving in turn.

    Bandwidth is shared equally among the workers that move at a moment, `core_bytes_s` at most for each.
    """
    rng = np.random.default_rng(seed)
    left = [PHASES * STEPS] * workers
    computing = [(float(at), worker) for worker, at in enumerate(rng.uniform(0, computing_s, workers))]
    heapq.heapify(computing)
    moving: list[tuple[float, int]] = []  # bytes that all movers will have got when this one is through
    got, now, done_s = 0.0, 0.0, 0.0
    while computing or moving:
        rate = min(bytes_s / len(moving), core_bytes_s) if moving else 0.0
        through = now + (moving[0][0] - got) / rate if moving else np.inf
        if computing and computing[0][0] <= through:
            at, worker = heapq.heappop(computing)
            got, now = got + rate * (at - now), at
            heapq.heappush(moving, (got + moved_bytes / PHASES, worker))
            continue
        got, now = moving[0][0], through
        _, worker = heapq.heappop(moving)
        left[worker] -= 1
        done_s = now
        if left[worker]:
            heapq.heappush(computing, (now + computing_s / PHASES, worker))
    return workers * STEPS / done_s


def aggregate(machine: Machine, alone_s: float, moved_bytes: float, workers: int, *, remote: bool = False) -> float:
    """Return the steps a second of `workers` on `machine`, spread over its nodes; one worker alone takes `alone_s`."""
    computing_s = alone_s - moved_bytes / machine.core_bytes_s
    counts = [len(range(node, workers, machine.nodes)) for node in range(machine.nodes)]
    found = 0.0
    for node, count in enumerate(counts):
        if not count:
            continue
        share = machine.bytes_s * count / workers if remote else machine.bytes_s
        share = min(share, machine.link_bytes_s) if remote and node else share
        found += steps_s(computing_s, moved_bytes, count, share, machine.core_bytes_s)
    return found


def lines(alone_s: Sequence[float]) -> list[str]:
    """Return the table as lines of Markdown; `alone_s` are the seconds of a step on Omniglot and mini-ImageNet."""
    found = [
        f"| machine | data | GB a step | bandwidth reached at | {' | '.join(map(str, WORKERS))} | 64, remote |",
        f"|---|---|---:|---:|{'---:|' * (len(WORKERS) + 1)}",
    ]
    for machine in MACHINES:
        for protocol, seconds in zip(("omniglot", "mini_imagenet"), alone_s, strict=True):
            moved = TRAFFIC * traffic(resolve(protocols.load(protocol)))
            one = aggregate(machine, seconds, moved, 1)
            times = [aggregate(machine, seconds, moved, count) / one for count in WORKERS]
            remote = aggregate(machine, seconds, moved, 64, remote=True) / one if machine.nodes > 1 else None
            reached = machine.nodes * machine.bytes_s * seconds / moved
            cells = [
                machine.name, protocol, f"{moved / 1e9:.1f}", f"{reached:.0f}",
                *(f"{value:.1f}" for value in times), "" if remote is None else f"{remote:.1f}",
            ]  # fmt: skip
            found.append(f"| {' | '.join(cells)} |")
    return found


def main() -> None:
    """Simulate and print."""
    parser = argparse.ArgumentParser(description="Where more workers stop to help.")
    parser.add_argument("--step-s", nargs=2, type=float, default=(0.27, 0.57), help="a step alone, of each data set")
    print("\n".join(lines(parser.parse_args().step_s)))


if __name__ == "__main__":
    main()
