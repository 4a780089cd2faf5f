"""Pushes journals to a tracking store, during a run or after it, and never delays training.

Knows no particular store: a tracker is any object that takes records.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Generic, NamedTuple, Protocol, TypeVar

from analysis.contract.record import TrialRecord
from sweeper.errors import SweepError, TrackingError
from sweeper.tracking import pushing_thread
from sweeper.tracking.run_contents import TrackedTrial

FAILURES_IN_A_ROW = 3

logger = logging.getLogger(__name__)


class Tracker(Protocol):
    """A view of trials. Pushing a record again, or an older record before it, leaves the same view."""

    @property
    def deleted(self) -> list[str]:
        """Ids of trials that someone deleted from the view. They stay deleted."""

    def push(self, record: TrialRecord, trial: TrackedTrial) -> None:
        """Bring the view of the trial up to `record`. Raises TrackingError."""


AnyTracker = TypeVar("AnyTracker", bound=Tracker)


class SyncReport(NamedTuple):
    """What `sync_all` did: the ids of trials; `failed` says why for each id."""

    pushed: tuple[str, ...]
    deleted: tuple[str, ...]
    failed: Mapping[str, str]


def sync_all(tracker: Tracker, read: Callable[[str], TrialRecord], trials: Iterable[TrackedTrial]) -> SyncReport:
    """Push every trial once. After three failures in a row the store counts as lost, and the rest as failed."""
    pushed, failed, in_a_row = list[str](), dict[str, str](), 0
    for trial in trials:
        if in_a_row == FAILURES_IN_A_ROW:
            failed[trial.trial_id] = next(reversed(failed.values()))
            continue
        try:
            tracker.push(read(trial.trial_id), trial)
        except TrackingError as error:
            failed[trial.trial_id] = str(error)
            in_a_row += 1
        except SweepError as error:  # a damaged journal says nothing about the store
            failed[trial.trial_id] = str(error)
        else:
            pushed.append(trial.trial_id)
            in_a_row = 0
    deleted = tuple(trial_id for trial_id in pushed if trial_id in set(tracker.deleted))
    return SyncReport(tuple(trial_id for trial_id in pushed if trial_id not in deleted), deleted, failed)


class Syncer(Generic[AnyTracker]):
    """Pushes noted trials from its own thread. Whatever the tracker does, the caller never waits or fails.

    After a failure the thread waits `first_wait_s`, then twice as long, and so on up to `longest_wait_s`, for as long
    as the run lives. Between rounds it waits `pace_s`; a trial that is noted many times meanwhile is pushed once.
    """

    def __init__(
        self,
        connect: Callable[[], AnyTracker],
        read: Callable[[str], TrialRecord],
        trials: Mapping[str, TrackedTrial],
        *,
        pace_s: float = 1.0,
        first_wait_s: float = 2.0,
        longest_wait_s: float = 60.0,
        last: Callable[[AnyTracker], None] | None = None,
    ) -> None:
        """`connect`, `read` and `last` are called in the thread, so a slow store delays nobody else.

        `last` is called once, at the end, if every trial is shown: it shows what needs all of them.
        """
        self._connect = connect
        self._read = read
        self._trials = dict(trials)
        self._last = last
        self._pace_s = pace_s
        self._first_wait_s = first_wait_s
        self._longest_wait_s = longest_wait_s
        self._noted: dict[str, int] = {}  # trial -> how often it was noted since it was last up to date
        self._broken: dict[str, str] = {}
        self._trouble: str | None = None
        self._tracker: AnyTracker | None = None
        self.late = False  # whether the thread was still at work when the view was closed
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._abandoned = threading.Event()
        self._thread = threading.Thread(target=self._work, name=pushing_thread.NAME, daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def add(self, trial: TrackedTrial) -> None:
        """Show one more trial, or show it otherwise from now on."""
        self._trials[trial.trial_id] = trial

    def shows(self, trial_id: str) -> bool:
        """Return whether the trial belongs to this view."""
        return trial_id in self._trials

    def note(self, trial_id: str) -> None:
        """Note that the journal of `trial_id` has new lines. Returns at once."""
        with self._lock:
            self._noted[trial_id] = self._noted.get(trial_id, 0) + 1

    @property
    def problem(self) -> str | None:
        """Why the view is behind now, as a sentence; None if there is no problem."""
        return self._trouble or next(iter(self._broken.values()), None)

    @property
    def deleted(self) -> list[str]:
        """Trials of this view that someone deleted from it, as far as the store was asked."""
        return [] if self._tracker is None else [found for found in self._tracker.deleted if self.shows(found)]

    def begin_to_close(self) -> None:
        """Start the last push without waiting for it."""
        self._closing.set()

    def close(self, timeout_s: float) -> int:
        """Push each noted trial once, for at most `timeout_s` seconds; return how many trials are still behind."""
        self.begin_to_close()
        self._thread.join(timeout_s)
        self._abandoned.set()
        self.late = self._thread.is_alive()
        with self._lock:
            return len(self._noted.keys() | self._broken.keys())

    def _work(self) -> None:
        pause_s, wait_s = 0.0, self._first_wait_s
        while not self._closing.wait(pause_s):
            if self._push_noted():
                pause_s, wait_s = self._pace_s, self._first_wait_s
            else:
                pause_s, wait_s = wait_s, min(2 * wait_s, self._longest_wait_s)
        if self._push_noted() and self._tracker is not None and not self._broken and not self._abandoned.is_set():
            self._conclude(self._tracker)

    def _conclude(self, tracker: AnyTracker) -> None:
        try:
            if self._last is not None:
                self._last(tracker)
        except (SweepError, OSError) as error:
            self._trouble = str(error)

    def _push_noted(self) -> bool:
        """Push each noted trial once; stop at the first failure. Return whether there was none.

        The last push goes on after a failure, so that one refused trial stops no other. It stops if the store can't be
        opened or refuses several trials in a row.
        """
        trouble, in_a_row = None, 0
        with self._lock:
            waiting = dict(self._noted)
        for trial_id, notes in waiting.items():
            given_up = in_a_row == FAILURES_IN_A_ROW or self._tracker is None or not self._closing.is_set()
            if self._abandoned.is_set() or (trouble and given_up):
                break
            try:
                self._push(trial_id)
            except TrackingError as error:
                trouble = str(error)
                in_a_row += 1
                self._put_last(trial_id)
            else:
                in_a_row = 0
                self._settle(trial_id, notes)
        self._trouble = trouble
        return trouble is None

    def _push(self, trial_id: str) -> None:
        try:
            if self._tracker is None:
                self._tracker = self._connect()
            self._tracker.push(self._read(trial_id), self._trials[trial_id])
        except TrackingError:
            raise
        except Exception as error:  # the thread's boundary: one journal that can't be read must not stop the others
            logger.exception("trial %s can't be shown in the tracking store", trial_id)
            self._broken[trial_id] = f"trial {trial_id} can't be shown in the tracking store: {error}"
        else:
            self._broken.pop(trial_id, None)

    def _put_last(self, trial_id: str) -> None:
        """Move a refused trial to the end, so that it can't block the others."""
        with self._lock:
            self._noted[trial_id] = self._noted.pop(trial_id)

    def _settle(self, trial_id: str, notes: int) -> None:
        """Remove the notes that the push has covered. A note that came during the push stays."""
        with self._lock:
            self._noted[trial_id] -= notes
            if not self._noted[trial_id]:
                del self._noted[trial_id]


