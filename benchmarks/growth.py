"""How the time of an outer step grows with each part of it, the others as in the protocol: a table and a figure.

    python -m benchmarks.growth [--out FILE] [--rounds N]

The engine of this machine's CPU, one thread, first order, the whole step (drawing, gathering, meta-gradient, Adam) on
the images of the data set. Each point is the median of `rounds` steps after one to warm up.
"""

import argparse
import json
import statistics
from pathlib import Path

import matplotlib
import torch
from matplotlib.figure import Figure

from analysis.figures.style import RC, looks
from benchmarks.bench_trainer import company
from benchmarks.outer_step import Steps
from trainers.data.datasets import data_root, load, prepare
from trainers.maml import protocols
from trainers.process.allocator import keep_freed_memory

GROWTH: dict[str, tuple[int, ...]] = {
    "meta_batch_size": (1, 2, 4, 8, 16),
    "inner_steps": (0, 1, 2, 4, 8),
    "ways": (2, 5, 10, 20),
    "shots": (1, 2, 5, 10),
    "runs in a pack": (1, 2, 4),
    "workers": (1, 2, 3, 4),
}
TITLES = {"meta_batch_size": "episodes", "inner_steps": "inner steps", "ways": "ways", "shots": "shots"}
PROTOCOLS = {"omniglot": {"meta_batch_size": 8}, "mini_imagenet": {"meta_batch_size": 2}}


def seconds(protocol: str, pixels: torch.Tensor, part: str, value: int, rounds: int) -> float:
    """Return the median time of one step of a pack; of several workers', each its own core's or a share of one."""
    if part == "workers":
        with company("fused", f"{protocol} first", value - 1):
            return seconds(protocol, pixels, "runs in a pack", 1, rounds)
    runs, own = (value, {}) if part == "runs in a pack" else (1, {part: value})
    steps = Steps(protocol, PROTOCOLS[protocol] | {"queries": 10} | own, "float32", pixels, runs=runs)
    taken = [steps.seconds() for _ in range(rounds + 1)]
    return statistics.median(taken[1:])


def draw(found: dict[str, dict[str, dict[int, float]]]) -> Figure:
    """Return one panel a part, one line a protocol, both axes from zero: what is proportional is straight."""
    with matplotlib.rc_context(RC):
        figure = Figure(figsize=(2.3 * len(GROWTH), 2.6), layout="constrained")
        for axes, part in zip(figure.subplots(1, len(GROWTH)), GROWTH, strict=True):
            for (protocol, parts), look in zip(found.items(), looks(len(found)), strict=True):
                points = parts[part]
                drawn = {"color": look.colour, "marker": look.marker, "linestyle": look.dash, "markersize": 4}
                axes.plot(list(points), list(points.values()), label=protocol, **drawn)
            axes.set_xlabel(TITLES.get(part, part))
            axes.set_xlim(left=0)
            axes.set_ylim(bottom=0)
        figure.axes[0].set_ylabel("seconds an outer step")
        figure.axes[0].legend(frameon=False)
    return figure


def main() -> None:
    """Measure, print and draw."""
    parser = argparse.ArgumentParser(description="How the time of an outer step grows.")
    parser.add_argument("--out", type=Path, default=Path("build/growth.png"))
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    found: dict[str, dict[str, dict[int, float]]] = {}
    print("| data set | part | seconds a step |\n|---|---|---|")
    for protocol in PROTOCOLS:
        dataset = protocols.load(protocol)["dataset"]
        pixels = torch.from_numpy(load(prepare(dataset, data_root(None))))
        found[protocol] = {}
        for part, values in GROWTH.items():
            points = {value: seconds(protocol, pixels, part, value, arguments.rounds) for value in values}
            found[protocol][part] = points
            print(
                f"| {protocol} | {part} | {', '.join(f'{n}: {taken:.3f}' for n, taken in points.items())} |", flush=True
            )
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    draw(found).savefig(arguments.out, dpi=150)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
