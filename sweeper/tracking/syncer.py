"""Brings a tracking store up to the journals, beside a run or after it, without ever holding training up.

Knows nothing of any store: a tracker is whatever takes records.
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
    """A view of trials. Pushing a record twice, or an older one first, changes nothing."""

    @property
    def deleted(self) -> list[str]:
        """Trials that someone deleted from the view, which stay deleted."""

    def push(self, record: TrialRecord, trial: TrackedTrial) -> None:
        """Show `record`. Raises TrackingError."""


AnyTracker = TypeVar("AnyTracker", bound=Tracker)


class SyncReport(NamedTuple):
    """What `sync_all` did, by trial id; `failed` says why."""

    pushed: tuple[str, ...]
    deleted: tuple[str, ...]
    failed: Mapping[str, str]


def sync_all(tracker: Tracker, read: Callable[[str], TrialRecord], trials: Iterable[TrackedTrial]) -> SyncReport:
    """Push every trial once; after three failures in a row the store is taken for gone and the rest count as failed."""
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
        except SweepError as error:  # a journal that can't be believed is no fault of the store's
            failed[trial.trial_id] = str(error)
        else:
            pushed.append(trial.trial_id)
            in_a_row = 0
    deleted = tuple(trial_id for trial_id in pushed if trial_id in set(tracker.deleted))
    return SyncReport(tuple(trial_id for trial_id in pushed if trial_id not in deleted), deleted, failed)


class Syncer(Generic[AnyTracker]):
    """Pushes noted trials from a thread of its own; whatever the tracker does, the caller never waits or fails.

    A tracker in trouble is tried again after `first_wait_s`, twice that, and so on up to `longest_wait_s`, for as long
    as the run lives. Between rounds the thread rests `pace_s`, and a trial noted many times meanwhile is pushed once.
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

        `last` is called once the end has come and every trial is shown, for what needs them all.
        """
        self._connect = connect
        self._read = read
        self._trials = trials
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

    def shows(self, trial_id: str) -> bool:
        """Return whether the trial belongs to this view."""
        return trial_id in self._trials

    def note(self, trial_id: str) -> None:
        """Say that there is more of `trial_id` in its journal; returns at once."""
        with self._lock:
            self._noted[trial_id] = self._noted.get(trial_id, 0) + 1

    @property
    def problem(self) -> str | None:
        """What keeps the view behind at this moment, as a sentence; None when nothing does."""
        return self._trouble or next(iter(self._broken.values()), None)

    @property
    def deleted(self) -> list[str]:
        """Trials of this view that someone deleted from it, as far as the store was asked."""
        return [] if self._tracker is None else [found for found in self._tracker.deleted if self.shows(found)]

    def begin_to_close(self) -> None:
        """Start on the last push without waiting for it."""
        self._closing.set()

    def close(self, timeout_s: float) -> int:
        """Push what is noted, each trial tried once, for at most `timeout_s`; return how many trials stayed behind."""
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
        """Push each noted trial once; return False at the first trouble.

        If this is the end, one trial that is refused keeps no other back; a store that can't be opened, or refuses
        several in a row, is taken for gone.
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
        """Let others go before a trial that the store won't take, so that one alone can't hold them all up."""
        with self._lock:
            self._noted[trial_id] = self._noted.pop(trial_id)

    def _settle(self, trial_id: str, notes: int) -> None:
        """Forget the notes that the push has covered; one that came during it stands."""
        with self._lock:
            self._noted[trial_id] -= notes
            if not self._noted[trial_id]:
                del self._noted[trial_id]


class Views:
    """The syncers of one run, one for each sweep that shows it; a trial goes to each of those that name it."""

    def __init__(self, syncers: Sequence[Syncer]) -> None:
        self._syncers = syncers

    def start(self, begun: Iterable[str]) -> None:
        """Start every thread, with the trials that have `begun` before to be looked at."""
        for syncer in self._syncers:
            syncer.start()
        for trial_id in begun:
            self.note(trial_id)

    def note(self, trial_id: str) -> None:
        """Say that there is more of `trial_id` in its journal; returns at once."""
        for syncer in self._syncers:
            if syncer.shows(trial_id):
                syncer.note(trial_id)

    @property
    def problem(self) -> str | None:
        """What keeps a view behind at this moment; None when nothing does."""
        return next((syncer.problem for syncer in self._syncers if syncer.problem), None)

    @property
    def late(self) -> bool:
        """Whether time was all that a view lacked when it was closed."""
        return self.problem is None and any(syncer.late for syncer in self._syncers)

    @property
    def deleted(self) -> list[str]:
        """Trials that someone deleted from a view, which stay deleted there."""
        return [trial_id for syncer in self._syncers for trial_id in syncer.deleted]

    def close(self, timeout_s: float) -> int:
        """Give all together `timeout_s` to push what is noted; return how many trials stayed behind."""
        for syncer in self._syncers:
            syncer.begin_to_close()
        ends_s = time.monotonic() + timeout_s
        return sum(syncer.close(max(ends_s - time.monotonic(), 0.0)) for syncer in self._syncers)
