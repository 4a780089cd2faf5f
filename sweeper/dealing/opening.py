"""Opens a trial before it is dealt: takes its lock, reads its journal and claims the next attempt.

It says why a trial stays shut; the dealer then leaves it, or lets it wait again.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

from analysis.contract.lifecycle import FINISHED
from sweeper.dealing.dealt_trial import Dealt, Fixed, Worker
from sweeper.planning.trial_spec import TrialSpec
from sweeper.results.first_attempt import Began, began_with
from sweeper.results.journal import Journal, TakenOverError
from sweeper.results.locks import Lock, holder_of
from sweeper.results.paths import FURTHEST, Results, TrialPaths, step_of
from sweeper.results.survey import judge
from sweeper.results.trial_summary import TrialSummary, read_summary
from trainers.trainer import TrainerError


class Others(Protocol):
    """What is asked about processes whose locks may not reach this one, before it opens a trial that it has locked.

    Without it, a lock decides alone.
    """

    def barred(self, paths: TrialPaths) -> str:
        """Return why this run must leave the trial alone, or ""."""

    def holder(self, paths: TrialPaths) -> str:
        """Return who may still train the trial, or ""."""

    def taken(self, paths: TrialPaths, attempt: int) -> None:
        """Note that this process has taken `attempt`. Raises OSError."""


class Shut(NamedTuple):
    """Why a trial was not opened. `held`: another process trains it. `apart`: it must not train with these mates."""

    why: str = ""
    held: bool = False
    apart: bool = False


@dataclass(frozen=True, kw_only=True)
class Opening:
    """Opens the trials of one run in `results`; `others` as a dealer has it."""

    results: Results
    worker: Worker
    retry_failed: bool
    others: Others | None

    def open(self, trial: Dealt, mates: Sequence[Dealt]) -> Shut | None:
        """Lock `trial`, open its journal and take its next attempt, or return why not.

        It stays shut if another run holds it, if it has ended meanwhile, if it began on another device, or if it began
        with another engine or other threads than its `mates`. Raises OSError or NoLocksError of the folder.
        """
        paths = self.results.trial(trial.spec.trial_id)
        if self.others is not None:  # many slots come by a trial that has ended: no lock for that
            reason = self.others.barred(paths) or self._why_not(trial, paths)
            if reason:
                return Shut(reason)
        lock = Lock(paths, required=self.others is None)
        if not lock.take():
            holder = holder_of(paths) or {"host": "another host", "pid": "unknown"}
            return Shut(f"held by process {holder['pid']} on {holder['host']}", held=True)
        if shut := self._open_locked(trial, paths, mates):
            lock.release()
            return shut
        trial.lock = lock
        return None

    def _open_locked(self, trial: Dealt, paths: TrialPaths, mates: Sequence[Dealt]) -> Shut | None:
        """Open the journal of `trial`, whose lock this run has, and take its next attempt; see `open`."""
        if self.others is not None and (who := self.others.holder(paths)):
            return Shut(f"held by {who}", held=True)
        if reason := self._why_not(trial, paths):
            return Shut(reason)
        journal = Journal(paths.journal)
        if journal.first is None and self.checkpoints(trial):
            reason = keep_engine(trial, began_with(paths, trial.spec.trainer), self.worker)
            if reason:
                return Shut(reason)
        if mates and self.fixed(trial, journal) != self.fixed(mates[0], mates[0].open_journal):
            return Shut(apart=True)
        try:
            number = journal.claim()
        except TakenOverError as error:
            return Shut(str(error), held=True)
        if self.others is not None:
            self.others.taken(paths, number)
        trial.journal = journal
        trial.step = trial.first_step = max(map(step_of, self.checkpoints(trial)), default=0)
        return None

    def _why_not(self, trial: Dealt, paths: TrialPaths) -> str:
        return why_not(trial.spec, read_summary(paths.journal), self.worker, self.retry_failed)

    def fixed(self, trial: Dealt, journal: Journal) -> Fixed:
        """Return the engine and threads of the trial's first attempt, or those that it will have."""
        first = journal.first or {"engine": trial.engine, "threads": self.worker.threads}
        return Fixed(first["engine"], first["threads"])

    def checkpoints(self, trial: Dealt) -> list[Path]:
        """Return the checkpoints from which a trial may go on, the furthest first."""
        if not trial.spec.trainer.resumes:
            return []
        return self.results.trial(trial.spec.trial_id).checkpoints(trial.spec.target or FURTHEST)

    def point(self, trial: Dealt) -> Hashable:
        """Return the step and the point in the furthest checkpoint of `trial` that is readable.

        The worker reads the whole checkpoints. It hands back a member that is at another point than the others.
        """
        try:
            for path in self.checkpoints(trial):
                if (point := trial.spec.trainer.point_in(path)) is not None:
                    return step_of(path), point
            return 0, trial.spec.trainer.point_in(None)
        except (OSError, TrainerError):  # it is dealt alone, and the one that reads its folder then says what is wrong
            return trial.spec.trial_id


def keep_engine(trial: Dealt, began: Began | None, worker: Worker) -> str:
    """Give a trial the engine that it began with, and return why it must not train here, or "".

    For a trial with checkpoints whose journal has lost its first line. `began` is None if nothing is known of it.
    """
    if began is None:
        return ""
    if began.device != worker.device:
        return f"began on {began.device}; go on with --device {began.device}"
    trial.engine = began.engine
    return ""


def why_not(spec: TrialSpec, summary: TrialSummary | None, worker: Worker, retry_failed: bool) -> str:
    """Return why a locked trial must not train, or "". It may have ended since the run was planned.

    Another run may have trained it, or this run may have, to a shorter target.
    """
    if summary is None:
        return ""
    if summary.trouble:
        return summary.trouble
    if summary.device != worker.device:
        return f"began on {summary.device}; go on with --device {summary.device}"
    state, why = judge(summary, spec.target, held=False)
    ended = state in FINISHED or (state == "failed" and not retry_failed)
    return f"{why}, since this run began" if ended else ""
