"""The folder of a submission: whole or absent, one for each number."""

import json
import os
import time

import pytest

from sweeper.executors.slurm.submission import Answer, Submission, covered, publish, submissions
from sweeper.results.paths import ResultsError

CONTENT = {
    "form": 1,
    "token": "sweeper-1",
    "parts": {"sweeper-1.0": 3, "sweeper-1.1": 2},
    "asked": {"token": "abc"},
    "trials": [{"trial_id": "x", "target": 5}, {"trial_id": "y", "target": 0}, {"trial_id": "x", "target": 9}],
}


def test_it_appears_whole_under_the_next_number(results):
    found = publish(results, 0, CONTENT, "#!/bin/bash\n")
    assert found.folder == results.slurm / "000001"
    assert found.content == CONTENT
    assert found.names == ["sweeper-1.0", "sweeper-1.1"]
    assert found.script.read_text() == "#!/bin/bash\n"
    assert (found.nodes / "token").read_text() == "abc"
    assert found.results == results
    assert [path.name for path in results.slurm.iterdir()] == ["000001"]


def test_one_of_two_commands_has_the_number(results):
    assert publish(results, 0, CONTENT, "one") is not None
    assert publish(results, 0, CONTENT, "two") is None
    assert [one.script.read_text() for one in submissions(results)] == ["one"]
    assert [path.name for path in results.slurm.iterdir()] == ["000001"]
    assert publish(results, 1, CONTENT, "two").number == 2


def test_answers_are_kept_line_by_line_and_a_torn_one_is_passed_over(results):
    found = publish(results, 0, CONTENT, "")
    assert not found.answered
    found.note("sweeper-1.0", "17")
    with (found.folder / "jobs.jsonl").open("a") as file:
        file.write('{"part": "sweeper-1.1", "jo')
    assert found.answers() == [Answer("sweeper-1.0", "17")]
    assert not found.answered


def test_all_arrays_are_answered(results):
    found = publish(results, 0, CONTENT, "")
    found.note("sweeper-1.0", "17")
    found.note("sweeper-1.1", "18")
    assert found.answered


def test_past_submissions_are_left_out(results):
    publish(results, 0, CONTENT, "").over_mark.touch()
    publish(results, 1, CONTENT, "")
    assert [one.number for one in submissions(results)] == [2]
    assert [one.number for one in submissions(results, every=True)] == [1, 2]


def test_the_age_is_that_of_the_file_system(results):
    found = publish(results, 0, CONTENT, "")
    then = time.time() - 100
    os.utime(found.folder / "submission.json", (then, then))
    assert 99 < found.age_s() < 160


def test_a_trial_is_covered_to_its_longest_target():
    assert covered(CONTENT) == {"x": 9, "y": 0}


@pytest.mark.parametrize("text", ["", "[]", json.dumps(CONTENT | {"form": 2})])
def test_what_is_no_submission_is_told(results, text):
    folder = results.slurm / "000001"
    folder.mkdir(parents=True)
    (folder / "submission.json").write_text(text)
    with pytest.raises(ResultsError, match=r"000001/submission.json: is no submission"):
        _ = Submission(folder).content
