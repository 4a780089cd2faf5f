"""The peak is of what came after it was forgotten."""

import numpy as np

from trainers.memory import forget_peak, peak_bytes


def test_the_peak_of_a_process_is_that_since_it_was_forgotten():
    forget_peak("cpu")
    before = peak_bytes("cpu")
    large = np.ones(2**27, dtype=np.uint8)
    peak = peak_bytes("cpu")
    assert peak - before > 0.9 * large.nbytes
    del large
    assert peak_bytes("cpu") > peak - 2**23  # the kernel counts pages in bundles
    forget_peak("cpu")
    assert peak_bytes("cpu") < peak - 2**26
