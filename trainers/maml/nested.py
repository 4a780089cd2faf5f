"""Maps, lists and copies the tensors in nested named tuples and dicts."""

from collections.abc import Callable, Iterator
from typing import Any

from torch import Tensor


def mapped(function: Callable[[Tensor], Tensor], nest: Any) -> Any:
    """Return `nest` with each tensor replaced by `function` of it; None stays None."""
    if nest is None or isinstance(nest, Tensor):
        return None if nest is None else function(nest)
    if isinstance(nest, dict):
        return {name: mapped(function, value) for name, value in nest.items()}
    return type(nest)(*(mapped(function, part) for part in nest))


def leaves(nest: Any) -> Iterator[Tensor]:
    """Yield the tensors of `nest` in order."""
    if isinstance(nest, Tensor):
        yield nest
    elif nest is not None:
        for part in nest.values() if isinstance(nest, dict) else nest:
            yield from leaves(part)


def write(where: Any, new: Any) -> None:
    """Copy every tensor of `new` into the one of `where` in the same place; the host doesn't wait for pinned memory.

    Raises ValueError if the two have different numbers of tensors.
    """
    for old, value in zip(leaves(where), leaves(new), strict=True):
        old.copy_(value, non_blocking=True)
