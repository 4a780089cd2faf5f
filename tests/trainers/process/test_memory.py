"""The peak is of what came after it was forgotten."""

import subprocess
import sys

PROGRAM = """
import numpy as np
from trainers.process.memory import forget_peak, peak_bytes
size = 2**27
forget_peak("cpu")
before = peak_bytes("cpu")
large = np.ones(size, dtype=np.uint8)
peak = peak_bytes("cpu")
del large
kept = peak_bytes("cpu")
forget_peak("cpu")
print(*((found - before) / size for found in (peak, kept, peak_bytes("cpu"))))
"""


def test_the_peak_of_a_process_is_that_since_it_was_forgotten():
    """In a process of its own: one that keeps what it has freed may have had room for it all along."""
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    peak, kept, forgotten = map(float, done.stdout.split())
    assert 0.9 < peak < 1.2
    assert abs(kept - peak) < 0.1  # the kernel counts pages in bundles
    assert forgotten < 0.5
