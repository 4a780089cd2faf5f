"""The journal: first record counts, stale attempts are dropped, torn lines are cut, the fold says where a trial is."""

import errno
import json
from pathlib import Path

import pytest

from sweeper.results.fold import fold
from sweeper.results.journal import Journal, TakenOverError
from sweeper.results.journal_lines import read_lines
from sweeper.results.paths import ResultsError, TrialPaths

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


def test_an_attempt_is_taken_by_a_folder_that_one_driver_alone_can_make(path):
    first, second = Journal(path), Journal(path)  # as where both hold the trial's lock
    first.claim()
    assert first.open_attempt(FACTS) == 1
    (path.parent / "a2").mkdir()  # made by a third, after `second` has looked
    second.attempts = 1
    second._paths = Blind(path.parent)
    with pytest.raises(TakenOverError, match="attempt 2"):
        second.claim()


class Blind(TrialPaths):
    """Paths that were looked at before another driver made a folder."""

    def last_attempt(self) -> int:
        return 1


def test_the_earlier_of_two_drivers_writes_no_more_and_the_later_one_repeats_nothing(path):
    early, late = Journal(path), Journal(path)
    old = early.open_attempt(FACTS)
    assert early.add(old, [(1, "training", TRAINING)]) == 1
    new = late.open_attempt(FACTS)
    assert (old, new) == (1, 2)
    before = path.read_bytes()
    with pytest.raises(TakenOverError, match="attempt 2"):
        early.add(old, [(2, "training", TRAINING)])
    with pytest.raises(TakenOverError, match="attempt 2"):
        early.end(old, "done", step=4)
    assert path.read_bytes() == before
    assert late.add(new, [(1, "training", TRAINING), (2, "training", TRAINING)]) == 1
    assert late.end(new, "done", step=4)
    assert path.read_bytes().count(b'"done"') == 1


def test_a_journal_that_was_replaced_by_a_rerun_elsewhere_gets_no_line_of_the_old_training(path):
    old = Journal(path)
    old.open_attempt(FACTS)
    path.parent.rename(path.parent.with_name("superseded"))
    Journal(path).open_attempt(FACTS | {"seed": 1})
    before = path.read_bytes()
    with pytest.raises(TakenOverError):
        old.end(1, "done", step=4)
    assert path.read_bytes() == before


def test_attempts_count_on_after_a_folder_without_a_line_and_in_folders_of_earlier_versions(path):
    (path.parent / "a3").mkdir(parents=True)
    assert Journal(path).open_attempt(FACTS) == 4
    assert Journal(path).open_attempt(FACTS) == 5


def test_half_a_line_that_could_not_be_taken_back_at_once_is_cut_before_the_next(path, monkeypatch):
    journal = Journal(path)
    attempt = journal.open_attempt(FACTS)
    stale = OSError(errno.ESTALE, "Stale file handle")

    def fails(*arguments):
        raise stale

    real = Path.open
    with monkeypatch.context() as broken:
        broken.setattr("os.fsync", fails)
        broken.setattr(Path, "open", lambda self, *a, **k: Untruncatable(real(self, *a, **k)))
        with pytest.raises(OSError, match=rf"Stale file handle: '{path}'"):
            journal.add(attempt, [(1, "training", TRAINING)])
    with path.open("ab") as file:
        file.truncate(path.stat().st_size - 9)
    assert journal.end(attempt, "interrupted", step=1)
    assert [line["kind"] for line in read_lines(path)] == ["attempt", "interrupted"]


class Untruncatable:
    def __init__(self, file):
        self._file = file

    def __getattr__(self, name):
        return getattr(self._file, name)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._file.close()

    def truncate(self, size):
        raise OSError(errno.ESTALE, "Stale file handle")
