"""Random streams against numpy's own generator."""

import hashlib

import numpy as np

from trainers.maml.rng import stream


def test_a_stream_is_philox_keyed_by_the_hash_of_its_seed_and_name():
    key = int.from_bytes(hashlib.sha256(b"3/head/5").digest()[:16], "little")
    expected = np.random.Generator(np.random.Philox(key=key))
    np.testing.assert_array_equal(stream(3, "head", 5).random(4), expected.random(4))
