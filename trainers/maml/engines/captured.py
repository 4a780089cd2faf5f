"""Outer steps as one CUDA graph, captured once and replayed: gather, inner loops, outer gradient and Adam.

A graph reads and writes the same memory at each replay. So the inputs of each step are copied to where it reads, and no
caller may keep a reference to its outputs. On a CPU the same code runs uncaptured; tests use that.
"""

from typing import Any

import torch

from trainers.maml.engines.outer_step import Carried, Inputs, Mover
from trainers.maml.nested import mapped, write

WARM_UP = 3


class CapturedMover(Mover):
    """A Mover whose `carried` is one set of tensors, changed in place."""

    _inputs: Inputs | None = None
    _replay: Any = None

    def take(self, step: int, alive: list[bool]) -> None:
        """Take the step after `step` others; it computes runs that aren't alive too, but doesn't change them."""
        given = self.inputs(step)
        if self._inputs is None:
            self.carried = _copy_of(self.carried)
            self._inputs = self.sent(given)
            self._replay = self._captured() if self._pixels.is_cuda else self._once
        else:
            write(self._inputs, self.sent(given))
        self._replay()

    def kept(self) -> Carried:
        """Return a copy of `carried`."""
        return _copy_of(self.carried)

    def _once(self) -> None:
        assert self._inputs is not None  # sent before the first step
        moved, seen = self.step(self.carried, self._inputs, [True] * len(self._configs))
        write(self.carried, moved)
        write(self.seen, seen)

    def _captured(self) -> Any:
        """Return a function that replays a step. Warming up changes nothing: every run is marked broken meanwhile."""
        whole = _copy_of(self.carried)
        self.carried.broken_at.fill_(1)
        stream = torch.cuda.Stream(self._pixels.device)
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(WARM_UP):
                self._once()
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self._once()
        write(self.carried, whole)
        return graph.replay


def _copy_of(nest: Any) -> Any:
    return mapped(torch.clone, nest)
