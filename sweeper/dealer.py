"""Hands pending trials to workers and writes down what comes back; the same for every executor.

A trial is claimed and its attempt journalled before it is dealt; a record is on disk before anybody is told of it;
`done` is written here and nowhere else. Losing a worker puts its trials back, three times, ever later.
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Literal, NamedTuple

from sweeper.claims import Claim, holder_of
from sweeper.journal import Journal, fold
from sweeper.plan import TrialSpec
from sweeper.provenance import circumstances
from sweeper.results import Results, ResultsError, step_of
from sweeper.schema import Status, TrialRecord
from sweeper.survey import FINISHED, judge
from sweeper.trial import Assignment, Member, MemberUpdate, Update
from trainers.config import PACKABLE

LOST_RETRIES = 3

Phase = Literal["waiting", "running", "done", "diverged", "failed", "interrupted", "skipped"]


@dataclass(frozen=True, kw_only=True)
class Worker:
    """What every worker of a run is like. `data` maps a data set's name to its prepared array (name, path, digest)."""

    device: str
    engine: str
    threads: int
    pack: int
    data: Mapping[str, dict[str, str]]
    chunk_s: float = 1.0


@dataclass(kw_only=True)
class Dealt:
    """One trial on its way through this run; what a progress view shows."""

    spec: TrialSpec
    phase: Phase = "waiting"
    step: int = 0
    first_step: int = 0
    started_s: float = 0.0
    accuracy: float | None = None
    lost: int = 0
    largest_pack: int
    not_before_s: float = 0.0
    claim: Claim | None = field(default=None, repr=False)
    journal: Journal | None = field(default=None, repr=False)
    attempt: int = 0


class Change(NamedTuple):
    """A trial has entered `phase` at outer step `step`; `accuracy` is its last one, head zeroed, as a fraction."""

    spec: TrialSpec
    phase: Phase
    step: int
    accuracy: float | None
    message: str


