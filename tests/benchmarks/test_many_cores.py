"""The simulation of many workers agrees with what is known without it."""

import pytest

from benchmarks.many_cores import MACHINES, aggregate, steps_s


def test_workers_that_never_wait_are_as_many_times_one():
    one = steps_s(1.0, 1e9, 1, 1e12, 1e9)
    assert one == pytest.approx(1 / 2, rel=0.05)  # a second of computing, a second of moving
    assert steps_s(1.0, 1e9, 10, 1e12, 1e9) == pytest.approx(10 * one, rel=0.05)


def test_bandwidth_is_never_exceeded_and_nearly_used_by_many():
    for workers in (1, 7, 50, 200):
        assert steps_s(1.0, 1e9, workers, 20e9, 5e9) <= 20 * 1.001
    assert steps_s(1.0, 1e9, 200, 20e9, 5e9) == pytest.approx(20, rel=0.02)


def test_nothing_to_move_is_limited_by_nothing():
    assert steps_s(2.0, 0.0, 8, 1.0, 1.0) == pytest.approx(4, rel=0.05)


def test_arrays_on_another_node_are_no_faster():
    two = MACHINES[0]
    local, remote = (aggregate(two, 0.3, 5e9 / 3, 64, remote=remote) for remote in (False, True))
    assert remote < local
