"""What packs cost and gain: R runs trained together, as whole outer steps, and whether they stay themselves.

    python -m benchmarks.bench_packs [--device cpu|cuda] [--engines NAME ...] [--runs N ...] [--rounds N]
    python -m benchmarks.bench_packs --paired SEEDS [--engines NAME] [--device ...]

A step is all of it: drawing and gathering, inner loops, outer gradient, Adam. Sizes take one step each in turn,
`rounds` times after two to warm up. "Times one" is a step's time against a pack of one; "a run's" its R-th part.
Traffic is the least there can be, each block's input read and output written once a pass, against copying a large array
on the same device. The error is the largest of one member's gradient against its solo run's, both from the same state,
relative to its largest entry. On a GPU the peak is of the allocator.

`--paired` trains as many seeds alone and in one pack on synthetic characters and tells the difference of their final
accuracies with its 90 % interval.
"""

import argparse
import json
import statistics
import time
from typing import Any

import numpy as np
import torch

from trainers.data import strokes
from trainers.data.catalog import CATALOG
from trainers.data.datasets import data_root, prepare
from trainers.data.on_device import load_pixels
from trainers.maml import protocols
from trainers.maml.config import TrialConfig, resolve
from trainers.maml.engines.engines import build
from trainers.maml.engines.outer_step import Mover
from trainers.maml.engines.table import ENGINES_OF_DEVICE, EngineName
from trainers.maml.episodes import gather, training_draw
from trainers.maml.layout import BLOCKS
from trainers.maml.networks import Params, initial_params
from trainers.maml.train import MOVERS, train
from trainers.process.allocator import keep_freed_memory

PROTOCOLS = ("omniglot", "mini_imagenet")


def starts(configs: list[TrialConfig], device: str) -> Params:
    """Return the stacked parameters that the runs begin with."""
    runs = [initial_params(config) for config in configs]
    return {name: torch.stack([run[name] for run in runs]).to(device) for name in runs[0]}


def traffic(config: TrialConfig) -> float:
    """Return the least bytes that a step moves: forward once, backward twice, over every block of every image."""
    channels, size, _ = CATALOG[config.dataset].image_shape
    numbers = 0
    for block in BLOCKS[config.network]:
        numbers += channels * size**2
        size = (size + 2 * block.padding - block.kernel) // block.stride + 1
        size, channels = size // 2 if block.pool else size, config.channels
        numbers += channels * size**2
    images = config.ways * (config.shots * config.inner_steps + config.queries) * config.meta_batch_size
    return 4.0 * 3 * images * numbers


def bandwidth(device: str) -> float:
    """Return the bytes a second that a copy of 256 MiB reads and writes, the best of ten."""
    a, taken = torch.ones(2**26, device=device), []
    b = torch.empty_like(a)
    for _ in range(10):
        wait(device)
        begun = time.perf_counter()
        b.copy_(a)
        wait(device)
        taken.append(time.perf_counter() - begun)
    return 2 * 4 * 2**26 / min(taken)


def wait(device: str) -> None:
    """Wait for the device."""
    if device == "cuda":
        torch.cuda.synchronize()


def error(engine: EngineName, configs: list[TrialConfig], pixels: torch.Tensor) -> float:
    """Return the largest distance of a member's gradient from its solo run's, relative to the largest entry."""
    built, params = build(engine, configs[0]), starts(configs, pixels.device.type)
    episodes = [gather(training_draw(config, 0), pixels, config) for config in configs]
    lr = torch.tensor([config.inner_lr for config in configs], device=pixels.device)
    together = built.meta_gradient(params, episodes, lr, [True] * len(configs)).gradient
    worst = 0.0
    for run in range(len(configs)):
        own = {name: value[run : run + 1] for name, value in params.items()}
        alone = built.meta_gradient(own, [episodes[run]], lr[run : run + 1], [True]).gradient
        largest = max(float(value.abs().max()) for value in alone.values())
        worst = max(worst, *(float((together[name][run] - alone[name][0]).abs().max()) / largest for name in alone))
    return worst


