"""A Ray cluster on one machine: a head and nodes, each in a network namespace of its own where that may be made.

Every process carries a mark in its environment, which its children inherit; nothing without it is ever signalled.
"""

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Sequence
from pathlib import Path

from tests.marked import marked
from tests.places import ROOT
from tests.sweeper.command import environment
from tests.waiting import HANG_S, wait_until

MARK = "SWEEPER_CLUSTER_TEST"
RAY = (sys.executable, "-m", "ray.scripts.scripts")
STORE_BYTES = 80_000_000


def free_port(host: str = "127.0.0.1") -> int:
    """Return a port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return probe.getsockname()[1]


class Network:
    """A bridge with an address for this machine, and a namespace for each node; none where that isn't allowed."""

    def __init__(self) -> None:
        number = os.getpid() % 200 + 20
        self._name, self._prefix, self._made = f"swb{number}", f"10.231.{number}", 0
        try:
            self._ip("link", "add", self._name, "type", "bridge")
        except (OSError, subprocess.CalledProcessError):
            self.apart = False
            return
        self.apart = True
        self._ip("addr", "add", f"{self._prefix}.1/24", "dev", self._name)
        self._ip("link", "set", self._name, "up")

    @property
    def host(self) -> str:
        """Return the address of the head and the driver."""
        return f"{self._prefix}.1" if self.apart else "127.0.0.1"

    def place(self) -> tuple[str, str]:
        """Return the name and the address of a place for one more node; the name is empty where all share one."""
        self._made += 1
        if not self.apart:
            return "", self.host
        name, address = f"{self._name}n{self._made}", f"{self._prefix}.{self._made + 1}"
        self._ip("netns", "add", name)
        self._ip("link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", name)
        self._ip("link", "set", name, "master", self._name)
        self._ip("link", "set", name, "up")
        self._ip("-n", name, "addr", "add", f"{address}/24", "dev", "eth0")
        self._ip("-n", name, "link", "set", "eth0", "up")
        self._ip("-n", name, "link", "set", "lo", "up")
        return name, address

    def cut(self, name: str) -> None:
        """Let no packet to or from a place through any more."""
        self._ip("link", "set", name, "down")

    def close(self) -> None:
        if self.apart:
            for number in range(1, self._made + 1):
                self._ip("netns", "del", f"{self._name}n{number}")
            self._ip("link", "del", self._name)

    @staticmethod
    def _ip(*words: str) -> None:
        subprocess.run(["ip", *words], check=True, capture_output=True)


class Node:
    """The daemons of one node, and whatever they started."""

    def __init__(self, command: Sequence[str], place: str, address: str, extra: dict[str, str]) -> None:
        self.place, self.address = place, address
        self._mark = uuid.uuid4().hex
        self._scratch = Path(tempfile.mkdtemp(prefix="sw-"))  # short: a socket's path may have 107 bytes
        into = ["ip", "netns", "exec", place] if place else []
        env = environment(RAY_TMPDIR=str(self._scratch), SPT_NOENV="1") | {MARK: self._mark} | extra
        with (self._scratch / "start.log").open("wb") as log:
            self._process = subprocess.Popen(
                [*into, *command], env=env, stdout=log, stderr=log, start_new_session=True, cwd=self._scratch
            )

    def said(self) -> str:
        return (self._scratch / "start.log").read_text(encoding="utf-8")

    def wait(self) -> None:
        """Return once it is part of the cluster."""
        wait_until(lambda: "Ray runtime started" in self.said(), self.said)

    def processes(self) -> dict[int, str]:
        """Return the living processes of this node, by id, with the name each goes by."""
        return marked(MARK, self._mark)

    def kill(self, program: str) -> None:
        """Kill the daemon of this name."""
        (pid,) = self._daemons(program)
        os.kill(pid, signal.SIGKILL)

    def _daemons(self, program: str) -> list[int]:
        return [pid for pid, told in self.processes().items() if told.split(" ")[0].endswith(f"/{program}")]

    def clear(self) -> None:
        """Have it leave the cluster in order if it can, and kill whatever is left of it."""
        for pid in self._daemons("raylet"):
            os.kill(pid, signal.SIGTERM)
        for _ in range(30):
            if not self._daemons("raylet"):
                break
            time.sleep(0.1)
        while found := self.processes():
            for pid in found:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self._process.poll()
        self._process.wait(HANG_S)
        shutil.rmtree(self._scratch, ignore_errors=True)


class Cluster:
    """A head on which the driver runs, and nodes that are added, cut off and taken away."""

    def __init__(self, *, cpus: int = 0, jobs: bool = False, **extra: str) -> None:
        """The head has `cpus` for workers, and `extra` in its environment.

        With `jobs` it takes those of `ray job submit`, on loopback.
        """
        self.network = Network()
        self.token = secrets.token_hex(32)
        self.nodes: list[Node] = []
        self._port = free_port(self.network.host)
        self.address = f"{self.network.host}:{self._port}"
        self.jobs = f"127.0.0.1:{free_port()}"
        host, _, port = self.jobs.partition(":")
        served = ["--dashboard-host", host, "--dashboard-port", port] if jobs else ["--include-dashboard", "false"]
        head = ["--head", "--port", str(self._port), "--num-cpus", str(cpus), "--no-monitor", *served]
        self.head = self._start(head, "", self.network.host, extra)
        wait_until(self._answers, self.head.said)

    def add(self, cpus: int, *, more: Sequence[str] = (), within: Sequence[str] = (), **extra: str) -> Node:
        """Start a node with `cpus` and return it at once.

        `more` are words for `ray start`; `within` runs that command, in an environment with `extra`.
        """
        place, address = self.network.place()
        words = ["--address", self.address, "--num-cpus", str(cpus), *more]
        return self._start(words, place, address, extra, within)

    def _start(
        self, words: list[str], place: str, address: str, extra: dict[str, str], within: Sequence[str] = ()
    ) -> Node:
        command = [*RAY, "start", "--block", "--node-ip-address", address, "--disable-usage-stats", *words]
        command += ["--object-store-memory", str(STORE_BYTES), "--include-log-monitor", "false"]
        own = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": self.token, "PYTHONPATH": str(ROOT)}
        node = Node([*within, *command], place, address, own | extra)
        self.nodes.append(node)
        return node

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection((self.network.host, self._port), timeout=1):
            return True
        return False

    def cut_off(self, node: Node) -> str:
        """Part a node from the others, its processes living on if it has a network of its own; return what was done."""
        if node.place:
            self.network.cut(node.place)
            return f"the network of node {node.address} is cut, its processes live on"
        node.kill("raylet")
        return "kill -9 of a node's raylet"

    def close(self) -> None:
        for node in reversed(self.nodes):
            node.clear()
        self.network.close()
