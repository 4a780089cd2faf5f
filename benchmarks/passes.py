"""What share of a paper-length trial its evaluations take: a table for people, one JSON line for machines.

    python -m benchmarks.passes [--rounds N] [--device cpu|cuda]

For the passes that make a figure's curves (its head and inner step alone, or both heads after each step) and for the
last pass (1,000 test episodes, 0 to 10 inner steps, both heads). An outer step and a slice of each pass are timed in
turn, `rounds` times after one to warm up, on the images of the data set; medians, times how many a trial has.
"""

import argparse
import json
import statistics
import time
from collections.abc import Iterator
from typing import Any

import torch

from trainers.data.datasets import data_root, prepare
from trainers.data.on_device import load_pixels
from trainers.maml import protocols
from trainers.maml.config import resolve
from trainers.maml.engines.table import ENGINES_OF_DEVICE, SLICE_OF_ENGINE
from trainers.maml.train import train
from trainers.process.allocator import keep_freed_memory
from trainers.trainer import Chunk

TRIALS: dict[str, dict[str, Any]] = {
    "mini-ImageNet 5w1s, 5 steps": {"use": "mini_imagenet", "outer_steps": 17500},
    "Omniglot 5w1s, 2 steps": {"use": "omniglot", "eval_episodes": 400},
}
PASSES: dict[str, dict[str, Any]] = {
    "curves, head and step of the figure": {"eval_heads": "zeroed", "eval_each_step": False, "eval_steps": None},
    "curves, both heads, each step": {"eval_heads": "both", "eval_each_step": True},
    "last pass": {"eval_heads": "both", "eval_each_step": True, "eval_steps": 10},
}
FINAL_EPISODES = 1000


def slices(values: dict[str, Any], pixels: torch.Tensor) -> Iterator[Chunk]:
    """Yield after each slice of one endless evaluation of an untrained network."""
    config = resolve(values | {"outer_steps": 1, "eval_every": 0, "eval_episodes": 10**6})
    return train([config], pixels, chunk_s=0)


def measure(name: str, device: str, rounds: int) -> list[dict[str, Any]]:
    """Return a row for each kind of pass of one trial."""
    changes = dict(TRIALS[name])
    values = {**protocols.load(changes.pop("use")), "queries": 15, **changes}
    config = resolve(values)
    pixels = load_pixels(prepare(config.dataset, data_root(None)), device)
    work = {"outer step": train([resolve(values | {"outer_steps": 10**6, "eval_every": 0})], pixels, chunk_s=0)}
    work |= {kind: slices(values | own, pixels) for kind, own in PASSES.items()}
    for kind in PASSES:
        next(work[kind])  # its only outer step
    taken: dict[str, list[float]] = {part: [] for part in work}
    for _ in range(rounds + 1):
        for part, chunks in work.items():
            begun = time.perf_counter()
            next(chunks)
            if device == "cuda":
                torch.cuda.synchronize()
            taken[part].append(time.perf_counter() - begun)
    median = {part: statistics.median(seconds[1:]) for part, seconds in taken.items()}
    training = config.outer_steps * median["outer step"]
    size = SLICE_OF_ENGINE[ENGINES_OF_DEVICE[device][0]]
    rows: list[dict[str, Any]] = []
    for kind in PASSES:
        curve = kind.startswith("curves")
        episodes = config.outer_steps // config.eval_every * config.eval_episodes if curve else FINAL_EPISODES
        spent = episodes / size * median[kind]
        rows.append({
            "trial": name, "pass": kind, "episodes": episodes, "ms_an_episode": round(1e3 * median[kind] / size, 2),
            "of_training": spent / training, "ms_a_step": round(1e3 * median["outer step"], 1),
        })  # fmt: skip
    for row in rows:  # a trial has its training, passes for its curves of either kind, and the last pass
        last = 0 if row is rows[-1] else rows[-1]["of_training"]
        curves = rows[0]["of_training"] if row is rows[-1] else 0
        row["of_trial"] = row["of_training"] / (1 + row["of_training"] + last + curves)
    return rows


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="What share of a trial its evaluations take.")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    found = [row for name in TRIALS for row in measure(name, arguments.device, arguments.rounds)]
    print("| trial | ms an outer step | pass | episodes | ms an episode | of the training's time | of the trial's |")
    print("|---|---:|---|---:|---:|---:|---:|")
    for row in found:
        print(
            f"| {row['trial']} | {row['ms_a_step']:.0f} | {row['pass']} | {row['episodes']:,} | "
            f"{row['ms_an_episode']:.2f} | {100 * row['of_training']:.0f} % | {100 * row['of_trial']:.0f} % |"
        )
    print(json.dumps({"device": arguments.device, "torch": torch.__version__, "found": found}))


if __name__ == "__main__":
    main()
