"""The sync thread: the driver never waits or fails, and nothing noted is lost while the tracker comes and goes."""

import threading
import time
from itertools import pairwise

import pytest

from analysis.contract.record import TrialRecord
from sweeper.errors import SweepError, TrackingError
from sweeper.tracking.run_contents import TrackedTrial
from sweeper.tracking.syncer import FAILURES_IN_A_ROW, Syncer, sync_all
from tests.waiting import HANG_S, wait_until
from trainers.maml.trainer import MAML

TRIALS = {name: TrackedTrial(trial_id=name, name=name, sweep="demo", labels={}, trainer=MAML) for name in "abcdef"}


class Journals:
    """Records that grow as a driver would let them; only the parts the thread looks at."""

    def __init__(self) -> None:
        self.steps = dict.fromkeys(TRIALS, 0)

    def read(self, trial_id: str) -> TrialRecord:
        return {"trial_id": trial_id, "step": self.steps[trial_id]}  # type: ignore[typeddict-item]


class FakeTracker:
    """Keeps what it is given; fails `failures` times first, always for the trials in `refused`."""

    def __init__(self, failures: int = 0, refused: str = "") -> None:
        self.deleted: list[str] = []
        self.shown: dict[str, int] = {}
        self.pushes = 0
        self.tried = 0
        self._failures = failures
        self._refused = refused

    def push(self, record: TrialRecord, trial: TrackedTrial) -> None:
        self.tried += 1
        if self.tried <= self._failures or trial.trial_id in self._refused:
            raise TrackingError(f"attempt {self.tried} refused")
        self.pushes += 1
        self.shown[trial.trial_id] = record["step"]


def make_syncer(tracker: FakeTracker, journals: Journals, *, first_wait_s: float = 0.01) -> Syncer:
    """Return a started syncer that hardly rests."""
    syncer = Syncer(lambda: tracker, journals.read, TRIALS, pace_s=0.01, first_wait_s=first_wait_s, longest_wait_s=0.04)
    syncer.start()
    return syncer


def test_the_newest_record_of_every_noted_trial_is_shown() -> None:
    tracker, journals = FakeTracker(), Journals()
    syncer = make_syncer(tracker, journals)
    for step in range(1, 200):
        for trial_id in "abc":
            journals.steps[trial_id] = step
            syncer.note(trial_id)
    assert syncer.close(HANG_S) == 0
    assert tracker.shown == {"a": 199, "b": 199, "c": 199}


def test_notes_that_pile_up_cost_one_push() -> None:
    tracker, journals = FakeTracker(), Journals()
    syncer = Syncer(lambda: tracker, journals.read, TRIALS)
    for _ in range(1000):
        syncer.note("a")
    syncer.start()
    wait_until(lambda: tracker.pushes > 0)
    assert syncer.close(HANG_S) == 0
    assert tracker.pushes == 1


def test_a_note_that_comes_during_a_push_is_not_lost() -> None:
    journals, pushing, may_end = Journals(), threading.Event(), threading.Event()

    class SlowTracker(FakeTracker):
        def push(self, record: TrialRecord, trial: TrackedTrial) -> None:
            pushing.set()
            may_end.wait(HANG_S)
            super().push(record, trial)

    tracker = SlowTracker()
    syncer = make_syncer(tracker, journals)
    syncer.note("a")
    pushing.wait(HANG_S)
    journals.steps["a"] = 7
    syncer.note("a")
    may_end.set()
    wait_until(lambda: tracker.shown.get("a") == 7)
    assert syncer.close(HANG_S) == 0


def test_a_tracker_that_comes_back_gets_everything() -> None:
    tracker, journals = FakeTracker(failures=5), Journals()
    syncer = make_syncer(tracker, journals)
    journals.steps["a"] = journals.steps["b"] = 3
    syncer.note("a")
    syncer.note("b")
    wait_until(lambda: syncer.problem is not None)
    wait_until(lambda: syncer.problem is None)
    assert syncer.close(HANG_S) == 0
    assert tracker.shown == {"a": 3, "b": 3}


