"""Independent, named random streams from one root seed.

A stream depends on its name, never on what was drawn before. So an episode is a pure function of (seed, split, step),
and a change to one stream (no bias, a zero head) leaves every other bit-equal.
"""

import hashlib

import numpy as np


def stream(seed: int, *name: str | int) -> np.random.Generator:
    """Return the generator of stream `name` under `seed`; equal arguments give equal draws in any process."""
    key = hashlib.sha256("/".join(map(str, (seed, *name))).encode()).digest()[:16]
    return np.random.Generator(np.random.Philox(key=int.from_bytes(key, "little")))
