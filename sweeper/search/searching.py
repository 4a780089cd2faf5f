"""One search in a run of one process: what it gives to a dealer next, and what it hears of what comes back.

Hears, decides and journals as `deciding` says. Trains nothing.
"""

from analysis.contract.lifecycle import Phase
from sweeper.errors import SweepError
from sweeper.planning.searched import Search
from sweeper.planning.trial_spec import TrialSpec
from sweeper.results.locks import Lock, holder_of
from sweeper.results.paths import Results
from sweeper.search.deciding import Deciding, Sent
from sweeper.search.trials import trial_of


class Searching(Deciding):
    """One search that this process goes on with, from `open` to `close`."""

    def __init__(self, search: Search, results: Results, *, retry_failed: bool = False) -> None:
        super().__init__(search, results, again=lambda summary: retry_failed)
        self._lock = Lock(results.search(search.search_id))
        self._out: dict[str, Sent] = {}
        self._confirmed: tuple[int, ...] = ()
        self._idle = False

    def open(self) -> None:
        """Lock the search, fold its journal, and hear what has finished since. Raises SweepError, OSError."""
        if not self._lock.take():
            holder = holder_of(self._results.search(self.search.search_id)) or {
                "host": "another host",
                "pid": "unknown",
            }
            raise SweepError(
                f"search {self.search.search_id} ({self.search.name}) is gone on with already, by process "
                f"{holder['pid']} on {holder['host']}; `sweeper stop` ends that run"
            )
        self._read()
        self._take_up()

    def close(self) -> None:
        """Let the search go."""
        self._lock.release()

    @property
    def over(self) -> bool:
        """Whether there is nothing to send, now or later in this run."""
        return self._idle and not self._queue and not self._out

    @property
    def busy(self) -> int:
        """The number of trials that are out now."""
        return len(self._out)

    @property
    def progress(self) -> tuple[int, int, str]:
        """The proposals that it may make, those that it has made, and in words how many have reached each rung."""
        state, rungs = self.state, self.search.rungs
        heard = [0] * len(rungs)
        for one in list(state.history):
            heard[one.rung] += 1
        made = len(state.proposals)
        reached = ", ".join(
            f"{count} at {step or 'the end'}" for count, step in zip(heard, rungs, strict=True) if count
        )
        words = f"{made}/{self._rules.trials} proposed{f' · {reached}' if reached else ''} · {self.search.name}"
        return self._rules.trials, made, words

    @property
    def most(self) -> int:
        """How many trials it may have out at once, at most: its proposals, or their confirmations."""
        confirm = self.search.spec.confirm
        return max(self._rules.trials, 0 if confirm is None else confirm.best * len(confirm.seeds))

    def next(self) -> TrialSpec | None:
        """Return the next trial to train to its target, None if there is none now. Raises SweepError, OSError."""
        while True:
            if self._queue:
                sent, spec = self._queue.popleft()
                self._out[spec.trial_id] = sent
                return spec
            if not self._go_on() and not self._confirm():
                self._idle = True
                return None

    def heard(self, trial_id: str, phase: Phase) -> bool:
        """Take the end of a trial in this run, and return whether it is one of this search. Raises OSError."""
        sent = self._out.pop(trial_id, None)
        if sent is None:
            return False
        self._idle = False
        if sent.rung is None:
            return True
        made = self.state.proposals[sent.number]
        spec = trial_of(self.search, made, sent.rung)
        if phase == "failed":
            self._hear(sent.number, sent.rung, None, "failed")
        else:  # a trial that another run holds, or that was stopped, stays pending
            self._heard_already(sent, spec)
        return True

    def _confirm(self) -> bool:
        """Queue the confirmations of the last choice, once; return whether there are any."""
        if not self.state.choices or self._confirmed == self.state.choices[-1].best:
            return False
        if self.search.spec.confirm is None or self.state.pending:
            return False
        self._confirmed = self.state.choices[-1].best
        self._queue.extend(self._unconfirmed())
        return bool(self._queue)
