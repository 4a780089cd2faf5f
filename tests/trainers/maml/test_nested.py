"""Tensors in nested tuples and dicts: read in order, and written in place."""

from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from trainers.maml.nested import leaves, write


class Pair(NamedTuple):
    first: Tensor | None
    second: dict[str, Tensor]


def pair(*numbers: float) -> Pair:
    return Pair(torch.tensor(numbers[0]), {"a": torch.tensor(numbers[1]), "b": torch.tensor(numbers[2])})


def test_leaves_come_in_order_and_none_has_none():
    assert [leaf.item() for leaf in leaves(pair(1.0, 2.0, 3.0))] == [1.0, 2.0, 3.0]
    assert [leaf.item() for leaf in leaves(pair(1.0, 2.0, 3.0)._replace(first=None))] == [2.0, 3.0]
    assert list(leaves(None)) == []


def test_writing_changes_the_tensors_that_are_there():
    here = pair(1.0, 2.0, 3.0)
    seen = list(leaves(here))
    write(here, pair(4.0, 5.0, 6.0))
    assert [leaf.item() for leaf in seen] == [4.0, 5.0, 6.0]


def test_more_or_fewer_tensors_are_refused():
    with pytest.raises(ValueError, match="shorter"):
        write(pair(1.0, 2.0, 3.0), pair(1.0, 2.0, 3.0)._replace(first=None))
