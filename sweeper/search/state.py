"""What the lines of a search's journal say: proposals, values, promotions and choices. Pure: reads and writes nothing.

Kinds of line: `search` (once, with the facts that identify it), `asked`, `heard`, `promoted`, `chosen`. A line is only
understood after those before it, so a fold checks as it goes that each one can follow.
"""

from bisect import insort
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from sweeper.sweepfile.space import Param

Line = dict[str, Any]
FORM = 1
End = Literal["done", "diverged", "failed", "impossible", "unmeasured"]
ENDS: tuple[End, ...] = ("done", "diverged", "failed", "impossible", "unmeasured")
"""How a proposal reached a rung, or did not. All but `done` count as the worst value."""


class FoldError(ValueError):
    """A line that no search writes after those before it. The message says why."""


class Heard(NamedTuple):
    """One value: of proposal `number` at `rung`, None if it has none because of its `end`."""

    number: int
    rung: int
    value: float | None
    end: End


class Choice(NamedTuple):
    """The best proposals at a moment: after `heard` values of `trials` proposals."""

    trials: int
    heard: int
    best: tuple[int, ...]


@dataclass
class Proposal:
    """One proposal and what became of it. `rung` is the one it was last sent to, `values` has those it has reached.

    `trial` is the id of its trial, "" if it is `impossible`. `duplicate` is the earlier proposal of the same trial.
    `known` is the number of values that the sampler knew, and `pending` which proposals still trained.
    """

    number: int
    params: Mapping[str, Param]
    trial: str
    known: int
    pending: tuple[int, ...]
    duplicate: int | None = None
    impossible: str = ""
    rung: int = 0
    values: list[Heard] = field(default_factory=list)

    @property
    def waits(self) -> bool:
        """Whether the value at its rung is not heard yet."""
        return self.duplicate is None and len(self.values) <= self.rung

    @property
    def reached(self) -> Heard | None:
        """The value at the highest rung that it has reached with a number, else what is known of it."""
        numbered = [heard for heard in self.values if heard.value is not None]
        return numbered[-1] if numbered else self.values[-1] if self.values else None


@dataclass
class State:
    """A search as its journal tells it, folded line by line."""

    facts: Mapping[str, Any] = field(default_factory=dict)
    proposals: list[Proposal] = field(default_factory=list)
    history: list[Heard] = field(default_factory=list)
    choices: list[Choice] = field(default_factory=list)
    by_trial: dict[str, int] = field(default_factory=dict)
    _waiting: dict[int, None] = field(default_factory=dict)

    @property
    def pending(self) -> tuple[int, ...]:
        """The proposals whose value is not heard yet, in order."""
        return tuple(sorted(self._waiting))

    def add(self, line: Line) -> None:
        """Fold one more line. Raises FoldError if it can't follow, KeyError or TypeError if it is malformed."""
        kind = line["kind"]
        if kind == "search":
            self._begin(line)
        elif not self.facts:
            raise FoldError("does not begin a search")
        elif kind == "asked":
            self._asked(line)
        elif kind == "heard":
            self._heard(line)
        elif kind == "promoted":
            self._promoted(line)
        elif kind == "chosen":
            self._chosen(line)
        else:
            raise FoldError(f"is of the kind {kind!r:.40}, which is none of a search")

    def _begin(self, line: Line) -> None:
        if self.facts:
            raise FoldError("begins the search again")
        if line["form"] != FORM:
            raise FoldError(f"has form {line['form']!r:.20}; a newer sweeper may have written it, update this one")
        self.facts = line["facts"]

    def _asked(self, line: Line) -> None:
        number = line["n"]
        if number != len(self.proposals):
            raise FoldError(f"asks for proposal {number}, and the next is {len(self.proposals)}")
        self._check_known(line)
        if tuple(line["pending"]) != self.pending:
            raise FoldError(f"says that {line['pending']} are pending, and {list(self.pending)} are")
        trial = line["trial"]
        duplicate = self.by_trial.get(trial) if trial else None
        if line.get("duplicate") != duplicate:
            raise FoldError(f"says that it is a duplicate of {line.get('duplicate')}, and it is one of {duplicate}")
        made = Proposal(
            number=number,
            params=line["params"],
            trial=trial,
            known=line["heard"],
            pending=tuple(line["pending"]),
            duplicate=duplicate,
            impossible=line.get("impossible", ""),
        )
        if bool(trial) == bool(made.impossible):
            raise FoldError("has a trial and is impossible, or neither")
        self.proposals.append(made)
        if trial:
            self.by_trial.setdefault(trial, number)
        if duplicate is None:
            self._waiting[number] = None

    def _heard(self, line: Line) -> None:
        made = self._proposal(line["n"])
        if not made.waits or line["rung"] != made.rung:
            raise FoldError(f"hears proposal {made.number} at rung {line['rung']}, where it does not train")
        value, end = line["value"], line["end"]
        if end not in ENDS or (value is None) == (end == "done"):
            raise FoldError(f"has the value {value!r:.30} for the end {end!r:.30}")
        heard = Heard(made.number, made.rung, None if value is None else float(value), end)
        made.values.append(heard)
        self.history.append(heard)
        del self._waiting[made.number]

    def _promoted(self, line: Line) -> None:
        made = self._proposal(line["n"])
        self._check_known(line)
        value = made.values[-1].value if made.values else None
        if made.waits or made.duplicate is not None or value is None or line["rung"] != made.rung + 1:
            raise FoldError(f"promotes proposal {made.number} to rung {line['rung']}, and it is at {made.rung}")
        made.rung += 1
        self._waiting[made.number] = None

    def _chosen(self, line: Line) -> None:
        self._check_known(line)
        best = tuple(line["best"])
        for number in best:
            self._proposal(number)
        self.choices.append(Choice(line["trials"], line["heard"], best))

    def _proposal(self, number: Any) -> Proposal:
        if type(number) is not int or not 0 <= number < len(self.proposals):
            raise FoldError(f"names proposal {number!r:.20}, which was never asked for")
        return self.proposals[number]

    def _check_known(self, line: Line) -> None:
        if line["heard"] != len(self.history):
            raise FoldError(f"was written after {line['heard']} values, and {len(self.history)} stand before it")


