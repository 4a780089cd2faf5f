"""How the authors turned evaluations into curves: which moving average, and where along the abscissa.

Seen in the notebooks of their release. All averages are linear, so it doesn't matter whether seeds are averaged before
or after.
"""

from collections.abc import Sequence

import numpy as np

RAW = 5
"""Evaluations at a curve's start that are drawn as they are."""

Curve = Sequence[float] | np.ndarray


def smoothed(values: Curve, width: int) -> np.ndarray:
    """Return the drawn curve, shorter by `width` - 1: the first 5 points raw, then the mean of each and those after.

    A curve of fewer than 5 + `width` evaluations raises ValueError.
    """
    values = np.asarray(values, dtype=np.float64)
    if len(values) < RAW + width:
        raise ValueError(f"{len(values)} evaluations are too few to be averaged forward over {width}")
    forward = np.lib.stride_tricks.sliding_window_view(values, width).mean(axis=1)
    return np.concatenate([values[:RAW], forward[RAW:]])


def mixed(trained: Curve, zeroed: Curve, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the drawn Omniglot curves of the head as trained and of the head zeroed, neither of which is pure.

    Their file has the two by turns. They smoothed the file and only then took every second row, so of a window of 5
    the "trained" points hold 3 of their own and 2 of the other head.
    """
    if len(trained) != len(zeroed):
        raise ValueError(f"{len(trained)} evaluations as trained don't pair with {len(zeroed)} zeroed")
    rows = np.stack([trained, zeroed], axis=1).reshape(-1)
    drawn = smoothed(rows, width)
    return drawn[0::2], drawn[1::2]
