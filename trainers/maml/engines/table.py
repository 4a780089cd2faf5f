"""Which engine trains a trial: a committed table, not a timing at run time, so that equal configs give equal bits.

A trial keeps the engine that it began with, for ever. Loads no torch.
"""

from typing import Literal

from trainers.maml.config import TrialConfig
from trainers.maml.engines.gpu_table import GPU_ENGINES

EngineName = Literal["loop", "fused", "compiled", "vmap", "graph", "unfold"]

ENGINES_OF_DEVICE: dict[str, tuple[EngineName, ...]] = {
    "cpu": ("compiled", "fused", "loop", "vmap"),
    "cuda": ("vmap", "graph", "unfold", "loop"),
}
"""The engines that a device has. A CPU's are in order of speed (benchmarks/LOG.md); for a GPU see `GPU_ENGINES`."""

COMPILING: frozenset[EngineName] = frozenset(("fused", "compiled"))
"""Engines whose kernels are compiled on the machine that trains."""

SLICE_OF_ENGINE: dict[EngineName, int] = {"loop": 1, "fused": 1, "compiled": 1, "vmap": 50, "graph": 50, "unfold": 50}
"""Episodes scored between two chances to stop during an evaluation; fixed, since it may change bits under vmap."""


def cannot_treat(engine: EngineName, config: TrialConfig, device: str) -> str:
    """Return why `engine` on `device` ("cpu" or "cuda") can't train `config`, or "". There is no fallback."""
    if config.arithmetic == "tf32" and device != "cuda":
        return "arithmetic tf32 needs --device cuda; a CPU does not support it"
    if config.arithmetic != "full" and engine in ("fused", "compiled"):
        return f"arithmetic {config.arithmetic} needs --device cuda; the CPU's {engine} engine supports only full"
    if config.algorithm == "contrastive" and engine == "compiled":
        return "the compiled engine has no explicit losses (algorithm contrastive); the fused engine has"
    return ""


def fastest(config: TrialConfig, device: str) -> EngineName:
    """Return the engine for a new trial on `device`: the fastest that can train `config`.

    Raises ValueError with the reason if none can that is made for speed on this device.
    """
    measured: EngineName = GPU_ENGINES.get((config.network, config.order), "vmap")
    preferred = ENGINES_OF_DEVICE["cpu"][:2] if device == "cpu" else (measured,)
    reasons = [cannot_treat(engine, config, device) for engine in preferred]
    for engine, reason in zip(preferred, reasons, strict=True):
        if not reason:
            return engine
    raise ValueError(reasons[-1])
