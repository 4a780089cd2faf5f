"""Outer steps as one CUDA graph, captured once and replayed: gather, inner loops, outer gradient and Adam.

A graph reads and writes the same memory each time, so what changes from step to step is copied to where it reads, and
no caller may keep a reference to what it writes. On a CPU the same code runs uncaptured; tests use that.
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
        """Take the step after `step` others, also for runs that aren't alive, which it leaves as they are."""
        given = self.inputs(step)
        if self._inputs is None:
            self.carried = _copy_of(self.carried)
            self._inputs = self.sent(given)
            self._replay = self._captured() if self._pixels.is_cuda else self._once
        else:
            write(self._inputs, self.sent(given))
        self._replay()

    def kept(self) -> Carried:
        """Return a copy of what is carried."""
        return _copy_of(self.carried)

    def _once(self) -> None:
        assert self._inputs is not None  # sent before the first step
        moved, seen = self.step(self.carried, self._inputs, [True] * len(self._configs))
        write(self.carried, moved)
        write(self.seen, seen)

    def _captured(self) -> Any:
        """Return what replays a step. Warming up changes nothing, since every run is broken meanwhile."""
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
