"""A worker slot: `python -m sweeper.executors.slurm.slot FOLDER`, what each element of a job's array runs.

It takes the trials of one submission, pack after pack, until none is left or its time is over, and goes on with its
searches. It writes the trials that it holds, a search while it has a turn, and nothing else of the results: no index,
no survey, no store. It leaves no process behind.
"""

import os
import socket
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from analysis.contract.lifecycle import FINISHED
from sweeper.dealing.dealer import Dealer, Worker
from sweeper.dealing.rounds import rounds
from sweeper.dealing.source import Source
from sweeper.errors import SweepError
from sweeper.executors.inline import InlineExecutor
from sweeper.executors.node_check import examine
from sweeper.executors.slurm.ending import Ending, queue_again
from sweeper.executors.slurm.frozen_search import Thawed, thawed_searches
from sweeper.executors.slurm.gpu import pack_of, require
from sweeper.executors.slurm.holders import Holders, Owner
from sweeper.executors.slurm.place import Place, life_of, lock_of, say, try_locks
from sweeper.executors.slurm.search_source import SlotSource
from sweeper.executors.slurm.submission import Submission
from sweeper.executors.slurm.thaw import rotated, thawed
from sweeper.host.devices import THREADS
from sweeper.planning.trial_spec import TrialSpec
from sweeper.results.locks import Lock
from sweeper.results.paths import Results
from sweeper.results.trial_summary import in_one_line
from trainers.trainer import ConfigError, TrainerError

TOLD_EVERY_S = 10.0
"""A trial's journal is written, and waited for, at most so often: a shared file system serves many slots."""
PATIENCE_S = 300.0
"""How long a slot waits for trials that others hold and that no living slot trains, before it is queued again."""
LOOK_EVERY_S = 5.0
DOUBT_S = 2.0
"""How much later than the program that it runs a slot may get a signal that Slurm sends to both."""
REFUSED, FAILED = 1, 4


def main(folder: Path) -> int:
    """Run one life of a slot, and return its exit code."""
    place, submission = Place.here(), Submission(folder)
    say(f"job {place.job} on {place.node}, begun {place.restarts + 1} times")
    ending = Ending(life_of(place), say)
    ending.install()
    if submission.stop_mark.exists():
        say("the submission was stopped")
        return 0
    try:
        specs, searches, data = _examined(submission, place)
    except (SweepError, TrainerError, ConfigError) as error:
        submission.refusal(place.node).write_text(f"{error}\n", encoding="utf-8")
        say(str(error))
        return REFUSED
    own = Owner(submission.content["token"], place.job, place.restarts, place.node, socket.gethostname(), os.getpid())
    alike = [*specs, *(spec for one in searches for spec in one.search.examples)]
    pack = pack_of(submission, alike, data, place.node, say)
    slot = Slot(submission, data, pack, Holders(own, submission), ending)
    living = Lock(lock_of(submission, place), required=False)
    living.take()
    try:
        try_locks(submission, place)
        slots = sum(submission.content["parts"].values())
        code = slot.run(rotated(specs, place.number, slots))
        if not code and not ending.why and searches:
            first = place.number % len(searches)
            code = slot.search([*searches[first:], *searches[:first]], own)
    finally:
        living.paths.lock.unlink(missing_ok=True)
        living.release()
    if ending.why:
        part = os.environ.get("SLURM_JOB_NAME", "")
        queue_again(submission, place.job, part, ending.why, say, progressed=slot.progressed)
    elif not code:
        say("nothing is left to train for this slot")
    return code


