"""Wall time of one outer step of every algorithm on one thread: a table for people, one JSON line for machines.

    python -m benchmarks.outer_step [--rounds N] [--dtype float32|float64]

A step is all of it: drawing and gathering the episodes, the meta-gradient, the checks and Adam. Every algorithm makes
one in turn, `rounds` times over after one to warm up, so that what else the machine does falls on all alike; median and
quartiles are of those. Pixels are random: their values change no time.
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
from trainers.maml.train import train

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
        self, protocol: str, changes: dict[str, Any], dtype: str, pixels: torch.Tensor, *, runs: int = 1
    ) -> None:
        values = protocols.load(protocol) | {"dtype": dtype, "outer_steps": 10**6, "eval_every": 0} | changes
        self.config: TrialConfig = resolve(values)
        self._chunks = train([resolve(values | {"seed": seed}) for seed in range(runs)], pixels, chunk_s=0)

    def seconds(self) -> float:
        """Take the next outer step and return how long it took."""
        begun = time.perf_counter()
        next(self._chunks)
        return time.perf_counter() - begun


def random_pixels(protocol: str) -> torch.Tensor:
    """Return an array of the shape of the protocol's data set."""
    facts = CATALOG[protocols.load(protocol)["dataset"]]
    shape = (facts.classes, facts.images_per_class, *facts.image_shape)
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8))


def main() -> None:
    """Time every algorithm on both protocols and print what came out."""
    parser = argparse.ArgumentParser(description="Wall time of one outer step of every algorithm.")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--dtype", choices=["float32", "float64"], default="float32")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    results = []
    for protocol in ("omniglot", "mini_imagenet"):
        pixels = random_pixels(protocol)
        steps = {name: Steps(protocol, changes, arguments.dtype, pixels) for name, changes in ALGORITHMS.items()}
        for step in steps.values():
            step.seconds()
        rounds = [{name: step.seconds() for name, step in steps.items()} for _ in range(arguments.rounds)]
        for name, step in steps.items():
            taken = sorted(one[name] for one in rounds)
            low, median, high = statistics.quantiles(taken, n=4)
            ratio = statistics.median(one[name] / one["FOMAML"] for one in rounds)
            episodes, inner = step.config.meta_batch_size, step.config.inner_steps
            results.append(
                {"protocol": protocol, "episodes": episodes, "inner_steps": inner, "algorithm": name,
                 "ms": round(median * 1e3), "quartiles_ms": [round(low * 1e3), round(high * 1e3)],
                 "of_fomaml": round(ratio, 2)}
            )  # fmt: skip
    print("| protocol | episodes x inner steps | algorithm | ms a step | quartiles | times FOMAML |")
    print("|---|---|---|---:|---|---:|")
    for row in results:
        low, high = row["quartiles_ms"]
        print(
            f"| {row['protocol']} | {row['episodes']} x {row['inner_steps']} | {row['algorithm']} | {row['ms']} | "
            f"{low} to {high} | {row['of_fomaml']:.2f} |"
        )
    print(json.dumps({"torch": torch.__version__, "threads": 1, "dtype": arguments.dtype, "steps": results}))


if __name__ == "__main__":
    main()
