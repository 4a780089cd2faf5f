"""The nodes of a joined cluster: which may train, how much room they have, and when one or all are lost.

Starts no workers; `tune` does.
"""

import contextlib
import json
import logging
import os
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from sweeper.errors import SweepError
from sweeper.executors.node_check import TOKEN_FILE, Answer, Asked, examine, word_of
from sweeper.executors.ray.place import room_on

from sweeper.executors.ray.environment import RayGone  # isort: skip  # sets what ray reads on import

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

import sweeper.executors.ray.entrypoint  # noqa: F401

logger = logging.getLogger(__name__)

WATCH_EVERY_S = 1.0
ANSWER_S = 600.0
"""How long a node may take to answer; it may have to convert a data set first."""
SHARED_S = 10.0
"""How long the driver waits until it sees a file that a node has written."""
LOST_S = 15.0
"""A cluster that hasn't answered for this long is lost; Ray itself ends a driver after a minute without it."""
EMPTY_S = 60.0
"""How long trials wait for a node that may train when there is none."""
ATTENTIVE_S = 5.0
"""A driver that paused for longer was suspended; that silence says nothing about the cluster."""
HELD_S = 5.0
"""How long the main thread may take to notice a loss; a call into Ray on a lost cluster never returns."""
GO_ON = (
    "the journals are complete and every trial is kept up to its last checkpoint; run the same command to go on once "
    "the cluster is back"
)


class ClusterError(SweepError):
    """The cluster can't be joined, or one of its nodes may not train for this run; nothing was started."""

    exit_code = 4


def living() -> list[dict[str, Any]]:
    """Return the nodes that the cluster considers alive, as Ray describes them."""
    return [node for node in ray.nodes() if node["Alive"]]


