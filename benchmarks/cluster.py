"""A cluster that is played: slots on nodes, workers that train, diverge, fail, freeze and vanish, by discrete events.

It asks a dealer for work and reports to it as Ray Tune's hooks do; what it knows to have happened is its `ledger`.
"""

import io
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from heapq import heappop, heappush
from itertools import count
from typing import Any

import numpy as np

from analysis.contract.lifecycle import UpdateStatus
from sweeper.dealing.assignment import Assignment, Member, MemberUpdate, Update
from sweeper.dealing.dealer import LOST_RETRIES, Dealer
from sweeper.results.paths import Results, step_of
from trainers.maml.checkpoints.head import NOTHING_SCORED

SLOTS_OF_NODE = 8
TICK_S = 4.0
REPORTS = 4
"""Reports of a whole training; a real worker sends one a second."""
MEDIAN_S = 600.0
"""Virtual seconds of a whole training; they vary from half of it to twice as much."""
TIMEOUT_S = 600.0
"""Virtual seconds without a report after which a worker is given up."""
LOST, FROZEN, NODE_LOST_EVERY_S, NODE_AWAY_S = 0.02, 0.002, 2000.0, 120.0
"""Chances that an attempt's worker vanishes or freezes, and how often a whole node does and for how long."""
DIVERGES, FAILS, TOO_LARGE = 0.005, 0.002, 0.1
"""Chances that a trial diverges or has an error, and that a pack of more than four is too large for memory."""

HEADS = {"trained": [0.2, 0.5], "zeroed": [0.2, 0.5]}
EVALUATION = {"split": "test", "episodes": 100, "accuracy": HEADS, "sd": HEADS}
TRAINING = {"query_loss": 1.0, "query_accuracy": 0.5}


@dataclass
class Ledger:
    """What happened, as the cluster saw it."""

    dealt: Counter[str] = field(default_factory=Counter)
    interrupted: Counter[str] = field(default_factory=Counter)
    """Attempts that a trial lost: with its worker, its pack or the driver."""
    ended: dict[str, str] = field(default_factory=dict)
    lost: Counter[str] = field(default_factory=Counter)
    """Of those, the workers lost since the driver began, which it forgives three times."""
    events: Counter[str] = field(default_factory=Counter)
    twice: list[str] = field(default_factory=list)
    """Trials that were dealt while they were out, or after their end."""


@dataclass
class _Pack:
    assignment: Assignment
    slot: int
    left: list[Member]
    report_s: float
    report: int
    told: int = 0
    frozen: bool = False


