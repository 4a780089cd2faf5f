"""Who trains a trial now, where locks may not tell: the slot that has taken its last attempt, as long as it lives.

The folder of an attempt fences it off, and a file in it names the slot. Slurm says whether that slot lives. An attempt
of a process that is no slot has no such file; then the lock alone decides.
"""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from analysis.contract.lifecycle import ENDS
from sweeper.executors.slurm.commands import SlurmError, life_of
from sweeper.executors.slurm.queue import Life
from sweeper.executors.slurm.submission import Submission
from sweeper.results.journal_lines import JournalError, Line, read_lines
from sweeper.results.paths import TrialPaths
from trainers.sealed_file import write_whole

REMEMBER_S = 30.0
"""How long a slot that was alive is believed to be alive without asking Slurm again."""
SIGNED_S = 60.0
"""How long an attempt may go without a name: a slot signs it at once."""
MOST_LOST = 4
"""So many lives of slots may end within a trial, without a new record, until it is left alone."""


class Owner(NamedTuple):
    """One life of a slot: the submission's token, the element such as 123_4, how often it was queued again, where."""

    token: str
    job: str
    restarts: int
    node: str
    host: str
    pid: int


def owner_of(paths: TrialPaths, attempt: int) -> Owner | None:
    """Return the slot that has taken `attempt`, None if no slot has signed it."""
    try:
        return Owner(**json.loads(paths.owner(attempt).read_bytes()))
    except (OSError, ValueError, TypeError):
        return None


def open_attempt(paths: TrialPaths) -> int:
    """Return the number of the last attempt that was taken and has no end in the journal, 0 if there is none."""
    number = paths.last_attempt()
    if not number:
        return 0
    last = _lines(paths.journal)[-1:]
    ended = bool(last) and last[0]["kind"] in ENDS and last[0]["attempt"] >= number
    return 0 if ended else number


def _lines(journal: Path) -> list[Line]:
    try:
        return list(read_lines(journal))
    except JournalError:  # the one who would train it says what is wrong
        return []


class Holders:
    """What the dealer of a slot asks about other processes; see `sweeper.dealing.opening.Others`."""

    def __init__(
        self,
        own: Owner,
        submission: Submission,
        ask: Callable[[str], Life | None] = life_of,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._own = own
        self._submission = submission
        self._ask = ask
        self._clock = clock
        self._alive_s: dict[Owner, float] = {}
        self._unsigned_s: dict[tuple[Path, int], float] = {}
        self._before = {trial["trial_id"]: trial["attempt"] for trial in submission.content["trials"]}
        self._before |= submission.searched["failed"]

    def barred(self, paths: TrialPaths) -> str:
        """Return why no slot of this submission may train the trial, or ""."""
        if self._submission.stopped(paths.folder.name).exists():
            return "stopped by `sweeper stop`"
        last = _lines(paths.journal)[-1:]
        if last and last[0]["kind"] == "failed" and last[0]["attempt"] > self._before.get(paths.folder.name, 0):
            return "failed since it was submitted"
        lost = _lost_in_a_row(paths, self._own)
        if lost >= MOST_LOST:
            return (
                f"{lost} slots were lost while they trained it, without a new record; their logs are beside the script"
            )
        return ""

    def holder(self, paths: TrialPaths) -> str:
        """Return which slot trains the trial, or "" if none does."""
        number = open_attempt(paths)
        if not number:
            return ""
        owner = owner_of(paths, number)
        if owner is None:
            return self._unsigned(paths, number)
        return f"job {owner.job} on {owner.node}" if self.lives(owner) else ""

    def taken(self, paths: TrialPaths, attempt: int) -> None:
        """Sign `attempt`. Raises OSError."""
        write_whole(paths.owner(attempt), json.dumps(self._own._asdict()).encode())

    def in_a_slot(self, paths: TrialPaths) -> bool:
        """Return whether Slurm knows the slot that trains this trial to be alive, so that it can be left to it."""
        number = open_attempt(paths)
        owner = owner_of(paths, number) if number else None
        return owner is not None and self.lives(owner, sure=True)

    def lives(self, owner: Owner, *, sure: bool = False) -> bool:
        """Return whether the slot may be alive; if `sure`, whether Slurm says so."""
        if owner.job == self._own.job:  # an earlier life of this slot is over, and a later one makes this one a ghost
            return owner.restarts > self._own.restarts
        if self._clock() - self._alive_s.get(owner, -REMEMBER_S) < REMEMBER_S:
            return True
        try:
            life = self._ask(owner.job)
        except SlurmError:
            return not sure
        alive = life is not None and (
            life.state == "COMPLETING" or (life.state in STATES_OF_THE_LIVING and life.restarts == owner.restarts)
        )
        if alive:
            self._alive_s[owner] = self._clock()
        return alive

    def _unsigned(self, paths: TrialPaths, number: int) -> str:
        """Return who has just taken an attempt that nobody has signed; after SIGNED_S nobody has."""
        if any(line["attempt"] >= number for line in _lines(paths.journal)):
            return ""  # a slot signs before it writes a line, so this was no slot, and its lock is free
        since_s = self._unsigned_s.setdefault((paths.folder, number), self._clock())
        return f"a process that has just taken attempt {number}" if self._clock() - since_s < SIGNED_S else ""


STATES_OF_THE_LIVING = frozenset({"RUNNING", "SUSPENDED", "STOPPED", "SIGNALING", "STAGE_OUT"})


def _lost_in_a_row(paths: TrialPaths, own: Owner) -> int:
    """Return how many of this submission's slots have lost the trial since it last ended or got a new record."""
    lost, number = 0, paths.last_attempt()
    last: dict[int, Any] = {}
    for line in _lines(paths.journal):
        last[line["attempt"]] = line["kind"]
    while number > 0 and last.get(number) in ("attempt", None):
        owner = owner_of(paths, number)
        if owner is None or owner.token != own.token:
            break
        lost, number = lost + 1, number - 1
    return lost
