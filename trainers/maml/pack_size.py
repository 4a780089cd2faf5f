"""Measures how many runs to train together, before a sweep begins, in a separate process that frees all memory.

    python -m trainers.maml.pack_size CONFIG.json --device cuda --most 16

prints a JSON object: `runs`, the size to use; `measured`, a result for each size tried; the GPU's `free_bytes`.
The config `-` is read from standard input.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from trainers.data.facts import facts_of
from trainers.maml.config import TrialConfig, resolve
from trainers.maml.engines.table import SLICE_OF_ENGINE, EngineName, fastest
from trainers.process.memory import forget_peak, peak_bytes
from trainers.tuned import OF_MEMORY

if TYPE_CHECKING:
    from torch import Tensor

SIZES = (1, 2, 4, 8, 16, 32, 64)
ROUNDS = 5
GOOD_ENOUGH = 0.95
"""A smaller pack this close to the best rate is preferred: less is lost with it."""


class Measured(NamedTuple):
    """A pack of `runs`: the median time of an outer step, and its peak memory (None: unknown)."""

    runs: int
    step_s: float
    peak_bytes: int | None


def best(measured: Sequence[Measured], free_bytes: int | None) -> int:
    """Return how many runs to train together: the smallest size that fits and nearly has the best rate of steps."""
    fitting = [one for one in measured if _fits(one, free_bytes)] or measured[:1]
    rate = max(one.runs / one.step_s for one in fitting)
    return min(one.runs for one in fitting if one.runs / one.step_s >= GOOD_ENOUGH * rate)


def _fits(one: Measured, free_bytes: int | None) -> bool:
    return one.peak_bytes is None or free_bytes is None or one.peak_bytes <= OF_MEMORY * free_bytes


def work(config: TrialConfig) -> int:
    """Return a number that grows with the memory of one step of `config`, to find the config that needs most."""
    images = config.ways * (config.shots * (config.inner_steps + 1) + config.queries) * config.meta_batch_size
    channels, height, width = facts_of(config.dataset).image_shape
    return images * (config.channels + channels) * height * width


def measure(config: TrialConfig, pixels: "Tensor", engine: EngineName, most: int) -> Iterator[Measured]:
    """Yield packs of growing size up to `most` runs, until one no longer fits into the memory.

    Each takes a few outer steps and a slice of an evaluation, which may need more memory than a step.
    """
    import torch

    for runs in (size for size in SIZES if size <= most):
        try:
            yield _one(config, pixels, engine, runs)
        except torch.cuda.OutOfMemoryError:
            return


def _one(config: TrialConfig, pixels: "Tensor", engine: EngineName, runs: int) -> Measured:
    from trainers.maml.train import train

    device = pixels.device.type
    short = {
        "outer_steps": ROUNDS + 1, "eval_every": 0, "eval_episodes": SLICE_OF_ENGINE[engine], "final_episodes": 0,
        "final_steps": None, "probe_every": 0, "probe_first": 0,
    }  # fmt: skip
    forget_peak(device)
    taken, begun = [], time.perf_counter()
    for _ in train([config.model_copy(update=short | {"seed": seed}) for seed in range(runs)], pixels, engine=engine,
                   chunk_s=0):  # fmt: skip
        taken.append(time.perf_counter() - begun)
        begun = time.perf_counter()
    return Measured(runs, statistics.median(taken[1 : ROUNDS + 1]), peak_bytes(device))


def main() -> int:
    """Measure and print; return 0, or 2 if the data or the device is not available."""
    parser = argparse.ArgumentParser(prog="python -m trainers.maml.pack_size", description=__doc__)
    parser.add_argument("config", type=Path)
    parser.add_argument("--device", choices=("cpu", "cuda"), required=True)
    parser.add_argument("--most", type=int, required=True)
    parser.add_argument("--data-root", type=Path)
    parser.add_argument("--engine", choices=tuple(SLICE_OF_ENGINE))
    options = parser.parse_args()

    import torch

    from trainers.data.datasets import DataError, data_root, prepare
    from trainers.data.on_device import DeviceError, check_device, load_pixels

    torch.set_num_threads(1)
    text = sys.stdin.read() if options.config == Path("-") else options.config.read_text(encoding="utf-8")
    config = resolve(json.loads(text))
    try:
        check_device(options.device)
        free = torch.cuda.mem_get_info()[0] if options.device == "cuda" else None
        pixels = load_pixels(prepare(config.dataset, data_root(options.data_root)), options.device)
    except (DataError, DeviceError) as error:
        print(error, file=sys.stderr)
        return 2
    measured = list(measure(config, pixels, options.engine or fastest(config, options.device), options.most))
    if not measured:
        print("one run alone does not fit into the memory of this GPU", file=sys.stderr)
        return 2
    print(
        json.dumps({"runs": best(measured, free), "free_bytes": free, "measured": [one._asdict() for one in measured]})
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
