"""Which engine a device uses: a committed table, never a timing made at run time, so that bits don't depend on luck."""

from typing import Literal

EngineName = Literal["loop", "vmap"]

ENGINE_OF_DEVICE: dict[str, EngineName] = {"cpu": "loop", "cuda": "vmap"}
"""A CPU gains from the loop's fused batch norm and small graphs; a GPU needs the wide kernels of vmap."""

SLICE_OF_ENGINE: dict[EngineName, int] = {"loop": 1, "vmap": 50}
"""Episodes scored between two chances to stop during an evaluation; fixed, since it may change bits under vmap."""
