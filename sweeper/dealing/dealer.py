"""Deals pending trials to workers and journals what they report; the same for every executor.

A trial is opened (see `opening`) and its attempt journalled before it is dealt. A record is on disk before anything
shows it. Only this module writes `done`. A lost worker's trials are dealt again, up to three times, after growing
delays. Trials that go on from one point are packed, whether they are new or have checkpoints. A source may give further
trials meanwhile, and hears how each of them ends.
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Any

from analysis.contract.lifecycle import EVENT_OF, NEXT, OPEN, End, Event
from sweeper.dealing.assignment import Assignment, Member, MemberUpdate, TrainerFound, Update
from sweeper.dealing.codes import Codes
from sweeper.dealing.dealt_trial import Change, Dealt, Worker, facts, may_be_cut_off, other_kernels
from sweeper.dealing.opening import Opening, Others
from sweeper.dealing.silence import Silence
from sweeper.dealing.source import Deal, NothingMore, Progress, Source
from sweeper.dealing.waiting_list import Waiting
from sweeper.errors import SweepError
from sweeper.planning.trial_spec import TrialSpec
from sweeper.results.journal import NotReproducibleError, TakenOverError
from sweeper.results.paths import STORAGE_ADVICE, Results, ResultsError
from sweeper.results.stop_requests import STOPPED, taken
from sweeper.results.trial_summary import in_one_line
from trainers.trainer import DEFAULT

LOST_RETRIES = 3
STOPPED_RUN = "the run was stopped"
POLL_EVERY_S = 1.0


class Dealer:
    """The trials of one run. Call its methods from one thread; any thread may read `changes` and `trials`."""

    def __init__(
        self,
        specs: Iterable[TrialSpec],
        *,
        sweeps: Mapping[str, str],
        engines: Mapping[str, str],
        results: Results,
        worker: Worker,
        note: Callable[[str], None],
        retry_failed: bool = False,
        others: Others | None = None,
        clock: Callable[[], float] = time.monotonic,
        source: Source | None = None,
    ) -> None:
        """Take `specs` in plan order. By a trial's id, `sweeps` has the sweep that it runs for, `engines` its engine.

        `source` gives further trials. `note` gets the id of each trial whose journal has grown; it must return at once.
        `others` knows of processes that locks may not reach; then locks need not work. `clock` counts seconds.
        """
        self.trials = {
            spec.trial_id: Dealt(spec=spec, engine=engines[spec.trial_id], largest_pack=worker.pack) for spec in specs
        }
        self._results = results
        self._opening = Opening(results=results, worker=worker, retry_failed=retry_failed, others=others)
        self._waiting = Waiting(self.trials.values(), self._opening.point)
        self._left = len(self.trials)
        self._source: Source = NothingMore() if source is None else source
        self._given: set[str] = set()
        """The ids of trials that the source has given and that it has not heard the end of."""
        self._later: dict[str, Deal] = {}
        """Trials of the source that this run still trains to another target."""
        self._ended: dict[str, None] = {}
        self._codes = Codes(results)
        self._clock = clock
        self._sweeps = dict(sweeps)
        self._worker = worker
        self._note = note
        self._packs: dict[int, list[Dealt]] = {}
        self._dealt = 0
        self._silence = Silence(worker.timeout_s, clock)
        self._polled_s = 0.0
        self.changes: SimpleQueue[Change | str] = SimpleQueue()
        """What a view of the run shows: changes of trials, and sentences about the run."""
        self.stopping = threading.Event()
        self.stop_requested = False
        """Whether `sweeper stop` has ended the run, not a signal."""
        self.fatal: Exception | None = None

    def next_assignment(self) -> Assignment | None:
        """Return the next pack to train; None while no trial is ready (ask again) or when the run is `over`."""
        while not self.over and not self.stopping.is_set():
            with self._storage_guarded():
                self._draw()
            first = self._waiting.take(self._clock())
            if first is None:
                return None
            with self._storage_guarded():
                members: list[Dealt] = []
                for trial in [first, *self._mates(first)]:
                    if self._opened(trial, members):
                        members.append(trial)
                if members:
                    return self._assignment(members)
        return None

    @property
    def over(self) -> bool:
        """Whether there is nothing more to deal, now or later."""
        return self.stopping.is_set() or not (self._left or self._given or not self._source.over)

    @property
    def examples(self) -> Sequence[TrialSpec]:
        """Trials of the run, with those that stand for what the source gives later. Empty if there are none."""
        return [*(trial.spec for trial in list(self.trials.values())), *self._source.examples]

    @property
    def progress(self) -> Sequence[Progress]:
        """How far the source is. Any thread may ask."""
        return self._source.progress

    @property
    def most(self) -> int:
        """How many trials may train at once, as far as that is known."""
        return len(self.trials) + self._source.most

    def _draw(self) -> None:
        """Let the source hear which of its trials have ended, then take from it what fills a pack."""
        for trial_id in list(self._ended):
            del self._ended[trial_id]
            trial = self.trials[trial_id]
            if trial.phase in OPEN:  # it was put back
                continue
            if trial_id in self._later:
                self._add(self._later.pop(trial_id))
            elif trial_id in self._given:
                self._given.remove(trial_id)
                self._source.heard(trial_id, trial.phase)
        while self._waiting.ready < self._worker.pack and (deal := self._source.next()) is not None:
            trial_id = deal.spec.trial_id
            self._given.add(trial_id)
            if trial_id in self.trials and self.trials[trial_id].phase in OPEN:
                self._later[trial_id] = deal
            else:
                self._add(deal)

    def _add(self, deal: Deal) -> None:
        """Let a trial of the source wait. One that this run has trained before goes on to its longer target."""
        before = self.trials.get(deal.spec.trial_id)
        trial = Dealt(spec=deal.spec, engine=deal.engine, largest_pack=self._worker.pack)
        trial.stop_asked = before is not None and before.stop_asked
        self._sweeps[deal.spec.trial_id] = deal.sweep
        self.trials[deal.spec.trial_id] = trial
        self._left += 1
        if trial.stop_asked:
            self._enter(trial, "interrupted", STOPPED)
        else:
            self._waiting.add(trial)

    @property
    def stopped_trials(self) -> frozenset[str]:
        """The trials that `sweeper stop` has named; this run does not deal them again."""
        return frozenset(trial_id for trial_id, trial in self.trials.items() if trial.stop_asked)

    @property
    def held_trials(self) -> frozenset[str]:
        """The trials that this run has left to another process."""
        return frozenset(trial_id for trial_id, trial in self.trials.items() if trial.held)

    def receive(self, update: Update) -> None:
        """Journal what a worker reports, and the end of each trial that has ended. Drop reports of past attempts."""
        self.heard(update["pack"])
        with self._storage_guarded():
            for member in update["members"]:
                trial = self.trials[member["trial_id"]]
                if trial.phase == "running" and trial.attempt == member["attempt"]:
                    try:
                        self._receive(trial, member)
                    except TakenOverError as error:
                        trial.held = True
                        self._let_go(trial, "skip", str(error))

    def heard(self, pack: int) -> None:
        """Note that the worker of `pack` is alive; no effect after the pack was taken back."""
        if pack in self._packs:
            self._silence.heard(pack)

    def overdue(self) -> list[int]:
        """Return the packs that were silent for too long: kill their workers, then call `ended`. Call this often."""
        return self._silence.overdue()

    def ended(self, pack: int) -> None:
        """Take back what `pack` did not finish, because its worker is gone or the run is stopping."""
        if pack not in self._packs:
            return
        silent_s = self._silence.forget(pack)
        silence = f"no word for {silent_s:.0f} s" if silent_s >= self._worker.timeout_s else ""
        with self._storage_guarded():
            lost = [trial for trial in self._packs.pop(pack) if trial.phase == "running"]
            rested_s = self._clock() + 2.0 ** (1 + max((trial.lost for trial in lost), default=0))
            for trial in lost:
                self._take_back(trial, silence and f"{silence}{_expected_of(trial)}", rested_s)

    def _take_back(self, trial: Dealt, silence: str, rested_s: float) -> None:
        """Let a trial whose worker is lost wait until `rested_s`, which is one time for its pack.

        Its last retry is alone, so that no trial fails because another member of its pack ends every worker.
        """
        if trial.stop_asked or self.stopping.is_set():
            self._end(trial, "interrupted", STOPPED if trial.stop_asked else STOPPED_RUN)
        elif trial.lost >= LOST_RETRIES:
            times = f"its worker was lost {trial.lost + 1} times"
            self._end(trial, "failed", f"{silence}; {times}" if silence else times)
        else:
            trial.lost += 1
            if self._end(trial, "interrupted", silence or "its worker was lost"):
                self._put_back(trial, 1 if trial.lost == LOST_RETRIES else trial.largest_pack, rested_s)

    def _put_back(self, trial: Dealt, largest_pack: int, not_before_s: float) -> None:
        self._apply(trial, "put_back")
        trial.largest_pack = largest_pack
        self._waiting.put_back(trial, not_before_s)

    def end_all(self) -> None:
        """Take back every pack that a worker still has."""
        for pack in list(self._packs):
            self.ended(pack)

    def stop(self) -> None:
        """Deal no more; packs that workers still have are taken back as interrupted."""
        self.stopping.set()

    def poll(self) -> None:
        """Obey the requests of `sweeper stop` for this run; reads them at most once a second."""
        if self._clock() - self._polled_s < POLL_EVERY_S:
            return
        self._polled_s = self._clock()
        with self._storage_guarded():
            for trial_id in taken(self._results):
                if trial_id is None:
                    self.stop_requested = True
                    self.stop()
                elif trial_id in self.trials:
                    self._leave(self.trials[trial_id])

    def _leave(self, trial: Dealt) -> None:
        """Ask the worker of `trial` to save it and stop training it; never deal it again."""
        trial.stop_asked = True
        if trial.phase == "running":
            self._mark_to_stop(trial)
        elif trial.phase == "waiting":
            self._enter(trial, "interrupted", STOPPED)

    def _mark_to_stop(self, trial: Dealt) -> None:
        mark = self._results.trial(trial.spec.trial_id).stop_mark(trial.attempt)
        mark.parent.mkdir(exist_ok=True)
        mark.touch()

    def _mates(self, first: Dealt) -> list[Dealt]:
        """Take the trials that train with `first`."""
        return self._waiting.take_mates(first, first.largest_pack) if first.largest_pack > 1 else []

    def _opened(self, trial: Dealt, mates: Sequence[Dealt]) -> bool:
        """Open `trial` to train with its `mates`. Skip it if it must not, and let it wait if it must train alone."""
        shut = self._opening.open(trial, mates)
        if shut is None:
            return True
        if shut.apart:
            trial.largest_pack = 1
            self._waiting.put_back(trial, self._clock())
        else:
            trial.held = shut.held
            self._enter(trial, "skip", shut.why)
        return False

    def _assignment(self, members: list[Dealt]) -> Assignment:
        self._dealt += 1
        self._packs[self._dealt] = members
        self._silence.heard(self._dealt)
        fixed = self._opening.fixed(members[0], members[0].open_journal)
        spec = members[0].spec
        code = self._codes.of(spec)
        for trial in members:
            if sentence := other_kernels(trial, fixed.engine):
                self.changes.put(sentence)
            trial.attempt = trial.open_journal.open_attempt(
                facts(trial.spec, self._worker, self._sweeps[trial.spec.trial_id], fixed, len(members), code)
            )
            trial.pack, trial.started_s = self._dealt, self._clock()
            self._enter(trial, "attempt")
            self._note(trial.spec.trial_id)
        dataset = spec.trainer.dataset(spec.config)
        assignment = Assignment(
            pack=self._dealt,
            members=[self._member(trial) for trial in members],
            data=dict(self._worker.data[dataset]) if dataset else {},
            device=self._worker.device,
            engine=fixed.engine,
            threads=fixed.threads,
            chunk_s=self._worker.chunk_s,
            timeout_s=self._worker.timeout_s,
            share=self._worker.share,
        )
        if spec.trainer.name != DEFAULT or code:
            assignment["trainer"] = TrainerFound(says=spec.reference.says, folder=spec.reference.folder, code=code)
        return assignment

    def _member(self, trial: Dealt) -> Member:
        return Member(
            trial_id=trial.spec.trial_id,
            attempt=trial.attempt,
            folder=str(self._results.trial(trial.spec.trial_id).folder),
            config=trial.spec.config.model_dump(),
        )

    def _receive(self, trial: Dealt, update: MemberUpdate) -> None:
        try:
            if trial.open_journal.add(update["attempt"], update["records"]):
                self._note(trial.spec.trial_id)
        except NotReproducibleError as error:
            self._mark_to_stop(trial)
            self._end(trial, "failed", str(error))
            return
        trial.step = update["step"]
        for _, key, value in update["records"]:
            trial.accuracy = _progress(trial, key, value)
        pack = len(self._packs[trial.pack])
        if self.stopping.is_set() and may_be_cut_off(trial.spec, update["status"]):
            self._end(trial, "interrupted", STOPPED if trial.stop_asked else STOPPED_RUN)
        elif update["status"] in ("memory", "failed") and pack > 1:
            # Training each member alone shows which one an error in a pack belongs to.
            size, trouble = (pack // 2, "out of memory") if update["status"] == "memory" else (1, "an error")
            ended = self._end(trial, "interrupted", f"{trouble} in a pack; tried again in packs of {size}")
            if ended and not trial.stop_asked:
                self._put_back(trial, size, self._clock())
        elif update["status"] == "unfit":  # not the trial's fault, so not counted as a loss
            if self._end(trial, "interrupted", update["message"]) and not trial.stop_asked:
                self._put_back(trial, trial.largest_pack, self._clock())
        elif update["status"] == "alone":
            self._packs[trial.pack] = [member for member in self._packs[trial.pack] if member is not trial]
            if self._end(trial, "interrupted", update["message"]) and not trial.stop_asked:
                self._put_back(trial, 1, self._clock())
        elif update["status"] == "storage":
            raise OSError(in_one_line(update["message"]))
        elif (event := EVENT_OF[update["status"]]) != "record":
            self._end(trial, event, STOPPED if update["status"] == "stopped" else update["message"])

    def _end(self, trial: Dealt, end: End, message: str) -> bool:
        """Journal the end of a trial and let it go. Return False if another run has taken it over."""
        event: Event = end
        try:
            trial.open_journal.end(trial.attempt, end, step=trial.step, message=message)
        except TakenOverError as error:
            event, message, trial.held = "skip", str(error), True
        finally:
            self._let_go(trial, event, message)
        self._note(trial.spec.trial_id)
        return event == end

    def _let_go(self, trial: Dealt, event: Event, message: str) -> None:
        self._enter(trial, event, message)
        if trial.lock is not None:
            trial.lock.release()
        trial.journal = None  # it holds every record in memory, and a run has thousands of trials
        if trial.stop_asked:
            self._results.trial(trial.spec.trial_id).stop_mark(trial.attempt).unlink(missing_ok=True)

    def _enter(self, trial: Dealt, event: Event, message: str = "") -> None:
        self._apply(trial, event)
        if trial.phase not in OPEN and trial.spec.trial_id in self._given:
            self._ended[trial.spec.trial_id] = None
        self.changes.put(Change(trial.spec, trial.phase, trial.step, trial.accuracy, message))

    def _apply(self, trial: Dealt, event: Event) -> None:
        phase = NEXT[trial.phase][event]
        self._left += (phase in OPEN) - (trial.phase in OPEN)
        trial.phase = phase

    @contextmanager
    def _storage_guarded(self) -> Iterator[None]:
        """End the run if the results folder fails: training that can't be recorded is wasted."""
        try:
            yield
        except OSError as error:
            self.fatal = ResultsError(
                f"{self._results.root}: the results folder can't be used ({error}); {STORAGE_ADVICE}"
            )
            self.stop()
        except SweepError as error:  # the folder has no locks, or a source can't go on
            self.fatal = error
            self.stop()


def _expected_of(trial: Dealt) -> str:
    """Return what a plug has to do so that its worker is not silent; "" for MAML, which does it."""
    name = trial.spec.trainer.name
    return "" if name == DEFAULT else f", and train of trainer {name} must yield more often, or --timeout be longer"


def _progress(trial: Dealt, key: str, value: Mapping[str, Any]) -> float | None:
    """Return the number that a view shows of `trial` after this record."""
    try:
        number = trial.spec.trainer.progress(key, value)
    except Exception:  # a plug that can't say it must not end the run
        return trial.accuracy
    return trial.accuracy if number is None else number
