"""Who trains a trial, by the names in the folders of attempts and by what Slurm says."""

import json

import pytest

from sweeper.executors.slurm import holders
from sweeper.executors.slurm.commands import SlurmError
from sweeper.executors.slurm.holders import MOST_LOST, SIGNED_S, Holders, Owner, open_attempt, owner_of
from sweeper.executors.slurm.queue import Life
from sweeper.executors.slurm.submission import Submission
from sweeper.results.journal import Journal

TRIAL = "0123456789abcdef"
OWN = Owner("sweeper-1", "7_0", 0, "a", "host", 11)
OTHER = OWN._replace(job="7_1", node="b")


class Clock:
    now_s = 0.0

    def __call__(self):
        return self.now_s


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def lives():
    """Return what Slurm knows, by element; an exception is raised instead."""
    return {}


@pytest.fixture
def paths(results):
    return results.trial(TRIAL)


@pytest.fixture
def of(results, clock, lives):
    folder = results.slurm / "000001"
    (folder / "stopped").mkdir(parents=True)
    content = {"form": 1, "token": "sweeper-1", "parts": {}, "trials": [{"trial_id": TRIAL, "attempt": 0}]}
    (folder / "submission.json").write_text(json.dumps(content))
    asked = []

    def ask(job):
        asked.append(job)
        if isinstance(lives.get(job), Exception):
            raise lives[job]
        return lives.get(job)

    def made(own=OWN):
        return Holders(own, Submission(folder), ask, clock)

    made.asked = asked
    return made


def begin(paths, owner, *lines):
    """Take the next attempt for `owner`, and journal it with `lines`."""
    journal = Journal(paths.journal)
    number = journal.claim()
    if owner is not None:
        paths.owner(number).write_text(json.dumps(owner._asdict()))
    journal.open_attempt({"trial_id": TRIAL})
    for line in lines:
        if line == "record":
            journal.add(number, [(1, f"k{number}", {"x": 1})])
        else:
            journal.end(number, line, step=1)
    return number


def life(state="RUNNING", restarts=0, job="7_1"):
    return Life(job, state, restarts, None, 1.0, "b")


def test_a_trial_that_nobody_began_is_free(of, paths):
    assert of().holder(paths) == ""
    assert open_attempt(paths) == 0


@pytest.mark.parametrize(
    ("known", "held"),
    [
        (life(), True),
        (life(state="COMPLETING", restarts=1), True),
        (life(restarts=1), False),  # it was queued again, and its new life has not begun this attempt
        (life(state="PENDING"), False),
        (life(state="COMPLETED"), False),
        (None, False),
        (SlurmError("no answer"), True),
    ],
)
def test_an_attempt_belongs_to_a_slot_as_long_as_slurm_says_that_it_lives(of, paths, lives, known, held):
    begin(paths, OTHER, "record")
    lives["7_1"] = known
    assert bool(of().holder(paths)) is held
    assert of().in_a_slot(paths) is (held and not isinstance(known, Exception))


def test_a_slot_that_lived_a_moment_ago_is_not_asked_about_again_and_one_that_is_gone_is(of, paths, lives, clock):
    begin(paths, OTHER)
    lives["7_1"] = life()
    found = of()
    assert found.holder(paths) == found.holder(paths) == "job 7_1 on b"
    assert of.asked == ["7_1"]
    clock.now_s += holders.REMEMBER_S + 1
    lives["7_1"] = None
    assert found.holder(paths) == ""


def test_an_ended_attempt_is_free(of, paths, lives):
    begin(paths, OTHER, "record", "interrupted")
    lives["7_1"] = life()
    assert of().holder(paths) == ""


def test_an_earlier_life_of_the_same_slot_is_over_and_a_later_one_is_obeyed(of, paths):
    begin(paths, OWN._replace(restarts=1))
    assert of(OWN._replace(restarts=2)).holder(paths) == ""
    assert of(OWN).holder(paths) == "job 7_0 on a"
    assert of.asked == []


def test_an_attempt_that_a_run_without_slots_began_is_left_to_the_lock(of, paths):
    begin(paths, None, "record")
    assert of().holder(paths) == ""


def test_an_attempt_without_a_line_and_a_name_is_waited_for(of, paths, clock):
    paths.attempt(1).mkdir(parents=True)
    found = of()
    assert found.holder(paths) == "a process that has just taken attempt 1"
    clock.now_s += SIGNED_S + 1
    assert found.holder(paths) == ""


def test_who_takes_an_attempt_signs_it(of, paths):
    number = Journal(paths.journal).claim()
    of().taken(paths, number)
    assert owner_of(paths, number) == OWN


def test_a_trial_that_ends_every_slot_is_left_alone(of, paths):
    begin(paths, OTHER, "record")
    for _ in range(MOST_LOST):
        assert of().barred(paths) == ""
        begin(paths, OTHER)
    assert "4 slots were lost" in of().barred(paths)
    begin(paths, OTHER, "record")  # a record is progress
    assert of().barred(paths) == ""


def test_the_slots_of_another_submission_do_not_count(of, paths):
    for _ in range(MOST_LOST):
        begin(paths, OTHER._replace(token="sweeper-0"))
    assert of().barred(paths) == ""


def test_what_failed_since_it_was_submitted_stays_failed(of, paths):
    begin(paths, OTHER, "failed")
    assert of().barred(paths) == "failed since it was submitted"


def test_what_a_person_stopped_is_left_alone(of, paths):
    found = of()
    found._submission.stopped(TRIAL).touch()
    assert found.barred(paths) == "stopped by `sweeper stop`"
