"""Which engine a device uses: a committed table, not a timing at run time, so that equal configs give equal bits."""

from typing import Literal

from trainers.maml.config import Arithmetic

EngineName = Literal["loop", "fused", "vmap", "graph"]

ENGINE_OF_DEVICE: dict[str, EngineName] = {"cpu": "fused", "cuda": "vmap"}
"""Filled from benchmarks/LOG.md. A trial keeps the engine that it began with."""

SLICE_OF_ENGINE: dict[EngineName, int] = {"loop": 1, "fused": 1, "vmap": 50, "graph": 50}
"""Episodes scored between two chances to stop during an evaluation; fixed, since it may change bits under vmap."""


def cannot_multiply(arithmetic: Arithmetic, device: str, engine: EngineName) -> str:
    """Return why `engine` on `device` ("cpu" or "cuda") does not support `arithmetic`, or ""; there is no fallback."""
    if arithmetic == "tf32" and device != "cuda":
        return "arithmetic tf32 needs --device cuda; a CPU does not support it"
    if arithmetic != "full" and engine == "fused":
        return f"arithmetic {arithmetic} needs --device cuda; the CPU's fused engine supports only full"
    return ""
