"""The linear head and its losses: logits, gradient, and the derivative of that gradient along a direction.

Shape letters: B images, N ways, D features. `slope` (B, N) is the derivative of the loss by the logits. For the mean
cross-entropy it is (p - 1{label}) / B with p the softmax, for half the sum of squares logits - 1{label}. Sums are taken
in float64 by numpy's own loops: those of a library of matrices may depend on the number of threads.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, Any]


class Loss(NamedTuple):
    """A loss: (logits, labels) -> (loss, slope), and (slope, labels, tangent of logits) -> tangent of slope."""

    value: Callable[[Array, Array], tuple[float, Array]]
    bend: Callable[[Array, Array, Array], Array]


def logits_of(features: Array, weight: Array, bias: Array | None) -> Array:
    """Return the logits (B, N) in float64."""
    found = np.einsum("bd,nd->bn", features, weight, dtype=np.float64)
    return found if bias is None else found + bias


def weight_gradient(slope: Array, features: Array) -> Array:
    """Return the gradient of the weight (N, D)."""
    return np.einsum("bn,bd->nd", slope, features, dtype=np.float64)


def feature_gradient(slope: Array, weight: Array) -> Array:
    """Return the gradient of the features (B, D)."""
    return np.einsum("bn,nd->bd", slope, weight, dtype=np.float64)


def _cross_entropy(logits: Array, labels: Array) -> tuple[float, Array]:
    shifted = logits - logits.max(axis=1, keepdims=True)
    powers = np.exp(shifted)
    total = powers.sum(axis=1, keepdims=True)
    chosen = np.take_along_axis(shifted, labels[:, None], axis=1)
    return float((np.log(total) - chosen).mean()), (powers / total - _one_hot(labels, logits)) / len(labels)


def _bend_cross_entropy(slope: Array, labels: Array, tlogits: Array) -> Array:
    chance = slope * len(labels) + _one_hot(labels, slope)
    return chance * (tlogits - (chance * tlogits).sum(axis=1, keepdims=True)) / len(labels)


def _squared_error(logits: Array, labels: Array) -> tuple[float, Array]:
    slope = logits - _one_hot(labels, logits)
    return float((slope * slope).sum() / 2), slope


def _one_hot(labels: Array, like: Array) -> Array:
    return (labels[:, None] == np.arange(like.shape[1])).astype(np.float64)


LOSSES = {
    "cross_entropy": Loss(_cross_entropy, _bend_cross_entropy),
    "squared_error": Loss(_squared_error, lambda slope, labels, tlogits: tlogits),
}
