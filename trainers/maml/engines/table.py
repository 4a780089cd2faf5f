"""Which engine trains a trial: a committed table, not a timing at run time, so that equal configs give equal bits.

A trial keeps the engine that it began with, for ever. Loads no torch.
"""

from typing import Literal

from trainers.maml.config import TrialConfig
from trainers.maml.engines.gpu_table import GPU_ENGINES
from trainers.maml.network_names import CONV4, is_own, short_name

EngineName = Literal["loop", "fused", "compiled", "vmap", "graph", "unfold"]

ENGINES_OF_DEVICE: dict[str, tuple[EngineName, ...]] = {
    "cpu": ("compiled", "fused", "loop", "vmap"),
    "cuda": ("vmap", "graph", "unfold", "loop"),
}
"""The engines that a device has. A CPU's are in order of speed (benchmarks/LOG.md); for a GPU see `GPU_ENGINES`."""

COMPILING: frozenset[EngineName] = frozenset(("fused", "compiled"))
"""Engines whose kernels are compiled on the machine that trains."""

VECTORISED: frozenset[EngineName] = frozenset(("vmap", "graph", "unfold"))
"""Engines that map episodes by torch.func.vmap, which has wrong second derivatives of some of torch's own layers."""

SLICE_OF_ENGINE: dict[EngineName, int] = {"loop": 1, "fused": 1, "compiled": 1, "vmap": 50, "graph": 50, "unfold": 50}
"""Episodes scored between two chances to stop during an evaluation; fixed, since it may change bits under vmap."""


def cannot_treat(engine: EngineName, config: TrialConfig, device: str) -> str:
    """Return why `engine` on `device` ("cpu" or "cuda") can't train `config`, or "". There is no fallback."""
    if config.arithmetic == "tf32" and device != "cuda":
        return "arithmetic tf32 needs --device cuda; a CPU does not support it"
    if config.arithmetic != "full" and engine in ("fused", "compiled"):
        return f"arithmetic {config.arithmetic} needs --device cuda; the CPU's {engine} engine supports only full"
    if engine in COMPILING and config.network not in CONV4:
        network = short_name(config.network)
        return f"the {engine} engine has no network {network}, only Conv-4; the loop engine has"
    if engine in VECTORISED and is_own(config.network):
        return (
            f"the {engine} engine may have wrong second derivatives of layers of a network of one's own, and "
            f"{short_name(config.network)} is one; the loop engine computes any network"
        )
    if config.algorithm == "contrastive" and engine == "compiled":
        return "the compiled engine has no explicit losses (algorithm contrastive); the fused engine has"
    return ""


def fastest(config: TrialConfig, device: str) -> EngineName:
    """Return the engine for a new trial on `device`: the fastest that can train `config`.

    Raises ValueError with the reason if none can that is made for speed on this device.
    """
    preferred = _preferred(config, device)
    reasons = [cannot_treat(engine, config, device) for engine in preferred]
    for engine, reason in zip(preferred, reasons, strict=True):
        if not reason:
            return engine
    raise ValueError(reasons[-1])


def _preferred(config: TrialConfig, device: str) -> tuple[EngineName, ...]:
    if is_own(config.network):
        return ("loop",)
    if device == "cpu":
        return ENGINES_OF_DEVICE["cpu"][:2] if config.network in CONV4 else ("loop",)
    return (GPU_ENGINES.get((config.network, config.order), "vmap"),)
