"""One search in a run: what it gives to a dealer next, and what it journals of what comes back. Trains nothing.

Every line is on disk before anyone acts on it. What finished while nobody listened is heard first, in the order of rung
and number. Then a search depends on its journal alone.
"""

from collections import deque
from collections.abc import Iterator
from typing import Literal, NamedTuple

from analysis.contract.lifecycle import Phase
from sweeper.errors import SweepError
from sweeper.planning.searched import Search
from sweeper.planning.trial_spec import TrialSpec
from sweeper.results.fold import fold
from sweeper.results.locks import Lock, holder_of
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


class _Sent(NamedTuple):
    """What a trial is sent for: a proposal at a rung, or a confirmation (rung None)."""

    number: int
    rung: int | None


class Searching:
    """One search that this process goes on with, from `open` to `close`."""

    def __init__(self, search: Search, results: Results, *, retry_failed: bool = False) -> None:
        self.search = search
        self._results = results
        self._retry_failed = retry_failed
        self._rules = rules_of(search)
        self._promotions = Promotions(self._rules)
        self._lock = Lock(results.search(search.search_id))
        self._queue: deque[tuple[_Sent, TrialSpec]] = deque()
        self._out: dict[str, _Sent] = {}
        self._confirmed: tuple[int, ...] = ()
        self._idle = False

    def open(self) -> None:
        """Lock the search, fold its journal, and hear what has finished since. Raises SweepError, OSError."""
        paths = self._results.search(self.search.search_id)
        if not self._lock.take():
            holder = holder_of(paths) or {"host": "another host", "pid": "unknown"}
            raise SweepError(
                f"search {self.search.search_id} ({self.search.name}) is gone on with already, by process "
                f"{holder['pid']} on {holder['host']}; `sweeper stop` ends that run"
            )
        self._journal = SearchJournal(paths)
        self.state = self._journal.state
        self._take_up()

    def _take_up(self) -> None:
        """Hear what has finished since the last line, in the order of rung and number, and queue what has not."""
        waiting = [self.state.proposals[number] for number in self.state.pending]
        for made in sorted(waiting, key=lambda made: (made.rung, made.number)):
            if made.impossible:
                self._hear(made.number, made.rung, None, "impossible")
                continue
            sent, spec = _Sent(made.number, made.rung), trial_of(self.search, made, made.rung)
            if not self._heard_already(sent, spec):
                self._queue.append((sent, spec))

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
        sent, spec = _Sent(number, rung), spec or trial_of(self.search, self.state.proposals[number], rung)
        if not self._heard_already(sent, spec):
            self._queue.append((sent, spec))

    def _heard_already(self, sent: _Sent, spec: TrialSpec) -> bool:
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

    def _confirm(self) -> bool:
        """Queue the confirmations of the last choice, once; return whether there are any."""
        if not self.state.choices or self._confirmed == self.state.choices[-1].best:
            return False
        if self.search.spec.confirm is None or self.state.pending:
            return False
        self._confirmed = self.state.choices[-1].best
        self._queue.extend(self._unconfirmed())
        return bool(self._queue)

    def _unconfirmed(self) -> Iterator[tuple[_Sent, TrialSpec]]:
        """Yield the confirmations of the last choice that have not ended; none while a proposal is pending."""
        confirm = self.search.spec.confirm
        if confirm is None or self.state.pending or not self.state.choices:
            return
        for number in self.state.choices[-1].best:
            for seed in confirm.seeds:
                spec = self.search.confirmation(self.state.proposals[number].params, seed)
                if self._found(spec) == "open":
                    yield _Sent(number, None), spec

    def _again(self, summary: TrialSummary) -> bool:
        """Return whether a trial that has failed is trained again."""
        return self._retry_failed

    def _hear(self, number: int, rung: int, value: float | None, end: End) -> None:
        step = self.search.rungs[rung]
        self._append({"kind": "heard", "n": number, "rung": rung, "step": step, "value": value, "end": end})

    def _write(self, line: Line) -> None:
        self._append(line | {"heard": len(self.state.history)})

    def _append(self, line: Line) -> None:
        self._journal.append(line)