class Nodes:
    """The RayPlace of a run on a cluster. Call its methods from one thread; its own threads watch the cluster."""

    def __init__(self, address: str, asked: Asked, slot: Mapping[str, float], tell: Callable[[str], None]) -> None:
        """`tell` gets a sentence about each node that joins, leaves or may not train once the run has begun."""
        self.asked = json.dumps(asked)
        self._address = address
        self._wanted = asked
        self._slot = slot
        self._tell = tell
        self._answers: dict[str, Any] = {}
        self._trouble: dict[str, str] = {}
        """What is wrong with each node that has answered, one fault per line; empty for a node that may train."""
        self._living: dict[str, Mapping[str, Any]] = {}
        self._seen_s = self._fit_s = self._asked_s = time.monotonic()
        self._gone = ""
        self._ports = _ports()

    def slots(self) -> int:
        """See RayPlace: the room on living nodes that may train."""
        return sum(room_on(node, self._slot) for name, node in self._living.items() if self._trouble.get(name) == "")

    def avoided(self) -> tuple[str, ...]:
        """See RayPlace: the living nodes that have not answered yet or may not train."""
        return tuple(sorted(name for name in self._living if self._trouble.get(name) != ""))

    def avoid(self, node: str, trouble: str) -> None:
        """See RayPlace."""
        if self._trouble.get(node) == "":
            self._trouble[node] = trouble
            self._tell(f"{self._named(node)} gets no more trials: {trouble}")

    def require_life(self) -> None:
        """See RayPlace."""
        self._asked_s = time.monotonic()
        if self._gone:
            raise RayGone(self._gone)

    @contextlib.contextmanager
    def watched(self, given_up: Callable[[], bool]) -> Iterator["Nodes"]:
        """Examine every node, then watch while the block lasts. Raises ClusterError with the faults of each node."""
        meeting = Path(self._wanted["meeting"])
        meeting.mkdir(parents=True)
        over = threading.Event()
        try:
            (meeting / TOKEN_FILE).write_text(self._wanted["token"], encoding="utf-8")
            self._ask_all(given_up)
            self._seen_s = self._fit_s = self._asked_s = time.monotonic()
            for target in (self._watch, self._notice_loss):
                threading.Thread(target=target, args=(over,), name="nodes", daemon=True).start()
            yield self
        finally:
            over.set()
            shutil.rmtree(meeting, ignore_errors=True)
            with contextlib.suppress(OSError):  # another run still uses it
                meeting.parent.rmdir()

    def _ask_all(self, given_up: Callable[[], bool]) -> None:
        self._look()
        while self._answers and not given_up():
            time.sleep(0.05)
            self._look()
        wrong = {name: trouble for name, trouble in self._trouble.items() if trouble}
        if wrong:
            lines = [f"  {self._named(name)}: {line}" for name, text in wrong.items() for line in text.splitlines()]
            listed = "\n".join(lines)
            raise ClusterError(f"--address {self._address}: not every node may train, so nothing was started\n{listed}")

    def _watch(self, over: threading.Event) -> None:
        while not over.wait(WATCH_EVERY_S):
            if all(_answers(host, port) for host, port in self._ports):
                try:
                    self._look(self._tell)
                    self._seen_s = time.monotonic()
                except Exception as error:  # a failing cluster may raise anything; it counts as not seen
                    logger.warning("the nodes can't be listed: %s", error)
            if self.slots():
                self._fit_s = time.monotonic()

    def _notice_loss(self, over: threading.Event) -> None:
        """Note that the cluster is lost, and end this process if its main thread is stuck in Ray. Never calls Ray."""
        last_s = time.monotonic()
        while not over.wait(WATCH_EVERY_S):
            now = time.monotonic()
            away_s, last_s = now - last_s, now
            if away_s > ATTENTIVE_S:
                self._seen_s, self._fit_s = self._seen_s + away_s, self._fit_s + away_s
            self._gone = self._loss(now)
            if self._gone and now - self._asked_s > HELD_S:
                self._tell(self._gone)
                time.sleep(WATCH_EVERY_S)  # time to print it; the journals are on disk already
                os._exit(ClusterError.exit_code)

    def _loss(self, now: float) -> str:
        silent_s, unfit_s = now - self._seen_s, now - self._fit_s
        if silent_s > LOST_S:
            where = " or ".join(f"{host}:{port}" for host, port in self._ports)
            return f"the Ray cluster at {self._address} is lost: no answer for {silent_s:.0f} s at {where}; {GO_ON}"
        if unfit_s > EMPTY_S:
            return (
                f"the Ray cluster at {self._address} has had no node that may train for {unfit_s:.0f} s; its nodes are "
                f"lost or were refused above; {GO_ON}"
            )
        return ""

    def _look(self, tell: Callable[[str], None] = lambda text: None) -> None:
        """List the living nodes that have room, examine new ones, and take the answers."""
        found: dict[str, Mapping[str, Any]] = {node["NodeID"]: node for node in living() if room_on(node, self._slot)}
        for name in self._living.keys() - found.keys():
            tell(f"{self._named(name)} is gone; its trials are dealt again")
            self._answers.pop(name, None)
        self._living = self._living | found
        for name in found.keys() - self._trouble.keys() - self._answers.keys():
            only_there = NodeAffinitySchedulingStrategy(node_id=name, soft=False)
            answer = _examined.options(scheduling_strategy=only_there).remote(self._wanted, name)
            self._answers[name] = (answer, time.monotonic() + ANSWER_S)
        self._take_answers(tell)
        self._living = found

    def _take_answers(self, tell: Callable[[str], None]) -> None:
        for name, (answer, late_s) in list(self._answers.items()):
            ready, _ = ray.wait([answer], timeout=0)
            if not ready and time.monotonic() < late_s:
                continue
            self._trouble[name] = self._judged(name, answer) if ready else f"no answer within {ANSWER_S:.0f} s"
            del self._answers[name]
            room = room_on(self._living[name], self._slot)
            trouble = "; ".join(self._trouble[name].splitlines())
            tell(f"{self._named(name)} {f'may not train: {trouble}' if trouble else f'joined, with room for {room}'}")

    def _judged(self, name: str, reference: Any) -> str:
        try:
            answer: Answer = ray.get(reference)
        except Exception as error:  # Ray's own error for a lost node, or whatever the worker raised
            last = str(error).strip().splitlines()[-1]
            return f"it can't be examined ({last}); install this project there with the driver's versions"
        trouble = [*answer.trouble]
        if not trouble and not self._heard(name):
            trouble.append(
                f"the driver doesn't see what it wrote to {self._wanted['meeting']}; put the results folder on a file "
                "system that all nodes share, and name it with --results"
            )
        return "\n".join(trouble)

    def _heard(self, name: str) -> bool:
        file, give_up_s = Path(self._wanted["meeting"], name), time.monotonic() + SHARED_S
        while True:
            with contextlib.suppress(OSError):
                list(file.parent.iterdir())  # makes a network file system refresh
                if file.read_text(encoding="utf-8") == word_of(name, self._wanted["token"]):
                    return True
            if time.monotonic() > give_up_s:
                return False
            time.sleep(0.1)

    def _named(self, name: str) -> str:
        node = self._living.get(name)
        return f"node {node['NodeManagerAddress'] if node else ''} ({name[:8]})"


@ray.remote(num_cpus=0, max_retries=0)
def _examined(asked: Asked, node: str) -> Answer:
    return examine(asked, node)


def _ports() -> list[tuple[str, int]]:
    """Return the addresses of the GCS server and of this driver's own raylet."""
    context = ray.get_runtime_context()
    host, _, port = context.gcs_address.rpartition(":")
    (mine,) = [node for node in ray.nodes() if node["NodeID"] == context.get_node_id()]
    return [(host, int(port)), (mine["NodeManagerAddress"], mine["NodeManagerPort"])]


def _answers(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=2):
            return True
    except OSError:
        return False
