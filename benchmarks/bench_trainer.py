"""The gradient of one outer step by every engine and every peer that is installed: time, error, rate and memory.

    python -m benchmarks.bench_trainer [--rounds N] [--cells NAME ...] [--device cpu|cuda]

All start from the same float32 parameters and episodes and return the same mean gradient; one after another they make
one step a round, after one to warm up. Layout A is one process with a thread a core; layout B is as many processes at
once as there are cores, each with one thread, of which one is timed: what a sweep does. Steps a second are of the whole
machine. On a GPU there is one layout, a process with the device to itself. The error is of the whole gradient, relative
to the loop's in float64 from the same numbers; the rate is the arithmetic of the convolutions against the machine's
best product of two float32 matrices in the same layout. Peers: `pip install higher torchopt optree graphviz`; `plain
modules` is written the way learn2learn does it, which can't be built for this Python any more. All have the allocator's
settings that workers have.
"""

import argparse
import json
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from benchmarks.peers import PEERS, SECOND_ONLY
from sweeper.host.system import usable_cpus
from trainers.data.catalog import CATALOG
from trainers.data.datasets import data_root, prepare
from trainers.data.on_device import load_pixels
from trainers.maml import protocols
from trainers.maml.config import TrialConfig, resolve
from trainers.maml.engines.engines import build
from trainers.maml.engines.table import ENGINES_OF_DEVICE
from trainers.maml.episodes import Episode, gather, training_draw
from trainers.maml.layout import BLOCKS
from trainers.maml.networks import Params, initial_params
from trainers.process.allocator import keep_freed_memory

CELLS = {
    f"{protocol} {order}": (protocol, order)
    for protocol in ("omniglot", "mini_imagenet", "strokes")
    for order in ("first", "second")
}
ENGINES = ("loop", "fused", "compiled", "vmap")
CORES = usable_cpus()
BASE = "plain modules"

Step = Callable[[], Params]


class Problem(NamedTuple):
    """One outer step to take."""

    config: TrialConfig
    params: Params
    episodes: Episode

    def double(self) -> "Problem":
        """Return the same numbers in float64."""
        images = {name: getattr(self.episodes, name).double() for name in ("support_images", "query_images")}
        return Problem(
            self.config.model_copy(update={"dtype": "float64"}),
            {name: value.double() for name, value in self.params.items()},
            self.episodes._replace(**images),
        )


def problem(cell: str, changes: dict[str, Any] | None = None, device: str = "cpu") -> Problem:
    """Return the first outer step of a protocol, 5-way 1-shot, on the images of its data set."""
    protocol, order = CELLS[cell]
    config = resolve(protocols.load(protocol) | {"order": order, "queries": 15} | (changes or {}))
    pixels = load_pixels(prepare(config.dataset, data_root(None)), device)
    params = {name: value.to(device) for name, value in initial_params(config).items()}
    return Problem(config, params, gather(training_draw(config, 0), pixels, config))


def step_of(row: str, given: Problem) -> Step:
    """Return what takes the step by engine or peer `row`."""
    if row not in ENGINES:
        return PEERS[row](given.config, given.params, given.episodes)
    engine = build(row, given.config)  # type: ignore[arg-type]
    stacked = {name: value[None] for name, value in given.params.items()}
    lr = stacked["head.weight"].new_tensor([given.config.inner_lr])

    def step() -> Params:
        found = engine.meta_gradient(stacked, [given.episodes], lr, [True]).gradient
        return {name: value[0] for name, value in found.items()}

    return step


def operations(config: TrialConfig) -> float:
    """Return the multiplications and additions of the step's convolutions, two a pair.

    A forward pass, and a backward one to weights and, but for the first block, to images: of each inner step's support
    set and of the query set. Second order differentiates each inner step's backward pass once more, twice its work.
    """
    size, channels = CATALOG[config.dataset].image_shape[1], CATALOG[config.dataset].image_shape[0]
    image = {"forward": 0.0, "to_images": 0.0}
    for n, block in enumerate(BLOCKS[config.network]):
        size = (size + 2 * block.padding - block.kernel) // block.stride + 1
        own = 2.0 * size**2 * config.channels * channels * block.kernel**2
        image["forward"] += own
        image["to_images"] += own if n else 0.0
        size, channels = size // 2 if block.pool else size, config.channels
    once = 2 * image["forward"] + image["to_images"]
    support, query = config.ways * config.shots * config.inner_steps, config.ways * config.queries
    again = 2 * (image["forward"] + image["to_images"]) + once if config.order == "second" else 0.0
    return config.meta_batch_size * (query * once + support * (once + again))


def matrix_rate(device: str = "cpu") -> float:
    """Return the operations a second of the best of ten products of float32 matrices, as large as keep it busy."""
    size = 1024 if device == "cpu" else 8192
    a = torch.randn(size, size, device=device)
    return 2 * size**3 / min(_seconds(lambda: a @ a) for _ in range(10))


def error(found: Params, exact: Params) -> float:
    """Return the distance of two gradients relative to the second."""
    gap = torch.cat([(found[name].double() - exact[name]).flatten() for name in exact])
    whole: Tensor = torch.cat([value.flatten() for value in exact.values()])
    return float(gap.norm() / whole.norm())


