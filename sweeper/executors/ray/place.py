"""What a run needs to know about its Ray: how many workers fit, which nodes to avoid, and whether it is alive.

The Ray is this run's own (`daemons`) or a joined cluster (`nodes`). This module imports no Ray.
"""

from collections.abc import Mapping
from typing import Any, Protocol


class RayPlace(Protocol):
    """The Ray that a run trains on."""

    asked: str
    """What every worker must have, as JSON of node_check.Asked; empty if workers aren't examined."""

    def slots(self) -> int:
        """Return how many workers fit now; no more than that are started."""

    def avoided(self) -> tuple[str, ...]:
        """Return the ids of the nodes on which no worker may start."""

    def avoid(self, node: str, trouble: str) -> None:
        """Start no worker on `node` from now on."""

    def require_life(self) -> None:
        """Raise RayGone if Ray can no longer start workers or deliver their reports."""


def slot_of(threads: int, *, gpu: float) -> dict[str, float]:
    """Return the resources of one worker, name to amount; `gpu` is its fraction of one GPU, 0 for none."""
    return {"CPU": threads, **({"GPU": gpu} if gpu else {})}


def room_on(node: Mapping[str, Any], slot: Mapping[str, float]) -> int:
    """Return how many workers of `slot` (resource to amount) fit on `node` when nothing else runs there."""
    has = node["Resources"]
    return min(int(has.get(resource, 0) / amount + 1e-6) for resource, amount in slot.items())  # 1 // 0.2 is 4