class Dealer:
    """The trials of one run. Its methods belong to one thread; `changes` and `trials` may be read from any."""

    def __init__(
        self,
        specs: Iterable[TrialSpec],
        *,
        sweep: str,
        results: Results,
        worker: Worker,
        note: Callable[[str], None],
        retry_failed: bool = False,
    ) -> None:
        """`note` is told of each trial whose journal has grown; it must return at once."""
        self.trials = {spec.trial_id: Dealt(spec=spec, largest_pack=worker.pack) for spec in specs}
        self._sweep = sweep
        self._results = results
        self._worker = worker
        self._note = note
        self._retry_failed = retry_failed
        self._packs: dict[int, list[Dealt]] = {}
        self._dealt = 0
        self.changes: SimpleQueue[Change] = SimpleQueue()
        self.stopping = threading.Event()
        self.fatal: Exception | None = None

    def next_assignment(self) -> Assignment | None:
        """Return the next pack to train; None while nothing is ready (ask again) or once all is `over`."""
        while not self.over and not self.stopping.is_set():
            ready = [t for t in self.trials.values() if t.phase == "waiting" and t.not_before_s <= time.monotonic()]
            if not ready:
                return None
            with self._storage_guarded():
                members = [trial for trial in self._mates(ready) if self._open(trial)]
                if members:
                    return self._assignment(members)
        return None

    @property
    def over(self) -> bool:
        """Whether there is nothing more to deal, now or later."""
        return self.stopping.is_set() or all(
            trial.phase not in ("waiting", "running") for trial in self.trials.values()
        )

    def receive(self, update: Update) -> None:
        """Journal what a worker reports, and a trial's end when it says so; reports of past attempts are dropped."""
        with self._storage_guarded():
            for member in update["members"]:
                trial = self.trials[member["trial_id"]]
                if trial.phase == "running" and trial.attempt == member["attempt"]:
                    self._receive(trial, member)

    def ended(self, pack: int) -> None:
        """Take back what `pack` did not finish: its worker is gone, or the run is stopping."""
        with self._storage_guarded():
            for trial in self._packs.pop(pack, []):
                if trial.phase != "running":
                    continue
                if self.stopping.is_set():
                    self._end(trial, "interrupted", "the run was stopped")
                elif trial.lost >= LOST_RETRIES:
                    self._end(trial, "failed", f"its worker was lost {trial.lost + 1} times")
                else:
                    trial.lost += 1
                    self._end(trial, "interrupted", "its worker was lost")
                    trial.phase, trial.largest_pack = "waiting", 1
                    trial.not_before_s = time.monotonic() + 2.0**trial.lost

    def end_all(self) -> None:
        """Take back every pack that is still out."""
        for pack in list(self._packs):
            self.ended(pack)

    def stop(self) -> None:
        """Deal no more; whatever is out is taken back as interrupted."""
        self.stopping.set()

    def _mates(self, ready: list[Dealt]) -> list[Dealt]:
        """Return the first ready trial and those that may train with it: alike but for PACKABLE, none begun."""
        first = ready[0]
        size = min(first.largest_pack, self._worker.pack)
        if size == 1 or self._begun(first):
            return [first]
        alike = [t for t in ready if t.largest_pack >= size and _shape(t) == _shape(first) and not self._begun(t)]
        return alike[:size]

    def _begun(self, trial: Dealt) -> bool:
        return bool(self._results.trial(trial.spec.trial_id).checkpoints(trial.spec.target))

    def _open(self, trial: Dealt) -> bool:
        """Claim `trial` and open its journal; a trial that another run holds, or another device began, is skipped."""
        paths = self._results.trial(trial.spec.trial_id)
        claim = Claim(paths)
        if not claim.take():
            holder = holder_of(paths) or {"host": "another host", "pid": "unknown"}
            self._enter(trial, "skipped", f"held by process {holder['pid']} on {holder['host']}")
            return False
        why_not = self._why_not(trial.spec, fold(paths.journal))
        if why_not:
            claim.release()
            self._enter(trial, "skipped", why_not)
            return False
        trial.claim, trial.journal = claim, Journal(paths.journal)
        trial.step = trial.first_step = max(map(step_of, paths.checkpoints(trial.spec.target)), default=0)
        return True

    def _why_not(self, spec: TrialSpec, record: TrialRecord | None) -> str:
        """Return why a claimed trial is not to be trained, judged anew: another run may have had it meanwhile."""
        if record is None:
            return ""
        began_on = record["attempts"][0]["device"]
        if began_on != self._worker.device:
            return f"began on {began_on}; go on with --device {began_on}"
        state, why = judge(record, spec.target, held=False)
        ended = state in FINISHED or (state == "failed" and not self._retry_failed)
        return f"{why}, by another run" if ended else ""

    def _assignment(self, members: list[Dealt]) -> Assignment:
        self._dealt += 1
        self._packs[self._dealt] = members
        first = fold(self._results.trial(members[0].spec.trial_id).journal)
        fixed = first["attempts"][0] if first else {"engine": self._worker.engine, "threads": self._worker.threads}
        for trial in members:
            trial.attempt = trial.journal.open_attempt(self._facts(trial, fixed, len(members)))
            trial.started_s = time.monotonic()
            self._enter(trial, "running")
            self._note(trial.spec.trial_id)
        return Assignment(
            pack=self._dealt,
            members=[self._member(trial) for trial in members],
            data=dict(self._worker.data[members[0].spec.config.dataset]),
            device=self._worker.device,
            engine=fixed["engine"],
            threads=fixed["threads"],
            chunk_s=self._worker.chunk_s,
        )

    def _facts(self, trial: Dealt, fixed: Mapping[str, object], pack: int) -> dict[str, object]:
        spec = trial.spec
        return {
            "trial_id": spec.trial_id,
            "point": spec.point,
            "cell": spec.cell,
            "seed": spec.seed,
            "target": spec.target,
            "config": spec.config.model_dump(),
            "recipe": dict(spec.recipe),
            "digest": spec.digest,
            "sweep": self._sweep,
            "engine": fixed["engine"],
            "threads": fixed["threads"],
            "pack": pack,
            "device": self._worker.device,
            **circumstances(),
        }

    def _member(self, trial: Dealt) -> Member:
        return Member(
            trial_id=trial.spec.trial_id,
            attempt=trial.attempt,
            folder=str(self._results.trial(trial.spec.trial_id).folder),
            config=trial.spec.config.model_dump(),
        )

    def _receive(self, trial: Dealt, update: MemberUpdate) -> None:
        if trial.journal.add(update["attempt"], update["records"]):
            self._note(trial.spec.trial_id)
        trial.step = update["step"]
        for _, key, value in update["records"]:
            if key == "evaluation":
                trial.accuracy = value["accuracy"]["zeroed"][-1]
        if update["status"] == "memory" and len(self._pack_of(trial)) > 1:
            size = len(self._pack_of(trial)) // 2
            self._end(trial, "interrupted", f"out of memory in a pack; tried again in packs of {size}")
            trial.phase, trial.largest_pack = "waiting", size
        elif update["status"] in ("memory", "failed"):
            self._end(trial, "failed", update["message"])
        elif update["status"] == "storage":
            raise OSError(update["message"].strip().splitlines()[-1])
        elif update["status"] != "running":
            self._end(trial, update["status"], update["message"])

    def _pack_of(self, trial: Dealt) -> list[Dealt]:
        return next(members for members in self._packs.values() if any(member is trial for member in members))

    def _end(self, trial: Dealt, status: Status, message: str) -> None:
        try:
            trial.journal.end(trial.attempt, status, step=trial.step, message=message)
        finally:
            self._enter(trial, status, message)
            trial.claim.release()
        self._note(trial.spec.trial_id)

    def _enter(self, trial: Dealt, phase: Phase, message: str = "") -> None:
        trial.phase = phase
        self.changes.put(Change(trial.spec, phase, trial.step, trial.accuracy, message))

    @contextmanager
    def _storage_guarded(self) -> Iterator[None]:
        """Turn trouble with the results folder into the end of the run: what can't be written isn't worth training."""
        try:
            yield
        except OSError as error:
            self.fatal = ResultsError(
                f"{self._results.root}: the results folder can't be written ({error}); "
                "free space or permissions there, then run the same command again"
            )
            self.stop()


def _shape(trial: Dealt) -> dict[str, object]:
    return {name: value for name, value in trial.spec.config if name not in PACKABLE}
