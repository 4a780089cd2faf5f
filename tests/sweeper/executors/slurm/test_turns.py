"""Whose turn it is to go on with a search, also where locks exclude nobody."""

import random

import pytest

from sweeper.executors.slurm.holders import SIGNED_S, Owner
from sweeper.executors.slurm.turns import TurnLostError, Turns
from sweeper.results.locks import Lock

OWN = Owner("sweeper-1", "7_0", 0, "a", "host", 11)
OTHER = OWN._replace(job="7_1", node="b")


@pytest.fixture
def paths(results):
    return results.search("0123456789abcdef")


@pytest.fixture
def dead():
    """Return the slots that Slurm takes for dead."""
    return set()


@pytest.fixture
def of(paths, dead):
    now_s = [0.0]

    def made(own):
        return Turns(paths, own, lambda owner: owner not in dead and owner != own, lambda: now_s[0])

    made.now_s = now_s
    return made


@pytest.fixture
def no_locks(monkeypatch):
    monkeypatch.setattr("fcntl.flock", lambda *_: None)


def test_one_slot_at_a_time_has_a_turn_where_locks_lie(of, no_locks):
    one, two = of(OWN), of(OTHER)
    assert one.take() and not two.take()
    one.release()
    assert two.take() and not one.take()
    two.release()


def test_a_run_that_has_the_lock_has_the_search(of, paths):
    lock = Lock(paths)
    assert lock.take() and not of(OWN).take()
    lock.release()
    assert of(OWN).take()


def test_the_turn_of_a_slot_that_is_dead_is_over_and_the_dead_one_knows_it(of, dead, no_locks):
    one, two = of(OWN), of(OTHER)
    assert one.take()
    one.check()
    dead.add(OWN)
    assert two.take()
    with pytest.raises(TurnLostError, match="another slot has gone on with this search"):
        one.check()
    one.release()
    two.check()
    two.release()
    for _ in range(3):  # what was before is removed, and a ghost still knows that it has lost its turn
        assert two.take()
        two.release()
    with pytest.raises(TurnLostError):
        one.check()


def test_a_turn_without_a_name_is_waited_for_and_then_passed_over(of, paths, no_locks):
    paths.turn(1).mkdir(parents=True)
    slot = of(OWN)
    assert not slot.take()
    of.now_s[0] += SIGNED_S + 1
    assert slot.take()


def test_only_the_last_turn_is_kept(of, paths, no_locks):
    slot = of(OWN)
    for _ in range(5):
        assert slot.take()
        slot.release()
    assert [path.name for path in paths.turns.iterdir()] == ["5"]


def test_a_slot_that_looked_long_ago_takes_no_turn_that_is_past(of, paths, no_locks, monkeypatch):
    one, two = of(OWN), of(OTHER)
    for _ in range(3):
        assert two.take()
        two.release()
    looks = [[1], None]
    monkeypatch.setattr(one, "_numbers", lambda: looks.pop(0) or Turns._numbers(one))
    assert not one.take()  # it has seen turn 1 alone, and turn 2 is free again
    assert [path.name for path in paths.turns.iterdir()] == ["3"]


@pytest.mark.parametrize("seed", range(5))
def test_turns_never_overlap(of, no_locks, seed):
    draws, slots, having = random.Random(seed), [of(OWN._replace(job=f"7_{n}")) for n in range(4)], None
    for _ in range(200):
        slot = draws.choice(slots)
        if slot is having:
            slot.release()
            having = None
        else:
            assert slot.take() is (having is None)
            having = having or slot