class Cluster:
    """Slots that work for one dealer after another; `now_s` is their clock, and the dealer's."""

    def __init__(self, slots: int, targets: dict[str, int], results: Results, seed: int) -> None:
        self.now_s = 0.0
        self.ledger = Ledger()
        self._targets = targets
        self._results = results
        self._draw = random.Random(seed)
        self._seed = seed
        self._slots = range(slots)
        self._free = list(self._slots)
        self._out: set[str] = set()
        self._nodes = (slots + SLOTS_OF_NODE - 1) // SLOTS_OF_NODE
        self._packs: dict[int, _Pack] = {}
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()

    def run(self, dealer: Dealer, until: Callable[[], bool]) -> None:
        """Work for `dealer` until its run is over, or `until` says that it is killed this moment."""
        self._dealer = dealer
        self._at(TICK_S, self._tick)
        self._at(NODE_LOST_EVERY_S, self._lose_node)
        while not dealer.over and not until():
            while self._free and (assignment := dealer.next_assignment()) is not None:
                self._start(assignment)
            self.now_s, _, act = heappop(self._events)
            act()
            dealer.poll()

    def kill_driver(self) -> None:
        """Forget the dealer and what it has dealt, as the kernel and the workers do when the driver is killed."""
        self.ledger.events["driver killed"] += 1
        for pack in self._packs.values():
            self._save(pack)
            for member in pack.left:
                self.ledger.interrupted[member["trial_id"]] += 1
        for trial in self._dealer.trials.values():
            if trial.lock is not None:
                trial.lock.release()
        self._free = list(self._slots)
        self._out.clear()
        self._packs.clear()
        self._events.clear()
        self.ledger.lost.clear()

    def _at(self, after_s: float, act: Callable[[], None]) -> None:
        heappush(self._events, (self.now_s + after_s, next(self._order), act))

    def _tick(self) -> None:
        """Look for silent packs and ask for work once more, as Tune does all the time."""
        for number in self._dealer.overdue():
            late = self._packs[number]
            self._lose(number, "frozen worker given up")
            self._at(1.0, partial(self._dealer.receive, self._update(late, late.left, "done")))  # it wakes too late
        self._at(TICK_S, self._tick)

    def _start(self, assignment: Assignment) -> None:
        for member in assignment["members"]:
            name = member["trial_id"]
            if name in self._out or name in self.ledger.ended:
                self.ledger.twice.append(name)
            self.ledger.dealt[name] += 1
            self._out.add(name)
        whole_s = MEDIAN_S * 2 ** self._draw.uniform(-1.0, 1.0)
        begun = min(self._saved(member) for member in assignment["members"])
        pack = _Pack(assignment, self._free.pop(), list(assignment["members"]), whole_s / REPORTS, begun)
        self._packs[assignment["pack"]] = pack
        number, fate = assignment["pack"], self._draw.random()
        if len(pack.left) > 4 and self._draw.random() < TOO_LARGE:
            self._at(1.0, lambda: self._report(number, too_large=True))
            return
        if fate < LOST:
            self._at(whole_s * self._draw.random(), lambda: self._lose(number, "worker lost"))
        pack.frozen = LOST <= fate < LOST + FROZEN
        self._at(pack.report_s, lambda: self._report(number))

    def _report(self, number: int, *, too_large: bool = False) -> None:
        pack = self._packs.get(number)
        if pack is None or pack.frozen:
            return
        pack.report += not too_large
        size, members = len(pack.assignment["members"]), list(pack.left)
        stands = {m["trial_id"]: "memory" if too_large else self._status(m["trial_id"], pack.report) for m in members}
        if "failed" in stands.values():  # an error is the whole pack's until each trains alone
            stands = dict.fromkeys(stands, "failed")
        for member in members:
            name, status = member["trial_id"], stands[member["trial_id"]]
            self._dealer.receive(self._update(pack, [member], status))
            if status == "running":
                continue
            pack.left.remove(member)
            if status in ("memory", "failed") and size > 1:
                self._interrupt(name, "out of memory in a pack" if too_large else "error in a pack")
            else:
                self._end(name, status)
        pack.told = pack.report
        if pack.left:
            self._at(pack.report_s, lambda: self._report(number))
        else:
            self._vacate(number)

    def _interrupt(self, name: str, event: str) -> None:
        self.ledger.interrupted[name] += 1
        self.ledger.events[event] += 1
        self._out.remove(name)

    def _end(self, name: str, status: str) -> None:
        self.ledger.ended[name] = status
        self.ledger.events[status] += 1
        self._out.remove(name)

    def _status(self, name: str, report: int) -> UpdateStatus:
        """Return how `name` stands at a report: its own doing is drawn from its name, alike in every attempt."""
        own = random.Random(f"{self._seed} {name}")
        chance, when = own.random(), own.randint(1, REPORTS)
        if chance < DIVERGES + FAILS and report >= when:
            return "diverged" if chance < DIVERGES else "failed"
        return "done" if report == REPORTS else "running"

    def _lose(self, number: int, event: str) -> None:
        """Let a worker vanish with all that it had, but for the checkpoints."""
        pack = self._packs.get(number)
        if pack is None:
            return
        self._save(pack)
        for member in pack.left:
            name = member["trial_id"]
            self.ledger.lost[name] += 1
            if self.ledger.lost[name] > LOST_RETRIES:
                self._end(name, "failed")
            else:
                self._interrupt(name, event)
        self._vacate(number)

    def _vacate(self, number: int) -> None:
        self._free.append(self._packs.pop(number).slot)
        self._dealer.ended(number)

    def _lose_node(self) -> None:
        """Let a node vanish; its slots come back later."""
        node = self._draw.randrange(self._nodes)
        self.ledger.events["node lost"] += 1
        for number in [n for n, pack in self._packs.items() if pack.slot // SLOTS_OF_NODE == node]:
            self._lose(number, "worker lost with its node")
        away = [slot for slot in self._free if slot // SLOTS_OF_NODE == node]
        self._free = [slot for slot in self._free if slot // SLOTS_OF_NODE != node]
        self._at(NODE_AWAY_S, lambda: self._free.extend(away))
        self._at(NODE_LOST_EVERY_S, self._lose_node)

    def _save(self, pack: _Pack) -> None:
        """Leave checkpoints of the last report, or of the one before; the dealer looks at names and heads alone."""
        saved = pack.report - self._draw.randint(0, 1)
        for member in pack.left if saved > 0 else []:
            step = _step(self._targets[member["trial_id"]], saved)
            path = self._results.trial(member["trial_id"]).checkpoint(member["attempt"], step)
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(_HEAD)

    def _saved(self, member: Member) -> int:
        target = self._targets[member["trial_id"]]
        found = self._results.trial(member["trial_id"]).checkpoints(target)
        return REPORTS * step_of(found[0]) // target if found else 0

    def _update(self, pack: _Pack, members: list[Member], status: UpdateStatus) -> Update:
        """Return what a worker sends: the first report of an attempt has all again that its checkpoint had."""
        told = []
        for member in members:
            target = self._targets[member["trial_id"]]
            records: list[tuple[int, str, dict[str, Any]]] = [
                (_step(target, number), "training", TRAINING) for number in range(pack.told + 1, pack.report + 1)
            ]
            if status == "done":
                records.append((target, "evaluation", EVALUATION))
            told.append(
                MemberUpdate(
                    trial_id=member["trial_id"],
                    attempt=member["attempt"],
                    step=_step(target, pack.report),
                    records=records,
                    status=status,
                    message="RuntimeError: played" if status == "failed" else "",
                )
            )
        return Update(pack=pack.assignment["pack"], members=told, over=status != "running")


def _head() -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, correct=np.zeros(NOTHING_SCORED, np.int64))
    return buffer.getvalue()


_HEAD = _head()


def _step(target: int, report: int) -> int:
    return target * report // REPORTS
