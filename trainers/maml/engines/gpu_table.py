"""The fastest engine on a GPU for a network and an order. `python -m benchmarks.gpu.winners` writes this file.

A cell that was not measured has no entry, and takes `vmap`.
"""

from typing import Literal

GPU_ENGINES: dict[tuple[str, str], Literal["vmap", "graph", "unfold"]] = {
    ("conv4_strided", "first"): "unfold",
    ("conv4_strided", "second"): "unfold",
}
