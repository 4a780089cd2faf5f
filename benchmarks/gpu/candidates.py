"""Whole outer steps by every engine a GPU could use, in packs, against plain modules, each with its error.

    python -m benchmarks.gpu.candidates --out ROWS.jsonl [--device cuda|cpu] [--engines NAME ...] [--runs N ...]

Candidates: `vmap`, all episodes of all runs at once, convolutions as grouped cuDNN calls; `graph`, the same captured as
one CUDA graph; `unfold`, captured, convolutions as batched products of matrices; `inductor`, `graph` through
`torch.compile`. The last is no engine of the trainer: Triton's tuner chooses kernels by timing, so its bits may depend
on load.

A step is all of it: drawing, gathering, inner loops, outer gradient, Adam. A row is the median of blocks of steps, with
one wait at the end of a block, after a step to warm up. "Plain modules" is the outer gradient alone, for one run. The
error is of the gradient of the first run of the pack, against the loop in float64. A row is written as soon as it is
known, the most wanted first, since the time may end at any row. `--tiny` is for a dry run: synthetic characters.
"""

import argparse
import itertools
import json
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from benchmarks.bench_packs import starts, wait
from benchmarks.bench_trainer import BASE, Problem, error, step_of
from trainers.data.datasets import data_root, prepare
from trainers.data.on_device import load_pixels
from trainers.maml import protocols
from trainers.maml.config import TrialConfig, resolve
from trainers.maml.engines.arithmetic import multiplying
from trainers.maml.engines.captured import CapturedMover
from trainers.maml.engines.engine import Engine, MetaGradient
from trainers.maml.engines.engines import VmapEngine, build
from trainers.maml.engines.outer_step import Mover
from trainers.maml.episodes import Episode, gather, training_draw
from trainers.maml.networks import Params, initial_params
from trainers.maml.train import MOVERS

ENGINES = ("vmap", "graph", "unfold", "inductor")
BLOCKS = 5
BLOCK_S = 0.1
TINY = {"channels": 4, "meta_batch_size": 2, "queries": 2, "inner_steps": 1, "outer_steps": 10}


class InductorEngine(VmapEngine):
    """The vmap engine's outer gradient as `torch.compile` makes it; on a CPU traced, but not compiled."""

    def __init__(self, config: TrialConfig, device: str) -> None:
        super().__init__(config)
        backend = "inductor" if device == "cuda" else "eager"
        self._compiled = torch.compile(super().meta_gradient, backend=backend, fullgraph=True, dynamic=False)

    def meta_gradient(
        self,
        params: Params,
        episodes: list[Episode],
        inner_lr: torch.Tensor,
        alive: list[bool],
        weights: torch.Tensor | None = None,
    ) -> MetaGradient:
        """See Engine."""
        return self._compiled(params, episodes, inner_lr, alive, weights)


def main() -> None:
    """Measure, write rows and print them."""
    parser = argparse.ArgumentParser(description="Every engine for a GPU, in packs.")
    parser.add_argument("--out", type=Path, required=True, help="a row of JSON a line is appended")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cuda")
    parser.add_argument("--protocols", nargs="+", default=["omniglot", "mini_imagenet"])
    parser.add_argument("--orders", nargs="+", choices=["first", "second"], default=["first", "second"])
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=ENGINES[:3])
    parser.add_argument("--arithmetic", nargs="+", choices=["full", "tf32", "bf16"], default=["full"])
    parser.add_argument("--runs", nargs="+", type=int, default=[1, 16, 4, 64], help="in the order of interest")
    parser.add_argument("--tiny", action="store_true")
    wanted = parser.parse_args()
    torch.set_num_threads(1)
    for row in measured(wanted):
        with wanted.out.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        print(json.dumps(row), flush=True)