def test_a_store_that_can_not_be_opened_is_tried_again() -> None:
    tracker, journals, tries = FakeTracker(), Journals(), []

    def connect() -> FakeTracker:
        tries.append(time.monotonic())
        if len(tries) < 4:
            raise TrackingError("nobody answers")
        return tracker

    syncer = Syncer(connect, journals.read, TRIALS, pace_s=0.01, first_wait_s=0.05, longest_wait_s=0.1)
    syncer.start()
    syncer.note("a")
    wait_until(lambda: syncer.problem == "nobody answers")
    wait_until(lambda: tracker.pushes == 1)
    waits_s = [later - earlier for earlier, later in pairwise(tries)]
    assert waits_s[0] >= 0.05
    assert min(waits_s[1:]) >= 0.1  # doubled once, then at its longest
    assert syncer.close(HANG_S) == 0


def test_while_the_tracker_is_down_the_driver_neither_waits_nor_fails() -> None:
    tracker, journals = FakeTracker(refused="abcdef"), Journals()
    syncer = make_syncer(tracker, journals, first_wait_s=HANG_S)
    for _ in range(1000):
        for trial_id in TRIALS:
            syncer.note(trial_id)
    wait_until(lambda: tracker.tried > 0)
    assert syncer.close(2 * HANG_S) == len(TRIALS)  # whoever waited for the tracker would not get here
    assert "refused" in str(syncer.problem)


def test_one_trial_that_is_refused_holds_nobody_up() -> None:
    tracker, journals = FakeTracker(refused="a"), Journals()
    syncer = make_syncer(tracker, journals)
    for trial_id in TRIALS:
        syncer.note(trial_id)
    wait_until(lambda: tracker.shown.keys() == set("bcdef"))
    assert syncer.close(HANG_S) == 1


def test_a_record_that_can_not_be_read_is_reported_and_holds_nobody_up(caplog: pytest.LogCaptureFixture) -> None:
    tracker, journals = FakeTracker(), Journals()
    del journals.steps["a"]
    syncer = make_syncer(tracker, journals)
    syncer.note("a")
    syncer.note("b")
    wait_until(lambda: tracker.shown.keys() == {"b"})
    assert syncer.close(HANG_S) == 1
    assert "trial a can't be shown" in str(syncer.problem)
    assert "KeyError" in caplog.text


def test_close_gives_up_at_its_timeout_and_counts_what_is_left() -> None:
    stuck = threading.Event()

    class StuckTracker(FakeTracker):
        def push(self, record: TrialRecord, trial: TrackedTrial) -> None:
            stuck.wait(HANG_S)
            super().push(record, trial)

    tracker, journals = StuckTracker(), Journals()
    syncer = make_syncer(tracker, journals)
    for trial_id in "abc":
        syncer.note(trial_id)
    assert (syncer.close(0.2), syncer.late, syncer.problem) == (3, True, None)
    assert tracker.pushes == 0  # so the wait ended while the first push was stuck
    stuck.set()
    wait_until(lambda: tracker.pushes == 1)
    time.sleep(0.05)
    assert tracker.pushes == 1  # it doesn't go on behind the driver's back


def test_sync_all_reports_what_was_pushed_deleted_and_refused() -> None:
    tracker, journals = FakeTracker(refused="b"), Journals()
    tracker.deleted.append("c")
    report = sync_all(tracker, journals.read, TRIALS.values())
    assert report.pushed == ("a", "d", "e", "f")
    assert report.deleted == ("c",)
    assert report.failed == {"b": "attempt 2 refused"}


def test_a_journal_that_can_not_be_believed_is_no_fault_of_the_store() -> None:
    def read(trial_id: str) -> TrialRecord:
        if trial_id != "f":
            raise SweepError(f"{trial_id}: torn")
        return Journals().read(trial_id)

    report = sync_all(FakeTracker(), read, TRIALS.values())
    assert report.pushed == ("f",)
    assert report.failed == {name: f"{name}: torn" for name in "abcde"}


def test_sync_all_gives_a_dead_store_up() -> None:
    tracker, journals = FakeTracker(refused="abcdef"), Journals()
    report = sync_all(tracker, journals.read, TRIALS.values())
    assert report.failed.keys() == TRIALS.keys()
    assert tracker.tried == FAILURES_IN_A_ROW