def folded(lines: Iterable[Line]) -> State:
    """Return the state after `lines`. Raises as `State.add`."""
    state = State()
    for line in lines:
        state.add(line)
    return state


class Told(NamedTuple):
    """What a sampler is told of one proposal: its point, and the value at the highest rung heard; None while it trains.

    A proposal without a number has the worst value of those known at the time.
    """

    number: int
    params: Mapping[str, Param]
    rung: int
    value: float | None


def told(state: State, known: int, asked: int, better: str) -> list[Told]:
    """Return what is known of the first `asked` proposals after the first `known` values, in order of their numbers."""
    reached: dict[int, Heard] = {}
    bad: set[int] = set()
    numbers: list[float] = []
    for heard in state.history[:known]:
        if heard.value is None:
            bad.add(heard.number)
        else:
            numbers.append(heard.value)
            reached[heard.number] = heard
    worst = (min if better == "higher" else max)(numbers, default=None)
    found: list[Told] = []
    for made in state.proposals[:asked]:
        of = made.number if made.duplicate is None else made.duplicate
        if of in reached:
            found.append(Told(made.number, made.params, reached[of].rung, reached[of].value))
        elif of not in bad:
            found.append(Told(made.number, made.params, 0, None))
        elif worst is not None:
            found.append(Told(made.number, made.params, 0, worst))
    return found


def best(state: State, better: str, count: int) -> tuple[int, ...]:
    """Return the `count` best proposals: those at the highest rung first, by value, ties by number."""
    sign = -1.0 if better == "higher" else 1.0
    ranked = [
        (-made.reached.rung, sign * made.reached.value, made.number)
        for made in state.proposals
        if made.duplicate is None and made.reached is not None and made.reached.value is not None
    ]
    return tuple(number for _, _, number in sorted(ranked)[:count])


class Promote(NamedTuple):
    """Send a proposal to its next rung."""

    number: int
    rung: int


class Ask(NamedTuple):
    """Ask for the next proposal."""

    number: int


class Choose(NamedTuple):
    """Write down the best proposals."""

    best: tuple[int, ...]


class Rules(NamedTuple):
    """How a search goes on: trials to propose, rungs, factor, which values are better, how many are chosen."""

    trials: int
    rungs: int
    factor: int
    better: str
    chosen: int


Decision = Promote | Ask | Choose | None


def decide(state: State, rules: Rules, promotions: "Promotions") -> Decision:
    """Return what a search does next when a worker is free; None if it waits for a value or is over."""
    if (found := promotions.next(state)) is not None:
        return found
    if len(state.proposals) < rules.trials:
        return Ask(len(state.proposals))
    if state.pending or not rules.chosen:
        return None
    chosen = best(state, rules.better, rules.chosen)
    last = state.choices[-1] if state.choices else None
    return Choose(chosen) if chosen and (last is None or last.best != chosen) else None


class Promotions:
    """Which proposals go on: the best 1/factor of those heard at a rung, higher rungs first, each proposal once."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._sign = -1.0 if rules.better == "higher" else 1.0
        self._seen = 0
        self._ranked: list[list[tuple[float, int]]] = [[] for _ in range(rules.rungs)]
        self._counts = [0] * rules.rungs

    def next(self, state: State) -> Promote | None:
        """Return the proposal to promote next, None if there is none."""
        for heard in state.history[self._seen :]:
            self._counts[heard.rung] += 1
            if heard.value is not None:
                insort(self._ranked[heard.rung], (self._sign * heard.value, heard.number))
        self._seen = len(state.history)
        for rung in reversed(range(self._rules.rungs - 1)):
            for _, number in self._ranked[rung][: self._counts[rung] // self._rules.factor]:
                if state.proposals[number].rung == rung:
                    return Promote(number, rung + 1)
        return None


def expected_steps(rungs: Sequence[int], factor: int, trials: int) -> int:
    """Return the steps that `trials` trials take with halving, if none diverges: each step is taken once."""
    total, left, before = 0, trials, 0
    for steps in rungs:
        total += left * (steps - before)
        left, before = left // factor, steps
    return total
