"""Which engine a device uses: a committed table, never a timing made at run time, so that bits don't depend on luck."""

from typing import Literal

EngineName = Literal["loop", "fused", "vmap", "graph"]

ENGINE_OF_DEVICE: dict[str, EngineName] = {"cpu": "fused", "cuda": "vmap"}
"""Filled from benchmarks/LOG.md. A trial keeps the engine that it began with."""

SLICE_OF_ENGINE: dict[EngineName, int] = {"loop": 1, "fused": 1, "vmap": 50, "graph": 50}
"""Episodes scored between two chances to stop during an evaluation; fixed, since it may change bits under vmap."""
