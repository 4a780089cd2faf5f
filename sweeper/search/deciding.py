"""What a search that goes on does, however many processes go on with it: hears ends, decides, and journals both.

Every line is on disk before anyone acts on it. What finished while nobody listened is heard first, in the order of rung
and number. Then a search depends on its journal alone. Hands out no trial.
"""

from collections import deque
from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

from sweeper.planning.searched import Search
from sweeper.planning.trial_spec import TrialSpec
from sweeper.results.fold import fold
from sweeper.results.paths import Results
from sweeper.results.survey import judge
from sweeper.results.trial_summary import TrialSummary, read_summary
from sweeper.search.journal import SearchJournal
from sweeper.search.propose import made_by, proposed
from sweeper.search.state import Ask, Choose, End, Line, Promote, Promotions, decide
from sweeper.search.trials import rules_of, trial_of
from sweeper.search.value import value_at
from trainers.trainer import ConfigError

Found = Literal["done", "diverged", "failed", "open", "unreadable"]


class Sent(NamedTuple):
    """What a trial is sent for: a proposal at a rung, or a confirmation (rung None)."""

    number: int
    rung: int | None


class Deciding:
    """One search: its state as this process knows it, and a queue of the trials that may train now."""

    def __init__(self, search: Search, results: Results, *, again: Callable[[TrialSummary], bool]) -> None:
        """`again` says of a trial that has failed whether it is trained again."""
        self.search = search
        self._again = again
        self._results = results
        self._rules = rules_of(search)
        self._promotions = Promotions(self._rules)
        self._queue: deque[tuple[Sent, TrialSpec]] = deque()

    def _read(self) -> None:
        """Fold the journal. Raises SweepError, OSError."""
        self._journal = SearchJournal(self._results.search(self.search.search_id))
        self.state = self._journal.state

    def _take_up(self) -> None:
        """Hear what has finished since the last line, in the order of rung and number, and queue what has not."""
        waiting = [self.state.proposals[number] for number in self.state.pending]
        for made in sorted(waiting, key=lambda made: (made.rung, made.number)):
            if made.impossible:
                self._hear(made.number, made.rung, None, "impossible")
                continue
            sent, spec = Sent(made.number, made.rung), trial_of(self.search, made, made.rung)
            if not self._heard_already(sent, spec):
                self._queue.append((sent, spec))

    def _go_on(self) -> bool:
        """Write down the next decision, and queue the trial that follows from it; return whether there was one."""
        decision = decide(self.state, self._rules, self._promotions)
        if isinstance(decision, Promote):
            self._write({"kind": "promoted", "n": decision.number, "rung": decision.rung})
            self._send(decision.number, decision.rung)
        elif isinstance(decision, Ask):
            self._ask(decision.number)
        elif isinstance(decision, Choose):
            self._write({"kind": "chosen", "trials": len(self.state.proposals), "best": list(decision.best)})
        return decision is not None

    def _ask(self, number: int) -> None:
        """Write down the next proposal with all that was known, and queue its trial."""
        self._journal.begin(self.search.facts)
        params = dict(proposed(self.search, self.state, number, len(self.state.history)))
        line: Line = {"kind": "asked", "n": number, "params": params, "pending": list(self.state.pending)}
        if maker := made_by(self.search):
            line["by"] = maker
        try:
            spec = self.search.trial(params, 0)
        except ConfigError as error:
            self._write(line | {"trial": "", "impossible": str(error)})
            self._hear(number, 0, None, "impossible")
            return
        duplicate = self.state.by_trial.get(spec.trial_id)
        if duplicate is not None:
            self._write(line | {"trial": spec.trial_id, "duplicate": duplicate})
            return
        self._write(line | {"trial": spec.trial_id})
        self._send(number, 0, spec)

    def _send(self, number: int, rung: int, spec: TrialSpec | None = None) -> None:
        """Queue a trial, unless another run has trained it that far already: then its value is heard at once."""
        sent, spec = Sent(number, rung), spec or trial_of(self.search, self.state.proposals[number], rung)
        if not self._heard_already(sent, spec):
            self._queue.append((sent, spec))

    def _heard_already(self, sent: Sent, spec: TrialSpec) -> bool:
        """Journal the value of a trial that has ended at its target, and return whether it has."""
        assert sent.rung is not None
        found = self._found(spec)
        if found == "done":
            record = fold(self._results.trial(spec.trial_id).journal)
            assert record is not None
            value = value_at(record, self.search.metric, spec.target)
            self._hear(sent.number, sent.rung, value, "unmeasured" if value is None else "done")
        elif found in ("diverged", "failed"):
            self._hear(sent.number, sent.rung, None, found)
        else:
            return False
        return True

    def _found(self, spec: TrialSpec) -> Found:
        """Return how a trial stands on disk. One that failed and is trained again is open."""
        summary = read_summary(self._results.trial(spec.trial_id).journal)
        if summary is not None and summary.trouble:
            return "unreadable"
        state, _ = judge(summary, spec.target, held=False)
        if state == "failed" and summary is not None and self._again(summary):
            return "open"
        return state if state in ("done", "diverged", "failed") else "open"

    def _unconfirmed(self) -> Iterator[tuple[Sent, TrialSpec]]:
        """Yield the confirmations of the last choice that have not ended; none while a proposal is pending."""
        confirm = self.search.spec.confirm
        if confirm is None or self.state.pending or not self.state.choices:
            return
        for number in self.state.choices[-1].best:
            for seed in confirm.seeds:
                spec = self.search.confirmation(self.state.proposals[number].params, seed)
                if self._found(spec) == "open":
                    yield Sent(number, None), spec

    def _hear(self, number: int, rung: int, value: float | None, end: End) -> None:
        step = self.search.rungs[rung]
        self._append({"kind": "heard", "n": number, "rung": rung, "step": step, "value": value, "end": end})

    def _write(self, line: Line) -> None:
        self._append(line | {"heard": len(self.state.history)})

    def _append(self, line: Line) -> None:
        self._journal.append(line)
