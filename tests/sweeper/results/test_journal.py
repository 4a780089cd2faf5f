"""The journal: first record counts, stale attempts are dropped, torn lines are cut, the fold says where a trial is."""

import errno
import json

import pytest

from sweeper.results.fold import fold
from sweeper.results.journal import Journal
from sweeper.results.journal_lines import read_lines
from sweeper.results.paths import ResultsError

FACTS = {"trial_id": "t", "point": "p", "cell": "c", "seed": 0, "target": 4, "config": {"ways": 5}, "device": "cpu"}
TRAINING = {"query_loss": 1.5, "query_accuracy": 0.25}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "t" / "journal.jsonl"


def test_a_trial_without_an_attempt_folds_to_nothing(path):
    assert fold(path) is None
    Journal(path)
    assert fold(path) is None


def test_the_fold_puts_records_in_order_of_steps_and_the_first_of_each_counts(path):
    journal = Journal(path)
    attempt = journal.open_attempt(FACTS)
    assert journal.add(attempt, [(10, "training", TRAINING), (1, "training", TRAINING)]) == 2
    assert journal.add(attempt, [(10, "training", {"query_loss": 9.0, "query_accuracy": 0.9})]) == 0
    record = fold(path)
    assert record["training"]["step"] == [1, 10]
    assert record["training"]["query_loss"] == [1.5, 1.5]
    assert (record["status"], record["step"], record["target"], record["done_step"]) == ("running", 10, 4, 0)


def test_a_resumed_attempt_adds_only_what_is_new_also_after_reopening(path):
    first = Journal(path)
    first.add(first.open_attempt(FACTS), [(1, "training", TRAINING)])
    second = Journal(path)
    attempt = second.open_attempt(FACTS)
    assert attempt == 2
    assert second.add(attempt, [(1, "training", TRAINING), (2, "training", TRAINING)]) == 1
    assert [line["attempt"] for line in read_lines(path) if line["kind"] == "record"] == [1, 2]


def test_a_past_attempt_can_neither_record_nor_end_a_trial(path):
    journal = Journal(path)
    old = journal.open_attempt(FACTS)
    new = journal.open_attempt(FACTS)
    assert journal.add(old, [(1, "training", TRAINING)]) == 0
    assert not journal.end(old, "done", step=4)
    assert fold(path)["status"] == "running"
    assert journal.end(new, "done", step=4)
    assert fold(path)["done_step"] == 4


def test_evaluations_and_scores_fold_with_their_step_and_time(path):
    journal = Journal(path)
    evaluation = {"split": "test", "episodes": 2, "accuracy": {"trained": [0.2], "zeroed": [0.2]}, "sd": {}}
    scores = {"queries": 75, "correct": {"trained": [[15, 15]], "zeroed": [[15, 15]]}}
    attempt = journal.open_attempt(FACTS)
    journal.add(attempt, [(2, "evaluation", evaluation), (4, "evaluation", evaluation), (4, "scores", scores)])
    record = fold(path)
    assert [found["step"] for found in record["evaluations"]] == [2, 4]
    assert all(found["time_ms"] > 1_600_000_000_000 for found in record["evaluations"])
    assert record["scores"] == {"step": 4, **scores}


@pytest.mark.parametrize("status", ["done", "diverged", "failed", "interrupted"])
def test_each_end_is_the_status_until_another_attempt_begins(path, status):
    journal = Journal(path)
    journal.end(journal.open_attempt(FACTS), status, step=3, message="why")
    assert (fold(path)["status"], fold(path)["message"]) == (status, "why")
    journal.open_attempt(FACTS)
    assert (fold(path)["status"], fold(path)["message"]) == ("running", "")


@pytest.mark.parametrize("kept_bytes", [1, 20, -1])
def test_a_torn_last_line_is_cut_and_the_journal_goes_on(path, kept_bytes):
    journal = Journal(path)
    attempt = journal.open_attempt(FACTS)
    journal.add(attempt, [(1, "training", TRAINING)])
    whole = path.read_bytes()
    journal.add(attempt, [(2, "training", TRAINING)])
    torn = path.read_bytes()[len(whole) :][:kept_bytes]
    path.write_bytes(whole + torn)
    assert fold(path)["training"]["step"] == [1]
    again = Journal(path)
    assert path.read_bytes() == whole
    assert again.add(again.open_attempt(FACTS), [(2, "training", TRAINING)]) == 1
    assert fold(path)["training"]["step"] == [1, 2]
    assert all(json.loads(line) for line in path.read_text().splitlines())


def test_what_is_reported_is_on_disk_first(path, monkeypatch):
    synced = []
    monkeypatch.setattr("os.fsync", lambda descriptor: synced.append(descriptor))
    journal = Journal(path)
    attempt = journal.open_attempt(FACTS)
    journal.add(attempt, [(1, "training", TRAINING)])
    journal.end(attempt, "done", step=4)
    assert len(synced) == 3


def test_a_write_that_fails_half_way_leaves_no_half_line_before_the_next(path, monkeypatch):
    journal = Journal(path)
    attempt = journal.open_attempt(FACTS)
    before = path.read_bytes()
    with monkeypatch.context() as broken:
        broken.setattr("os.fsync", lambda descriptor: (_ for _ in ()).throw(OSError(errno.EIO, "I/O error")))
        with pytest.raises(OSError, match="I/O error"):
            journal.add(attempt, [(1, "training", TRAINING)])
    assert path.read_bytes() == before
    assert journal.add(attempt, [(1, "training", TRAINING)]) == 1
    assert fold(path)["training"]["step"] == [1]


def test_a_line_that_is_none_of_ours_is_named(path):
    journal = Journal(path)
    journal.open_attempt(FACTS)
    path.write_bytes(b"xx" + path.read_bytes())
    with pytest.raises(ResultsError, match=r"journal\.jsonl:1 is not a line of a journal"):
        fold(path)