@contextmanager
def company(row: str, cell: str, count: int = CORES - 1) -> Iterator[None]:
    """Have `count` other processes take the same steps, one thread each, while the block lasts."""
    words = [sys.executable, "-m", "benchmarks.bench_trainer", "--keep", row, "--cells", cell]
    others = [subprocess.Popen(words, stdout=subprocess.PIPE, text=True) for _ in range(count)]
    try:
        for other in others:
            assert other.stdout is not None
            other.stdout.readline()  # it has warmed up
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


def measure(cell: str, rows: list[str], rounds: int, device: str) -> list[dict[str, Any]]:
    """Return the numbers of every row of one cell."""
    given = problem(cell, device=device)
    rows = [row for row in rows if given.config.order == "second" or row not in SECOND_ONLY]
    exact = step_of("loop", given.double())()
    steps = {row: step_of(row, given) for row in rows}
    errors = {row: error(step(), exact) for row, step in steps.items()}
    layouts = "AB" if device == "cpu" else "A"
    taken: dict[tuple[str, str], list[float]] = {(row, layout): [] for row in rows for layout in layouts}
    torch.set_num_threads(CORES)
    best = {"A": matrix_rate(device)}
    for _ in range(rounds):
        for row, step in steps.items():
            taken[row, "A"].append(_seconds(step))
    torch.set_num_threads(1)
    best["B"] = matrix_rate()
    for row, step in steps.items() if "B" in layouts else ():  # in turn: each has company of its own
        with company(row, cell):
            taken[row, "B"] += [_seconds(step) for _ in range(rounds)]
    found = []
    for (row, layout), seconds in taken.items():
        at_once = 1 if layout == "A" else CORES
        low, median, high = (np.quantile(seconds, q) for q in (0.25, 0.5, 0.75))
        found.append({
            "cell": cell, "row": row, "layout": layout, "ms": round(1e3 * median, 1),
            "quartiles_ms": [round(1e3 * low, 1), round(1e3 * high, 1)], "steps_a_second": at_once / median,
            "error": errors[row], "of_matrix_rate": operations(given.config) / median / best[layout],
        })  # fmt: skip
    return found


def _seconds(step: Callable[[], object]) -> float:
    _wait()
    begun = time.perf_counter()
    step()
    _wait()
    return time.perf_counter() - begun


def _wait() -> None:
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()


def peak_mib(row: str, cell: str) -> int:
    """Return the peak memory of a process that takes three steps, less what it had before the first."""
    words = [sys.executable, "-m", "benchmarks.bench_trainer", "--peak", row, "--cells", cell]
    return int(subprocess.run(words, capture_output=True, text=True, check=True).stdout)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="The gradient of one outer step by engines and peers.")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--cells", nargs="+", choices=list(CELLS), default=list(CELLS)[:4])
    parser.add_argument("--rows", nargs="+", help="default: peers, loop, and the device's engine")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--keep", help=argparse.SUPPRESS)
    parser.add_argument("--peak", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.keep or arguments.peak:
        _serve(arguments.keep, arguments.peak, arguments.cells[0])
        return
    keep_freed_memory()
    arguments.rows = arguments.rows or [*PEERS, "loop", *ENGINES_OF_DEVICE[arguments.device][:2]]
    found = [
        one for cell in arguments.cells for one in measure(cell, arguments.rows, arguments.rounds, arguments.device)
    ]
    for one in found:
        one["peak_mib"] = peak_mib(one["row"], one["cell"]) if arguments.device == "cpu" else None
    base = {one["cell"]: 0.0 for one in found}
    for one in found:  # its better layout is what the others are held against
        if one["row"] == BASE:
            base[one["cell"]] = max(base[one["cell"]], one["steps_a_second"])
    print(
        "| cell | by | layout | ms a step (quartiles) | steps a second | times plain modules | error | of rate | MiB |"
    )
    print("|---|---|---|---:|---:|---:|---:|---:|---:|")
    for one in found:
        low, high = one["quartiles_ms"]
        times = f"{one['steps_a_second'] / base[one['cell']]:.2f}" if base[one["cell"]] else "-"
        print(
            f"| {one['cell']} | {one['row']} | {one['layout']} | {one['ms']:.0f} ({low:.0f} to {high:.0f}) | "
            f"{one['steps_a_second']:.2f} | {times} | {one['error']:.1e} | {100 * one['of_matrix_rate']:.0f} % | "
            f"{one['peak_mib']} |"
        )
    gpu = torch.cuda.get_device_name() if arguments.device == "cuda" else None
    about = {
        "cores": CORES,
        "gpu": gpu,
        "processor": platform.processor() or platform.machine(),
        "torch": torch.__version__,
    }
    print(json.dumps({**about, "rounds": arguments.rounds, "found": found}))


def _serve(keep: str | None, peak: str | None, cell: str) -> None:
    """Be a process that `company` or `peak_mib` has started."""
    torch.set_num_threads(1)
    keep_freed_memory()
    step = step_of(keep or peak or "", problem(cell))
    if keep:
        step()
        print("warm", flush=True)
        while True:
            step()
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # forget the peak so far
    before = _resident_kib("VmRSS")
    for _ in range(3):
        step()
    print((_resident_kib("VmHWM") - before) // 1024)


def _resident_kib(entry: str) -> int:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(entry))


if __name__ == "__main__":
    main()
