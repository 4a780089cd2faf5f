"""How often a slot is queued again without one new step, and what the commands say of one that gave up."""

import json

import pytest

from sweeper.executors.slurm import ending
from sweeper.executors.slurm.ending import MOST_IDLE, queue_again
from sweeper.executors.slurm.queue import Life
from sweeper.executors.slurm.standing import complaints
from sweeper.executors.slurm.submission import Submission

WHY = "others have held trial 0123456789abcdef for 300 s"


@pytest.fixture
def submission(results):
    folder = results.slurm / "000001"
    folder.mkdir(parents=True)
    content = {"form": 1, "token": "sweeper-1", "parts": {"sweeper-1.0": 2}, "options": {}, "trials": []}
    (folder / "submission.json").write_text(json.dumps(content))
    return Submission(folder)


@pytest.fixture
def asked(monkeypatch):
    """Return what Slurm was asked to queue again, by a slot that it calls running."""
    found = []
    monkeypatch.setattr(ending, "ASK_AGAIN_S", 0.0)
    monkeypatch.setattr(ending.commands, "life_of", lambda job: Life(job, "RUNNING", 0, None, 1.0, "a"))
    monkeypatch.setattr(ending.commands, "requeue", lambda job: found.append(job) or "")
    return found


def end(submission, job="7_1", *, progressed=False, said=None):
    queue_again(submission, job, "sweeper-1.0", WHY, (said if said is not None else []).append, progressed=progressed)


def test_a_slot_without_one_new_step_is_queued_again_a_few_times_and_then_says_why_it_ends(submission, asked, results):
    said = []
    for life in range(1, MOST_IDLE):
        end(submission, said=said)
        assert len(asked) == life
    assert complaints(results) == []
    end(submission, said=said)
    assert len(asked) == MOST_IDLE - 1
    (told,) = complaints(results)
    assert told in said[-1] and told.startswith("slot sweeper-1.0-1 has had 5 lives in a row without one new step")
    assert WHY in told and "the same `sweeper run` submits what is left" in told


def test_one_new_step_begins_the_count_again(submission, asked, results):
    for _ in range(4):
        for _ in range(MOST_IDLE - 1):
            end(submission)
        end(submission, progressed=True)
    assert len(asked) == 4 * MOST_IDLE
    assert complaints(results) == []


def test_each_slot_counts_its_own_lives(submission, asked, results):
    for _ in range(MOST_IDLE - 1):
        end(submission, "7_0")
        end(submission, "7_1")
    assert len(asked) == 2 * (MOST_IDLE - 1)


def test_a_slot_that_submits_itself_is_counted_on_under_its_new_job(submission, asked, results, monkeypatch):
    new = iter(range(8, 99))
    monkeypatch.setattr(ending.commands, "requeue", lambda job: "Requested operation is presently disabled")
    monkeypatch.setattr(ending, "resubmitted", lambda submission, index, part: f"{next(new)}_{index}")
    for job in range(7, 7 + MOST_IDLE):
        end(submission, f"{job}_1")
    assert next(new) == 8 + MOST_IDLE - 1
    assert len(complaints(results)) == 1


def test_a_slurm_that_does_not_answer_makes_no_life_count_twice(submission, asked, results, monkeypatch):
    answers = iter([ending.SlurmError("no answer")] * 3 + [""])

    def requeue(job):
        answer = next(answers)
        if answer:
            raise answer
        return answer

    monkeypatch.setattr(ending.commands, "requeue", requeue)
    end(submission)
    assert submission.idle("sweeper-1.0-1").read_text().count("\n") == 1


def test_what_slurm_queues_again_itself_is_not_counted(submission, asked, monkeypatch):
    monkeypatch.setattr(ending.commands, "life_of", lambda job: Life(job, "COMPLETING", 0, None, 1.0, "a"))
    for _ in range(2 * MOST_IDLE):
        end(submission)
    assert not submission.idle("sweeper-1.0-1").exists() and asked == []
