"""The nodes of a joined cluster: which of them may train, how much room they have, and when they, or all, are lost."""

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
from sweeper.executors.ray.node_check import TOKEN_FILE, Answer, Asked, examine, word_of
from sweeper.executors.ray.place import room_on

from sweeper.executors.ray.environment import RayGone  # isort: skip  # sets what ray reads as it is imported

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

logger = logging.getLogger(__name__)

WATCH_EVERY_S = 1.0
ANSWER_S = 600.0
"""How long a node may take to answer; it may have to convert a data set first."""
SHARED_S = 10.0
"""How long a file that a node has written may take to be seen here."""
LOST_S = 15.0
"""A cluster that hasn't answered for so long is lost; Ray ends a driver that has missed it for a minute."""
EMPTY_S = 60.0
"""How long trials wait for a node that may train when none is left."""
ATTENTIVE_S = 5.0
"""A driver that looked away for longer was suspended, which says nothing of the cluster."""
HELD_S = 5.0
"""How long a driver may take to notice; a call into Ray that waits for a lost cluster never comes back to Python."""
GO_ON = (
    "the journals are whole and every trial is kept up to its last checkpoint, so run the same command to go on once "
    "the cluster is back"
)


class ClusterError(SweepError):
    """The cluster can't be joined, or a node of it may not train for this run; nothing was started."""

    exit_code = 4


def living() -> list[dict[str, Any]]:
    """Return the nodes that the cluster takes for living, as Ray describes them."""
    return [node for node in ray.nodes() if node["Alive"]]


class Nodes:
    """The RayPlace of a run on a cluster. Its methods belong to one thread; another of its own watches."""

    def __init__(self, address: str, asked: Asked, slot: Mapping[str, float], tell: Callable[[str], None]) -> None:
        """`tell` is told of nodes that come, go or may not train once the run has begun."""
        self.asked = json.dumps(asked)
        self._address = address
        self._wanted = asked
        self._slot = slot
        self._tell = tell
        self._answers: dict[str, Any] = {}
        self._trouble: dict[str, str] = {}
        """What is wrong with each node that was asked, a line each; empty for one that may train."""
        self._living: dict[str, Mapping[str, Any]] = {}
        self._seen_s = self._fit_s = self._asked_s = time.monotonic()
        self._gone = ""
        self._ports = _ports()

    def slots(self) -> int:
        """See RayPlace: the room on living nodes that have answered well."""
        return sum(room_on(node, self._slot) for name, node in self._living.items() if self._trouble.get(name) == "")

    def avoided(self) -> tuple[str, ...]:
        """See RayPlace: the living nodes that have not answered yet, or not well."""
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
        """Ask every node, then watch while the block lasts. Raises ClusterError saying what is wrong with which."""
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
            with contextlib.suppress(OSError):  # another run meets its nodes there
                meeting.parent.rmdir()

    def _ask_all(self, given_up: Callable[[], bool]) -> None:
        self._look()
        while self._answers and not given_up():
            time.sleep(0.05)
            self._look()
        wrong = {name: trouble for name, trouble in self._trouble.items() if trouble}
        if wrong:
            lines = [f"  {self._named(name)}: {line}" for name, told in wrong.items() for line in told.splitlines()]
            told = "\n".join(lines)
            raise ClusterError(f"--address {self._address}: not every node may train, so nothing was started\n{told}")

    def _watch(self, over: threading.Event) -> None:
        while not over.wait(WATCH_EVERY_S):
            if all(_answers(host, port) for host, port in self._ports):
                try:
                    self._look(self._tell)
                    self._seen_s = time.monotonic()
                except Exception as error:  # whatever a cluster that is going says, it hasn't been seen then
                    logger.warning("the nodes can't be seen: %s", error)
            if self.slots():
                self._fit_s = time.monotonic()

    def _notice_loss(self, over: threading.Event) -> None:
        """Say that the cluster is lost, and end this process if its main thread is held by it. Asks Ray nothing."""
        last_s = time.monotonic()
        while not over.wait(WATCH_EVERY_S):
            now = time.monotonic()
            away_s, last_s = now - last_s, now
            if away_s > ATTENTIVE_S:
                self._seen_s, self._fit_s = self._seen_s + away_s, self._fit_s + away_s
            self._gone = self._loss(now)
            if self._gone and now - self._asked_s > HELD_S:
                self._tell(self._gone)
                time.sleep(WATCH_EVERY_S)  # until that is printed; every line of a journal is on disk already
                os._exit(ClusterError.exit_code)

    def _loss(self, now: float) -> str:
        silent_s, unfit_s = now - self._seen_s, now - self._fit_s
        if silent_s > LOST_S:
            where = " or ".join(f"{host}:{port}" for host, port in self._ports)
            return f"the Ray cluster at {self._address} is lost: no answer for {silent_s:.0f} s at {where}; {GO_ON}"
        if unfit_s > EMPTY_S:
            return (
                f"the Ray cluster at {self._address} has had no node that may train for {unfit_s:.0f} s; its nodes are "
                f"gone or were refused above; {GO_ON}"
            )
        return ""

    def _look(self, tell: Callable[[str], None] = lambda text: None) -> None:
        """See which nodes live and have room, ask those that were not asked, and take what they answer."""
        found: dict[str, Mapping[str, Any]] = {node["NodeID"]: node for node in living() if room_on(node, self._slot)}
        for name in self._living.keys() - found.keys():
            tell(f"{self._named(name)} is gone; what it trained is dealt again")
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
        except Exception as error:  # Ray's own for a node that is gone, whatever the worker raised otherwise
            last = str(error).strip().splitlines()[-1]
            return f"it can't be asked ({last}); install this project there with the driver's versions"
        trouble = [*answer.trouble]
        if not trouble and not self._heard(name):
            trouble.append(
                f"what it wrote to {self._wanted['meeting']} isn't there for the driver; the results folder must be on "
                "a file system that all nodes share, name it with --results"
            )
        return "\n".join(trouble)

    def _heard(self, name: str) -> bool:
        file, give_up_s = Path(self._wanted["meeting"], name), time.monotonic() + SHARED_S
        while True:
            with contextlib.suppress(OSError):
                list(file.parent.iterdir())  # makes a network file system look again
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
    """Return where the GCS server and this driver's own raylet listen."""
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
