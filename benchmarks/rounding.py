"""How far engines are from float64, and from each other after training: may their numbers stand in one cell?

    python -m benchmarks.rounding [--seeds N] [--paired N]

The table has the error of one episode's whole outer gradient in float32, on real images, against the loop in float64
from equal numbers: the median over seeds by engine, and that of its ratio to the loop's. `--paired N` trains N seeds of
Omniglot 5-way 1-shot to 60 outer steps by the fused and by the compiled engine. It prints the paired difference of
their test accuracies with its 95 % t-interval.
"""

import argparse
import itertools
import json

import numpy as np
import torch
from scipy import special

from benchmarks.bench_trainer import error, problem, step_of
from trainers.data.datasets import data_root, prepare
from trainers.data.on_device import load_pixels
from trainers.maml import protocols
from trainers.maml.config import resolve
from trainers.maml.engines.table import EngineName
from trainers.maml.train import train

ENGINES: tuple[EngineName, ...] = ("loop", "fused", "compiled")
SHORT = {
    "outer_steps": 60,
    "meta_batch_size": 16,
    "eval_every": 0,
    "eval_episodes": 200,
    "eval_steps": 2,
    "queries": 15,
}


def errors(cell: str, net_order: str, seeds: int) -> dict[str, np.ndarray]:
    """Return each engine's errors, one for each seed."""
    found: dict[str, list[float]] = {engine: [] for engine in ENGINES}
    for seed in range(seeds):
        given = problem(cell, {"meta_batch_size": 1, "seed": seed, "net_order": net_order})
        exact = step_of("loop", given.double())()
        for engine in ENGINES:
            found[engine].append(error(step_of(engine, given)(), exact))
    return {engine: np.array(values) for engine, values in found.items()}


def accuracies(engine: EngineName, seeds: int) -> np.ndarray:
    """Return the accuracy of each seed with the head zeroed, after the protocol's inner steps."""
    pixels = load_pixels(prepare("omniglot", data_root(None)), "cpu")
    found = []
    for seed in range(seeds):
        *_, chunk = train([resolve(protocols.load("omniglot") | SHORT | {"seed": seed})], pixels, engine=engine)
        (record,) = [record for record in chunk.runs[0].records if record.key == "evaluation"]
        found.append(record.value["accuracy"]["zeroed"][-1])
    return np.array(found)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Rounding of the engines.")
    parser.add_argument("--seeds", type=int, default=16)
    parser.add_argument("--paired", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.paired:
        fused, compiled = (accuracies(engine, arguments.paired) for engine in ("fused", "compiled"))
        gap = 100 * (compiled - fused)
        half = special.stdtrit(len(gap) - 1, 0.975) * gap.std(ddof=1) / len(gap) ** 0.5
        print(
            f"compiled - fused: {gap.mean():+.2f} ± {half:.2f} points over {len(gap)} seeds (sd {gap.std(ddof=1):.2f})"
        )
        print(json.dumps({"fused": fused.tolist(), "compiled": compiled.tolist()}))
        return
    print("| cell | network | loop | fused | compiled | fused / loop | compiled / loop |")
    print("|---|---|---:|---:|---:|---:|---:|")
    for protocol, order, net_order in itertools.product(
        ("omniglot", "mini_imagenet"), ("first", "second"), ("relu_bn", "bn_relu")
    ):
        found = errors(f"{protocol} {order}", net_order, arguments.seeds)
        medians = " | ".join(f"{np.median(found[engine]):.1e}" for engine in ENGINES)
        ratios = " | ".join(f"{np.median(found[engine] / found['loop']):.2f}" for engine in ENGINES[1:])
        print(f"| {protocol} {order} | {net_order} | {medians} | {ratios} |", flush=True)


if __name__ == "__main__":
    main()