def measured(wanted: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Yield a row for each candidate, size of pack, arithmetic, order and data set."""
    cells = {cell: Cell(*cell, wanted) for cell in itertools.product(wanted.protocols, wanted.orders)}
    for arithmetic, runs, cell in itertools.product(wanted.arithmetic, wanted.runs, cells.values()):
        for engine in wanted.engines:
            yield cell.row(engine, arithmetic, runs)


class Cell:
    """A data set and an order, with what its rows are compared with."""

    def __init__(self, protocol: str, order: str, wanted: argparse.Namespace) -> None:
        self._device, self._block_s = wanted.device, 0.0 if wanted.tiny else BLOCK_S
        self._config = resolve(protocols.load(protocol) | {"order": order} | (TINY if wanted.tiny else {}))
        self._pixels = load_pixels(prepare(self._config.dataset, data_root(None)), wanted.device)
        self._about = {"protocol": protocol, "network": self._config.network, "order": order}
        params = {name: value.to(wanted.device) for name, value in initial_params(self._config).items()}
        first = Problem(self._config, params, gather(training_draw(self._config, 0), self._pixels, self._config))
        self._exact = step_of("loop", first.double())()
        plain = step_of(BASE, first)
        with multiplying("full", self._pixels.device):
            self._plain_error = error(plain(), self._exact)
            self._plain_s = statistics.median(self._blocks(plain))

    def row(self, name: str, arithmetic: str, runs: int) -> dict[str, Any]:
        """Return the numbers of one candidate, or why there are none."""
        about = {
            **self._about, "engine": name, "arithmetic": arithmetic, "runs": runs, "device": self._device,
            "plain_ms": 1e3 * self._plain_s, "plain_error": self._plain_error,
        }  # fmt: skip
        try:
            return about | self._numbers(name, arithmetic, runs)
        except torch.cuda.OutOfMemoryError:
            return about | {"failed": "out of memory"}
        except Exception as reason:
            return about | {"failed": f"{type(reason).__name__}: {str(reason)[:300]}"}
        finally:
            if self._device == "cuda":
                torch.cuda.empty_cache()

    def _numbers(self, name: str, arithmetic: str, runs: int) -> dict[str, Any]:
        shared = self._config.model_copy(update={"arithmetic": arithmetic})
        configs = [shared.model_copy(update={"seed": seed, "zero_head_every": seed % 2}) for seed in range(runs)]
        engine: Engine = InductorEngine(shared, self._device) if name == "inductor" else build(name, shared)  # type: ignore[arg-type] # the choices of --engines
        if self._device == "cuda":
            torch.cuda.reset_peak_memory_stats()
        params = starts(configs, self._device)
        kind: type[Mover] = MOVERS.get(name, CapturedMover if name == "inductor" else Mover)  # type: ignore[call-overload]
        mover = kind(configs, self._pixels, engine, {key: value.clone() for key, value in params.items()})
        steps = itertools.count()
        begun = time.perf_counter()
        mover.take(next(steps), [True] * runs)
        wait(self._device)
        first_s = time.perf_counter() - begun
        taken = self._blocks(lambda: mover.take(next(steps), [True] * runs))
        median, *_ = found = [statistics.median(taken), min(taken), max(taken)]
        episodes = [gather(training_draw(config, 0), self._pixels, config) for config in configs]
        rates = torch.tensor([config.inner_lr for config in configs], device=self._device)
        with multiplying(shared.arithmetic, self._pixels.device):
            own = engine.meta_gradient(params, episodes, rates, [True] * runs).gradient
        return {
            "ms": 1e3 * median, "range_ms": [1e3 * value for value in found[1:]], "first_step_s": first_s,
            "times_plain": runs * self._plain_s / median,
            "error": error({key: value[0] for key, value in own.items()}, self._exact),
            "peak_bytes": torch.cuda.max_memory_allocated() if self._device == "cuda" else None,
        }  # fmt: skip

    def _blocks(self, step: Any) -> list[float]:
        """Return the seconds of a step in each of some blocks, as long as `BLOCK_S` or one step; tiny, one step."""
        step()
        wait(self._device)
        begun = time.perf_counter()
        step()
        wait(self._device)
        steps = max(1, round(self._block_s / (time.perf_counter() - begun)))
        taken = []
        for _ in range(BLOCKS):
            begun = time.perf_counter()
            for _ in range(steps):
                step()
            wait(self._device)
            taken.append((time.perf_counter() - begun) / steps)
        return taken


if __name__ == "__main__":
    main()
