"""Wall time of one outer step of every algorithm by every engine of a CPU, on one thread: a table and a JSON line.

    python -m benchmarks.outer_step [--rounds N] [--dtype float32|float64]

A step is all of it: drawing and gathering the episodes, the meta-gradient, the checks and Adam. Every algorithm makes
one in turn by each engine that can train it, `rounds` times over after one to warm up, so that what else the machine
does falls on all alike; medians are of those, and of the ratios of a round. Pixels are random: their values change no
time. All have the allocator's settings that workers have.
"""

import argparse
import json
import statistics
import time
from typing import Any

import numpy as np
import torch

from trainers.data.catalog import CATALOG
from trainers.maml import protocols
from trainers.maml.config import TrialConfig, resolve
from trainers.maml.engines.table import EngineName, cannot_treat
from trainers.maml.train import train
from trainers.process.allocator import keep_freed_memory

ENGINES: tuple[EngineName, ...] = ("loop", "fused", "compiled")
FIXED_LABELS = {"omniglot": "consecutive", "mini_imagenet": "groups"}
"""The label rule of the tasks whose labels never change."""
ALGORITHMS: dict[str, dict[str, Any]] = {
    "FOMAML": {"order": "first"},
    "FOMAML, zeroing": {"order": "first", "zero_head_every": 1, "head_scale": 0.0},
    "SOMAML": {"order": "second"},
    "ANIL, first order": {"algorithm": "anil", "order": "first"},
    "ANIL, second order": {"algorithm": "anil", "order": "second"},
    "ANIL, first order, 1 inner step": {"algorithm": "anil", "order": "first", "inner_steps": 1},
    "contrastive, first order, 1 inner step": {"algorithm": "contrastive", "order": "first", "inner_steps": 1},
    "ANIL, second order, 1 inner step": {"algorithm": "anil", "order": "second", "inner_steps": 1},
    "contrastive, second order, 1 inner step": {"algorithm": "contrastive", "order": "second", "inner_steps": 1},
    "FOMAML, BN before ReLU": {"order": "first", "net_order": "bn_relu"},
    "FOMAML, inductive BN": {"order": "first", "batch_norm": "inductive"},
    "FOMAML, squared error": {"order": "first", "loss": "squared_error", "inner_lr": 1e-4},
}


class Steps:
    """A pack of `runs` of one algorithm in training under `protocol`, one outer step at a time."""

    def __init__(
        self,
        protocol: str,
        changes: dict[str, Any],
        dtype: str,
        pixels: torch.Tensor,
        *,
        runs: int = 1,
        engine: EngineName | None = None,
    ) -> None:
        configs = [_config(protocol, changes | {"dtype": dtype, "seed": seed}) for seed in range(runs)]
        self.config = configs[0]
        self._chunks = train(configs, pixels, engine=engine, chunk_s=0)

    def seconds(self) -> float:
        """Take the next outer step and return how long it took."""
        begun = time.perf_counter()
        next(self._chunks)
        return time.perf_counter() - begun


def _config(protocol: str, changes: dict[str, Any]) -> TrialConfig:
    return resolve(protocols.load(protocol) | {"outer_steps": 10**6, "eval_every": 0} | changes)


def random_pixels(protocol: str) -> torch.Tensor:
    """Return an array of the shape of the protocol's data set."""
    facts = CATALOG[protocols.load(protocol)["dataset"]]
    shape = (facts.classes, facts.images_per_class, *facts.image_shape)
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8))


def measure(protocol: str, rounds: int, dtype: str) -> list[dict[str, Any]]:
    """Return a row of numbers for each algorithm under `protocol`."""
    pixels = random_pixels(protocol)
    algorithms = ALGORITHMS | {"FOMAML, labels that never change": {"label_rule": FIXED_LABELS[protocol]}}
    steps = {
        (name, engine): Steps(protocol, changes, dtype, pixels, engine=engine)
        for name, changes in algorithms.items()
        for engine in ENGINES
        if not cannot_treat(engine, _config(protocol, changes | {"dtype": dtype}), "cpu")
    }
    for step in steps.values():
        step.seconds()
    taken = [{key: step.seconds() for key, step in steps.items()} for _ in range(rounds)]
    rows = []
    for name in algorithms:
        config = steps[name, "loop"].config
        by = [engine for engine in ENGINES if (name, engine) in steps]
        rows.append({
            "protocol": protocol, "episodes": config.meta_batch_size, "inner_steps": config.inner_steps,
            "algorithm": name,
            "ms": {engine: round(1e3 * statistics.median(one[name, engine] for one in taken)) for engine in by},
            "times_loop": {
                engine: round(statistics.median(one[name, "loop"] / one[name, engine] for one in taken), 2)
                for engine in by
            },
        })  # fmt: skip
    return rows


def main() -> None:
    """Time every algorithm on both protocols and print what came out."""
    parser = argparse.ArgumentParser(description="Wall time of one outer step of every algorithm.")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--dtype", choices=["float32", "float64"], default="float32")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    results = [row for protocol in FIXED_LABELS for row in measure(protocol, arguments.rounds, arguments.dtype)]
    print("| protocol | episodes x inner steps | algorithm | loop ms | fused ms | compiled ms | fused | compiled |")
    print("|---|---|---|---:|---:|---:|---:|---:|")
    for row in results:
        ms = " | ".join(f"{row['ms'].get(engine, '-')}" for engine in ENGINES)
        times = " | ".join(f"{row['times_loop'].get(engine, '-')}" for engine in ENGINES[1:])
        print(f"| {row['protocol']} | {row['episodes']} x {row['inner_steps']} | {row['algorithm']} | {ms} | {times} |")
    print(json.dumps({"torch": torch.__version__, "threads": 1, "dtype": arguments.dtype, "steps": results}))


if __name__ == "__main__":
    main()
