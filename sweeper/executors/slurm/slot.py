"""A worker slot: `python -m sweeper.executors.slurm.slot FOLDER`, what each element of a job's array runs.

It takes the trials of one submission, pack after pack, until none is left or its time is over. It writes the trials
that it holds and nothing else of the results: no index, no survey, no store. It leaves no process behind.
"""

import os
import socket
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from sweeper.dealing.dealer import Dealer, Worker
from sweeper.dealing.rounds import rounds
from sweeper.errors import SweepError
from sweeper.executors.inline import InlineExecutor
from sweeper.executors.node_check import examine
from sweeper.executors.slurm import commands
from sweeper.executors.slurm.commands import SlurmError
from sweeper.executors.slurm.ending import Ending, queue_again
from sweeper.executors.slurm.holders import Holders, Owner
from sweeper.executors.slurm.queue import Life
from sweeper.executors.slurm.submission import Submission
from sweeper.executors.slurm.thaw import rotated, thawed
from sweeper.host.devices import THREADS
from sweeper.planning.trial_spec import TrialSpec
from sweeper.results.locks import Lock, holder_of
from sweeper.results.paths import Results, RunPaths
from sweeper.results.trial_summary import in_one_line
from trainers.trainer import ConfigError, TrainerError

TOLD_EVERY_S = 10.0
"""A trial's journal is written, and waited for, at most so often: a shared file system serves many slots."""
PATIENCE_S = 300.0
"""How long a slot waits for trials that others hold and that no living slot trains, before it is queued again."""
LOOK_EVERY_S = 5.0
ENDING_S = 2.0
"""How long Slurm may take to notice that a slot has been killed."""
REFUSED, FAILED = 1, 4


class Place(NamedTuple):
    """Where this slot stands in its array, as Slurm tells it in the environment."""

    job: str
    number: int
    restarts: int
    node: str

    @classmethod
    def here(cls) -> "Place":
        found = os.environ
        array, index = found.get("SLURM_ARRAY_JOB_ID"), found.get("SLURM_ARRAY_TASK_ID")
        return cls(
            job=f"{array}_{index}" if array and index else found.get("SLURM_JOB_ID", "none"),
            number=int(index or 0),
            restarts=int(found.get("SLURM_RESTART_COUNT", 0)),
            node=found.get("SLURMD_NODENAME", socket.gethostname()),
        )


def main(folder: Path) -> int:
    """Run one life of a slot, and return its exit code."""
    place, submission = Place.here(), Submission(folder)
    say(f"job {place.job} on {place.node}, begun {place.restarts + 1} times")
    life = _life(place)
    ending = Ending(life, say)
    ending.install()
    if submission.stop_mark.exists():
        say("the submission was stopped")
        return 0
    try:
        specs, data = _examined(submission, place)
    except (SweepError, TrainerError, ConfigError) as error:
        submission.refusal(place.node).write_text(f"{error}\n", encoding="utf-8")
        say(str(error))
        return REFUSED
    own = Owner(submission.content["token"], place.job, place.restarts, place.node, socket.gethostname(), os.getpid())
    slot = Slot(submission, specs, data, Holders(own, submission), ending)
    living = Lock(_lock(submission, place), required=False)
    living.take()
    try:
        _try_locks(submission, place)
        code = slot.run(rotated(specs, place.number, sum(submission.content["parts"].values())))
    finally:
        living.paths.lock.unlink(missing_ok=True)
        living.release()
    if ending.why:
        queue_again(submission, place.job, os.environ.get("SLURM_JOB_NAME", ""), ending.why, say)
    return code


class Slot:
    """One life of a slot on a submission."""

    def __init__(
        self,
        submission: Submission,
        specs: Sequence[TrialSpec],
        data: dict[str, dict[str, str]],
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
        self._worker = Worker(
            device=content["device"],
            threads=THREADS,
            pack=content["pack"],
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
        if not self._ending.why:
            say("nothing is left to train")
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
            dealer: Dealer
            dealer = Dealer(
                chosen,
                sweeps=self._sweeps,
                engines=self._engines,
                results=self._results,
                worker=self._worker,
                note=lambda _: _tell(dealer),  # noqa: B023  # called while this dealer runs
                retry_failed=self._retry_failed,
                others=self._holders,
            )
            self._ending.watch(dealer)
            InlineExecutor(every_s=TOLD_EVERY_S, watched=True).run(dealer, lambda: None)
            _tell(dealer)
            held += [spec for spec in chosen if spec.trial_id in dealer.held_trials]
            trained = trained or any(trial.attempt for trial in dealer.trials.values())
            if dealer.fatal is not None or self._ending.why:
                return _Deal(held, trained, str(dealer.fatal or ""))
        return _Deal(held, trained, "")


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


def _examined(submission: Submission, place: Place) -> tuple[list[TrialSpec], dict[str, dict[str, str]]]:
    """Return the trials and the data sets of a submission as this node has them. Raises SweepError if it may not train.

    Raises TrainerError and ConfigError for a trainer that is another one here.
    """
    content = submission.content
    answer = examine(content["asked"], place.node)
    if answer.trouble:
        raise SweepError("\n".join(f"node {place.node}: {fault}" for fault in answer.trouble))
    data = {name: {**facts, "path": answer.arrays.get(name, facts["path"])} for name, facts in content["data"].items()}
    return thawed(content), data


def _life(place: Place) -> Life | None:
    try:
        return commands.life_of(place.job)
    except SlurmError as error:
        say(f"{error}; the slot goes on, and listens for Slurm's own warning")
        return None


def _lock(submission: Submission, place: Place) -> RunPaths:
    return RunPaths(submission.slots, f"{place.job}@{place.node}")


def _try_locks(submission: Submission, place: Place) -> None:
    """Try the locks of slots on other nodes. Where a living slot's lock is free, only the fences keep slots apart."""
    for path in sorted(submission.slots.glob("*.lock")):
        job, _, node = path.stem.partition("@")
        if node == place.node or holder_of(RunPaths(submission.slots, path.stem)) is not None:
            continue
        time.sleep(ENDING_S)
        life = _life(Place(job, 0, 0, node))
        if life is not None and life.state == "RUNNING" and life.node == node and path.exists():
            say(f"locks of node {node} don't reach this node; the folders of attempts keep slots apart")
            return


def say(text: str) -> None:
    """Print a line of the slot's log, with the time in UTC."""
    print(time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), text, flush=True)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