class Views:
    """The syncers of one run, one for each sweep. A trial goes to every sweep that names it."""

    def __init__(self, syncers: Sequence[Syncer]) -> None:
        self._syncers = syncers

    def start(self, begun: Iterable[str]) -> None:
        """Start every thread, and note the trials in `begun`, which have a journal already."""
        for syncer in self._syncers:
            syncer.start()
        for trial_id in begun:
            self.note(trial_id)

    def add(self, number: int, trial: TrackedTrial) -> None:
        """Show one more trial in the view of the sweep `number`, counted from 0."""
        self._syncers[number].add(trial)

    def note(self, trial_id: str) -> None:
        """Note that the journal of `trial_id` has new lines. Returns at once."""
        for syncer in self._syncers:
            if syncer.shows(trial_id):
                syncer.note(trial_id)

    @property
    def problem(self) -> str | None:
        """Why a view is behind now, as a sentence; None if there is no problem."""
        return next((syncer.problem for syncer in self._syncers if syncer.problem), None)

    @property
    def late(self) -> bool:
        """Whether a view was closed before its last push had ended, without any problem."""
        return self.problem is None and any(syncer.late for syncer in self._syncers)

    @property
    def deleted(self) -> list[str]:
        """Ids of trials that someone deleted from a view. They stay deleted there."""
        return [trial_id for syncer in self._syncers for trial_id in syncer.deleted]

    def close(self, timeout_s: float) -> int:
        """Push what is noted, for at most `timeout_s` seconds in all; return how many trials are still behind."""
        for syncer in self._syncers:
            syncer.begin_to_close()
        ends_s = time.monotonic() + timeout_s
        return sum(syncer.close(max(ends_s - time.monotonic(), 0.0)) for syncer in self._syncers)
