"""Whose turn it is to go on with a search, among slots whose locks may not reach each other.

A slot takes the search's lock, and then turn n by making its folder, which one process alone can. A file in it names
the slot. The next turn can be taken when this one is over, or when Slurm says that its slot no longer lives.
"""

import json
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from sweeper.executors.slurm.holders import SIGNED_S, Owner
from sweeper.results.locks import Lock
from sweeper.results.paths import ResultsError, SearchPaths
from trainers.sealed_file import write_whole

OWNER, OVER = "slot.json", "over"


class TurnLostError(ResultsError):
    """Another slot has taken the next turn, because Slurm took this one for dead."""


class Turns:
    """The turns of one search, as one slot sees them. Between `take` and `release` the slot has one."""

    def __init__(
        self,
        paths: SearchPaths,
        own: Owner,
        lives: Callable[[Owner], bool],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._paths = paths
        self._own = own
        self._lives = lives
        self._clock = clock
        self._lock = Lock(paths, required=False)
        self._unsigned_s: dict[int, float] = {}
        self._number = 0

    def take(self) -> bool:
        """Take the next turn; return False if another process has one. Raises OSError."""
        if not self._lock.take():
            return False
        if self._begun():
            return True
        self._lock.release()
        return False

    def check(self) -> None:
        """Raise TurnLostError if another slot has taken the next turn."""
        if not self._mine():
            raise TurnLostError(f"{self._paths.folder}: another slot has gone on with this search, so this one ends")

    def release(self) -> None:
        """Let the turn go, and remove those before it. What can't be written is left to the end of this slot."""
        self._over()
        self._lock.release()

    def _over(self) -> None:
        with suppress(OSError):
            if not self._mine():
                return
            (self._paths.turn(self._number) / OVER).touch()
            for number in self._numbers():
                if number < self._number:
                    shutil.rmtree(self._paths.turn(number), ignore_errors=True)

    def _mine(self) -> bool:
        return self._paths.turn(self._number).exists() and not self._paths.turn(self._number + 1).exists()

    def _begun(self) -> bool:
        last = max(self._numbers(), default=0)
        if last and self._held(last):
            return False
        mine = self._paths.turn(last + 1)
        try:
            mine.mkdir(parents=True)
        except FileExistsError:
            return False
        if max(self._numbers()) > last + 1:  # what was looked at before is long past
            mine.rmdir()
            return False
        write_whole(mine / OWNER, json.dumps(self._own._asdict()).encode())
        self._number = last + 1
        return True

    def _numbers(self) -> list[int]:
        try:
            return [int(path.name) for path in self._paths.turns.iterdir() if path.name.isdecimal()]
        except FileNotFoundError:
            return []

    def _held(self, number: int) -> bool:
        folder = self._paths.turn(number)
        if (folder / OVER).exists():
            return False
        owner = _owner_in(folder / OWNER)
        if owner is not None:
            return self._lives(owner)
        since_s = self._unsigned_s.setdefault(number, self._clock())
        return self._clock() - since_s < SIGNED_S


def _owner_in(file: Path) -> Owner | None:
    try:
        return Owner(**json.loads(file.read_bytes()))
    except (OSError, ValueError, TypeError):
        return None
