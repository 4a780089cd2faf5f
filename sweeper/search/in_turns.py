"""One search that many processes go on with, each in its turn: whoever has a turn hears, decides and takes a trial.

A turn reads what others have journalled, so a search depends on its journal alone. Who has a turn is decided elsewhere.
"""

from collections.abc import Callable, Mapping

from sweeper.planning.searched import Search
from sweeper.planning.trial_spec import TrialSpec
from sweeper.results.paths import Results
from sweeper.search.deciding import Deciding
from sweeper.search.state import Line, Promotions


class InTurns(Deciding):
    """One search as one of several processes sees it."""

    def __init__(
        self, search: Search, results: Results, failed: Mapping[str, int], still_mine: Callable[[], None]
    ) -> None:
        """`failed` has the trials whose failure counts no more, with the attempt up to which that holds.

        `still_mine` is called before each line, and raises SweepError if another process has the turn.
        """
        super().__init__(search, results, again=lambda one: one.attempt <= failed.get(one.trial_id, 0))
        self._still_mine = still_mine
        self._begun = self._over = False
        self.confirmable = 0
        """How many confirmations the last turn has made possible, beside the one that it gave."""

    @property
    def over(self) -> bool:
        """Whether the last turn has found that nothing is left to train, by this process or by another."""
        return self._over

    def turn(self, free: Callable[[TrialSpec], bool]) -> TrialSpec | None:
        """Hear what has ended, decide what follows, and return a trial that is `free`, None if there is none now.

        Trials that were asked for earlier come first. Raises SweepError, OSError.
        """
        self._catch_up()
        choices = len(self.state.choices)
        self._queue.clear()
        self.confirmable = 0
        self._take_up()
        while True:
            while self._queue:
                _, spec = self._queue.popleft()
                if free(spec):
                    return spec
            if not self._go_on():
                break
        left = [spec for _, spec in self._unconfirmed()]
        self._over = not left and not self.state.pending
        if len(self.state.choices) > choices:
            self.confirmable = max(len(left) - 1, 0)
        return next((spec for spec in left if free(spec)), None)

    def _catch_up(self) -> None:
        if not self._begun:
            self._read()
            self._begun = True
        elif self._journal.catch_up():
            self.state = self._journal.state
            self._promotions = Promotions(self._rules)

    def _append(self, line: Line) -> None:
        self._still_mine()
        super()._append(line)
