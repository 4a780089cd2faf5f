"""What training on some Ray needs to know of it: how many workers it has room for, where none may be, whether it lives.

A Ray is this run's own (`daemons`) or a cluster that was there before (`cluster`).
"""

from collections.abc import Mapping
from typing import Any, Protocol


class RayPlace(Protocol):
    """The Ray that a run trains on."""

    asked: str
    """What every worker must have, as JSON of node_check.Asked; empty when workers needn't be asked."""

    def slots(self) -> int:
        """Return how many workers there is room for now; none is started beyond."""

    def avoided(self) -> tuple[str, ...]:
        """Return the ids of the nodes on which no worker may be started."""

    def avoid(self, node: str, trouble: str) -> None:
        """Start no worker on `node` from now on."""

    def require_life(self) -> None:
        """Raise RayGone if Ray can't start workers and carry what they report any more."""


def slot_of(threads: int, *, gpu: float) -> dict[str, float]:
    """Return what one worker takes of a machine, resource to amount; `gpu` is its part of one, 0 for none."""
    return {"CPU": threads, **({"GPU": gpu} if gpu else {})}


def room_on(node: Mapping[str, Any], slot: Mapping[str, float]) -> int:
    """Return how many workers of `slot` (resource to amount) a node has room for when nothing else runs there."""
    has = node["Resources"]
    return min(int(has.get(resource, 0) / amount + 1e-6) for resource, amount in slot.items())  # 1 // 0.2 is 4