def measure(protocol: str, engine: EngineName, arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Return a row for each size of pack."""
    device = arguments.device
    config = resolve(protocols.load(protocol) | {"arithmetic": arguments.arithmetic})
    pixels = load_pixels(prepare(config.dataset, data_root(None)), device)
    packs = {
        runs: [config.model_copy(update={"seed": seed, "zero_head_every": seed % 2}) for seed in range(runs)]
        for runs in arguments.runs
    }
    kind = MOVERS.get(engine, Mover)
    taken: dict[int, list[float]] = {runs: [] for runs in packs}
    peaks, movers = {}, {}
    for runs, configs in packs.items():
        if device == "cuda":
            torch.cuda.reset_peak_memory_stats()
        movers[runs] = kind(configs, pixels, build(engine, config), starts(configs, device))
        for step in range(2):
            movers[runs].take(step, [True] * runs)
        wait(device)
        peaks[runs] = torch.cuda.max_memory_allocated() if device == "cuda" else None
    for step in range(2, 2 + arguments.rounds):
        for runs, mover in movers.items():
            wait(device)
            begun = time.perf_counter()
            mover.take(step, [True] * runs)
            wait(device)
            taken[runs].append(time.perf_counter() - begun)
    alone, copied = statistics.median(taken[min(taken)]), bandwidth(device)
    rows = []
    for runs, seconds in taken.items():
        low, median, high = (float(np.quantile(seconds, q)) for q in (0.25, 0.5, 0.75))
        rows.append({
            "protocol": protocol, "engine": engine, "arithmetic": arguments.arithmetic, "runs": runs,
            "ms": 1e3 * median, "quartiles_ms": [1e3 * low, 1e3 * high], "times_one": median / alone * min(taken),
            "of_bandwidth": runs * traffic(config) / median / copied, "peak_bytes": peaks[runs],
            "error": error(engine, packs[runs], pixels) if runs > 1 else 0.0,
        })  # fmt: skip
    return rows


def paired(seeds: int, engine: EngineName, device: str) -> dict[str, Any]:
    """Return the differences, pack minus alone, of the final accuracies of `seeds` trials, in points."""
    from scipy import stats  # half a second, which nothing else here needs

    values = protocols.load("strokes") | {"outer_steps": 40, "eval_every": 0, "eval_episodes": 200, "channels": 32}
    configs = [resolve(values | {"seed": seed}) for seed in range(seeds)]
    pixels = torch.from_numpy(strokes.make(0)).to(device)

    def final(members: list[TrialConfig]) -> list[float]:
        *_, chunk = train(members, pixels, engine=engine, chunk_s=600)
        found = [next(r for r in run.records if r.key == "evaluation") for run in chunk.runs]
        return [100 * record.value["accuracy"]["zeroed"][-1] for record in found]

    alone = [final([config])[0] for config in configs]
    differences = np.array(final(configs)) - np.array(alone)
    half = float(stats.t.ppf(0.95, seeds - 1) * differences.std(ddof=1) / np.sqrt(seeds))
    mean = float(differences.mean())
    return {
        "engine": engine, "device": device, "seeds": seeds, "alone": alone, "differences": differences.tolist(),
        "mean": mean, "interval_90": [mean - half, mean + half],
    }  # fmt: skip


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="What packs cost and gain.")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--engines", nargs="+", choices=["loop", "fused", "vmap", "graph"])
    parser.add_argument("--arithmetic", choices=["full", "tf32", "bf16"], default="full")
    parser.add_argument("--protocols", nargs="+", choices=PROTOCOLS, default=PROTOCOLS)
    parser.add_argument("--runs", nargs="+", type=int, default=[1, 2, 4])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--paired", type=int, metavar="SEEDS")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    engines = arguments.engines or [ENGINES_OF_DEVICE[arguments.device][0]]
    if arguments.paired:
        for engine in engines:
            found = paired(arguments.paired, engine, arguments.device)
            low, high = found["interval_90"]
            print(f"{engine}, {arguments.paired} seeds: {found['mean']:+.2f} points, 90 % {low:+.2f} to {high:+.2f}")
            print(json.dumps(found))
        return
    rows = [row for name in arguments.protocols for engine in engines for row in measure(name, engine, arguments)]
    print(
        "| protocol | engine | products | runs | ms a step (quartiles) | times one | a run's | error | traffic | MiB |"
    )
    print("|---|---|---|---:|---:|---:|---:|---:|---:|---:|")
    for row in rows:
        low, high = row["quartiles_ms"]
        peak = "" if row["peak_bytes"] is None else f"{row['peak_bytes'] / 2**20:,.0f}"
        print(
            f"| {row['protocol']} | {row['engine']} | {row['arithmetic']} | {row['runs']} | {row['ms']:.1f} ({low:.1f} "
            f"to {high:.1f}) | {row['times_one']:.2f} | {row['ms'] / row['runs']:.1f} | {row['error']:.1e} | "
            f"{100 * row['of_bandwidth']:.0f} % | {peak} |"
        )
    print(json.dumps({"device": arguments.device, "torch": torch.__version__, "found": rows}))


if __name__ == "__main__":
    main()
