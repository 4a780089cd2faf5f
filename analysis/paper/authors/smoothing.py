"""The moving averages by which the authors turned evaluations into curves, taken from their released notebooks.

All averages are linear, so seeds may be averaged before or after.
"""

from collections.abc import Sequence

import numpy as np

RAW = 5
"""Number of evaluations at the start of a curve that are drawn without smoothing."""

Curve = Sequence[float] | np.ndarray


def smoothed(values: Curve, width: int) -> np.ndarray:
    """Return the drawn curve (len - `width` + 1,): 5 raw points, then means of each point and the `width` - 1 after it.

    Raises ValueError for fewer than 5 + `width` evaluations.
    """
    values = np.asarray(values, dtype=np.float64)
    if len(values) < RAW + width:
        raise ValueError(f"{len(values)} evaluations are too few for a moving average of {width}")
    forward = np.lib.stride_tricks.sliding_window_view(values, width).mean(axis=1)
    return np.concatenate([values[:RAW], forward[RAW:]])


def mixed(trained: Curve, zeroed: Curve, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the drawn Omniglot curves of the trained and of the zeroed head; each mixes in values of the other.

    The rows of the authors' file alternate between the two heads. They smoothed the file before they took every second
    row, so a window of 5 averages 3 values of one head and 2 of the other. Raises ValueError for unequal lengths.
    """
    if len(trained) != len(zeroed):
        raise ValueError(f"{len(trained)} evaluations as trained don't pair with {len(zeroed)} zeroed")
    rows = np.stack([trained, zeroed], axis=1).reshape(-1)
    drawn = smoothed(rows, width)
    return drawn[0::2], drawn[1::2]
