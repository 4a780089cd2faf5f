"""What a GPU should need for an outer step, on paper: kernels, bytes and operations against what the card can do.

    python -m benchmarks.gpu.predicted

Kernels and bytes are counted, not guessed: one step of the `vmap` and the `unfold` engine runs here on a CPU, and every
operation below torch's dispatcher that is no view counts as one kernel that reads its inputs and writes its outputs.
So bytes are those of a step without fusion. Operations are those of the convolutions (`bench_trainer.operations`).

A step needs at least the longest of four times: the host's for launching each kernel (not for a captured graph), the
GPU's for starting each, the memory's for the bytes, the arithmetic's for the operations. `CARDS` are the makers' peaks;
`Assumed` says which share of them, and how long a launch, is taken. A measurement refutes or confirms these.
"""

import itertools
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from benchmarks.bench_trainer import operations
from trainers.data.catalog import CATALOG
from trainers.maml import protocols
from trainers.maml.config import TrialConfig, resolve
from trainers.maml.engines.engines import build
from trainers.maml.engines.outer_step import Mover
from trainers.maml.engines.table import EngineName
from trainers.maml.networks import initial_params

STEPS = {"omniglot": 3_000, "mini_imagenet": 30_000}
PACK = 16
ENGINES: tuple[EngineName, ...] = ("vmap", "unfold")


@dataclass(frozen=True, kw_only=True)
class Card:
    """Peaks from the maker's data sheet, without sparsity."""

    bytes_s: float
    float32_s: float
    tf32_s: float


CARDS = {
    "H100": Card(bytes_s=3.35e12, float32_s=67e12, tf32_s=494e12),
    "H200": Card(bytes_s=4.8e12, float32_s=67e12, tf32_s=494e12),
}
"""SXM cards."""


@dataclass(frozen=True, kw_only=True)
class Assumed:
    """What is not known before a measurement."""

    host_s: float = 20e-6
    """For the host to launch one kernel through torch.func's transforms."""
    start_s: float = 2e-6
    """For the GPU to start one kernel of a captured graph."""
    of_bandwidth: float = 0.7
    of_arithmetic: float = 0.3
    """Small products of 32 or 64 channels."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """What one outer step of one run takes."""

    kernels: int
    bytes: float
    operations: float


class Counting(TorchDispatchMode):
    """Counts what is computed, and what that reads and writes."""

    def __init__(self) -> None:
        super().__init__()
        self.kernels, self.bytes = 0, 0.0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run `function` and count it, unless it is a view or makes an empty tensor."""
        found = function(*args, **(kwargs or {}))
        name = function.__name__
        if not (function.is_view or name.startswith(("empty", "new_empty", "_unsafe_view", "detach"))):
            self.kernels += 1
            read = args[1:] if name.startswith("index") else args  # of what it picks from, it reads what it writes
            tensors = [leaf for leaf in tree_leaves((read, kwargs, found)) if isinstance(leaf, torch.Tensor)]
            self.bytes += sum(tensor.numel() * tensor.element_size() for tensor in tensors)
        return found


def counted(config: TrialConfig, engine: EngineName, pixels: torch.Tensor) -> Step:
    """Return what a step of `config` by `engine` takes."""
    params = {name: value[None] for name, value in initial_params(config).items()}
    mover = Mover([config], pixels, build(engine, config), params)
    with Counting() as count:
        mover.take(0, [True])
    return Step(kernels=count.kernels, bytes=count.bytes, operations=operations(config))


def times_s(step: Step, card: Card, assumed: Assumed, *, runs: int, tf32: bool) -> dict[str, float]:
    """Return the seconds of a step of a pack of `runs` by each bound."""
    peak = card.tf32_s if tf32 else card.float32_s
    return {
        "host": assumed.host_s * step.kernels,
        "start": assumed.start_s * step.kernels,
        "memory": runs * step.bytes / (assumed.of_bandwidth * card.bytes_s),
        "arithmetic": runs * step.operations / (assumed.of_arithmetic * peak),
    }


def pixels_of(config: TrialConfig) -> torch.Tensor:
    """Return black pixels of the shape that `config` needs, without their memory."""
    facts = CATALOG[config.dataset]
    return torch.zeros(1, dtype=torch.uint8).expand(facts.classes, facts.images_per_class, *facts.image_shape)


def row(name: str, engine: EngineName, step: Step, card: str, length: int) -> str:
    """Return a line of the table: the four bounds of one run in ms, and the steps that follow."""
    one = times_s(step, CARDS[card], Assumed(), runs=1, tf32=False)
    pack = times_s(step, CARDS[card], Assumed(), runs=PACK, tf32=False)
    tf32 = times_s(step, CARDS[card], Assumed(), runs=1, tf32=True)["arithmetic"]
    captured, captured_pack = (max(times["start"], times["memory"], times["arithmetic"]) for times in (one, pack))
    cells = [
        name, engine, f"{step.kernels:,}", f"{step.bytes / 1e9:.1f}", f"{step.operations / 1e9:.0f}", card,
        *(f"{1e3 * one[bound]:.1f}" for bound in ("host", "start", "memory", "arithmetic")), f"{1e3 * tf32:.1f}",
        f"{1e3 * max(one.values()):.1f}", f"{1e3 * captured:.1f}", f"{captured_pack / captured:.1f}",
        f"{length * captured:,.0f}", f"{length * captured_pack / PACK:,.0f}",
    ]  # fmt: skip
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Count and print."""
    torch.set_num_threads(1)
    print(
        "| cell | engine | kernels | GB | GFLOP | card | host | start | memory | float32 | TF32 | uncaptured | "
        f"captured | {PACK} captured, times one | a trial alone, s | a trial of {PACK}, s |"
    )
    print("|---|---|---:|---:|---:|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|")
    for (protocol, length), order in itertools.product(STEPS.items(), ("first", "second")):
        config = resolve(protocols.load(protocol) | {"order": order})
        for engine in ENGINES:
            step = counted(config, engine, pixels_of(config))
            for card in CARDS:
                print(row(f"{protocol} {order}", engine, step, card, length), flush=True)


if __name__ == "__main__":
    main()