class Slot:
    """One life of a slot on a submission."""

    def __init__(
        self,
        submission: Submission,
        data: dict[str, dict[str, str]],
        pack: int,
        holders: Holders,
        ending: Ending,
    ) -> None:
        content = submission.content
        self._submission = submission
        self._holders = holders
        self._ending = ending
        self._engines = {trial["trial_id"]: trial["engine"] for trial in content["trials"]}
        self._sweeps = {trial["trial_id"]: trial["sweep"] for trial in content["trials"]}
        self._retry_failed = content["retry_failed"]
        self.progressed = False
        """Whether this life of the slot has trained one step, or ended one trial."""
        self._worker = Worker(
            device=content["device"],
            threads=THREADS,
            pack=pack,
            data=data,
            timeout_s=content["timeout_s"],
        )

    def run(self, specs: Sequence[TrialSpec]) -> int:
        """Train what is left of `specs`, and wait for what others hold. Return the exit code."""
        left, since_s = list(specs), 0.0
        while left and not self._ending.why:
            deal = self._deal(left)
            if deal.fault:
                say(deal.fault)
                return FAILED
            left = deal.held
            if not left or self._ending.why:
                break
            if all(self._holders.in_a_slot(self._results.trial(spec.trial_id)) for spec in left):
                say(f"left to the slots that train them: {_named(left)}")
                return 0
            if deal.trained or not since_s:
                since_s = time.monotonic()
                say(f"waiting for {_named(left)}, which others hold")
            if time.monotonic() - since_s > PATIENCE_S:
                self._ending.end(f"others have held {_named(left)} for {PATIENCE_S:.0f} s")
            self._pause(LOOK_EVERY_S)
        return 0

    def search(self, searches: Sequence[Thawed], own: Owner) -> int:
        """Go on with searches until nothing of them can be taken any more. Return the exit code."""
        source = SlotSource(searches, self._submission, self._worker, self._holders, own, say)
        dealer = self._dealt([], source)
        if dealer.fatal is not None:
            say(str(dealer.fatal))
            return FAILED
        if source.waited:
            self._ending.end(source.why)
        elif source.why and not self._ending.why:
            say(source.why)
        return 0

    @property
    def _results(self) -> Results:
        return self._submission.results

    def _pause(self, seconds: float) -> None:
        until_s = time.monotonic() + seconds
        while not self._ending.why and time.monotonic() < until_s:
            time.sleep(0.2)

    def _deal(self, specs: Sequence[TrialSpec]) -> "_Deal":
        """Deal each of `specs` once, and return what others held."""
        held: list[TrialSpec] = []
        trained = False
        for chosen in rounds(specs):
            dealer = self._dealt(chosen)
            held += [spec for spec in chosen if spec.trial_id in dealer.held_trials]
            trained = trained or any(trial.attempt for trial in dealer.trials.values())
            if dealer.fatal is not None or self._ending.why:
                return _Deal(held, trained, str(dealer.fatal or ""))
        return _Deal(held, trained, "")

    def _dealt(self, specs: Sequence[TrialSpec], source: Source | None = None) -> Dealer:
        """Deal `specs`, and what `source` gives, to the end, and return the dealer."""
        dealer: Dealer
        dealer = Dealer(
            specs,
            sweeps=self._sweeps,
            engines=self._engines,
            results=self._results,
            worker=self._worker,
            note=lambda trial_id: self._note(dealer, trial_id),
            retry_failed=self._retry_failed,
            others=self._holders,
            source=source,
        )
        self._ending.watch(dealer)
        InlineExecutor(every_s=TOLD_EVERY_S, watched=True, doubt_s=DOUBT_S).run(dealer, lambda: None)
        _tell(dealer)
        return dealer

    def _note(self, dealer: Dealer, trial_id: str) -> None:
        trial = dealer.trials[trial_id]
        self.progressed |= trial.step > trial.first_step or trial.phase in FINISHED | {"failed"}
        _tell(dealer)


class _Deal(NamedTuple):
    """What came of dealing: the trials that others held, whether any was trained, and a fault of the storage."""

    held: list[TrialSpec]
    trained: bool
    fault: str


def _tell(dealer: Dealer) -> None:
    """Print what has changed. A trial that another slot holds is no news."""
    while not dealer.changes.empty():
        change = dealer.changes.get()
        if isinstance(change, str):
            say(change)
        elif change.phase != "skipped":
            why = f": {in_one_line(change.message)}" if change.message else ""
            say(f"{change.spec.trial_id} is {change.phase} at step {change.step}{why}")


def _named(specs: Sequence[TrialSpec]) -> str:
    first = specs[0].trial_id
    return f"trial {first}" if len(specs) == 1 else f"{len(specs)} trials ({first} and others)"


def _examined(submission: Submission, place: Place) -> tuple[list[TrialSpec], list[Thawed], dict[str, dict[str, str]]]:
    """Return the trials, searches and data sets of a submission as this node has them.

    Raises SweepError if it may not train, TrainerError and ConfigError for a trainer that is another one here.
    """
    content = submission.content
    require(submission, say)
    answer = examine(content["asked"], place.node)
    if answer.trouble:
        raise SweepError("\n".join(f"node {place.node}: {fault}" for fault in answer.trouble))
    data = {name: {**facts, "path": answer.arrays.get(name, facts["path"])} for name, facts in content["data"].items()}
    digests = {name: facts["digest"] for name, facts in content["data"].items()}
    return thawed(content), thawed_searches(submission.searched, digests, submission.results), data


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
