"""Starts and ends the Ray of one run, with the services that one machine needs; detects a daemon that has died.

Importing this module sets the environment that Ray's processes inherit, so import it first. It joins no cluster.
"""

import contextlib
import logging
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from sweeper.errors import SweepError
from sweeper.executors.ray.environment import AWAKE, RayGone, RayNotStarted  # sets what ray reads on import
from sweeper.executors.ray.start_logs import reason_in, session_logs
from sweeper.host import gc_pause as collector

os.environ.update(
    {
        # Workers start with the raylet and import slow modules at once, not when Tune first asks for a worker.
        "RAY_enable_worker_prestart": "1",
        "RAY_preload_python_modules": "sweeper.executors.ray.preload",
        "RAY_idle_worker_killing_time_threshold_ms": "86400000",  # idle workers wait for Tune
        "RAY_agent_register_timeout_ms": "300000",  # see START_S
        "RAY_raylet_start_wait_time_s": "1",  # for one question after the node; see _patient
    }
)

import ray
from ray._private import services
from ray._private.node import Node

import sweeper.executors.ray.entrypoint  # noqa: F401

LOOPBACK = "127.0.0.1"
OBJECT_STORE_BYTES = 100 * 2**20
UNNEEDED = ("start_monitor", "start_log_monitor", "start_api_server")
"""What `ray.init` starts for autoscaling, for logs shown at the driver, and for a dashboard that is off.

The autoscaler's monitor ignores SIGTERM, which would delay the end of a run by a second.
"""
STARTING = "start_ray_processes"
"""The method of Ray's node that starts its daemons."""
AWAITED_S = 60.0
START_S = 300.0
"""How long Ray's daemons may take to start. Ray gives up after 30 s, which a cold environment takes on a busy machine:
its daemons wait for processes that import hundreds of modules, and compile those for the first time.
"""


class RayStartError(SweepError):
    """Ray can't be started on this machine."""

    exit_code = 4


class _DaemonEndedError(Exception):
    """One of Ray's daemons has ended while it starts."""


class OwnSlots:
    """The RayPlace of a run on its own Ray: one node, a fixed number of workers."""

    asked = ""

    def __init__(self, workers: int) -> None:
        self._workers = workers

    def slots(self) -> int:
        """See RayPlace."""
        return self._workers

    def avoided(self) -> tuple[str, ...]:
        """See RayPlace; the only node is never avoided."""
        return ()

    def avoid(self, node: str, trouble: str) -> None:
        """See RayPlace; never called, because these workers aren't examined."""
        raise AssertionError(trouble)

    def require_life(self) -> None:
        """See RayPlace. Without a raylet Tune waits for ever; without a GCS Ray ends this process after a minute."""
        if dead := dead_daemons():
            raise RayGone(dead)


@contextlib.contextmanager
def started(*, cpus: int, gpus: int) -> Iterator[None]:
    """Run a Ray of this process's own while the block lasts. Raises RayStartError, or RayNotStarted."""
    with tempfile.TemporaryDirectory(prefix="sweeper-awake-", ignore_cleanup_errors=True) as awake:
        os.environ[AWAKE] = awake
        _start(cpus, gpus)
        try:
            yield
        finally:
            _end()


def _end() -> None:
    """Shut Ray down, garbage collection paused: Ray ends the process if an actor's handle is collected meanwhile."""
    with collector.paused():
        collector.collect_all()
        with contextlib.suppress(Exception):  # a lost Ray can't be shut down properly
            ray.shutdown()


def await_workers(count: int, given_up: Callable[[], bool]) -> None:
    """Wait until `count` workers have done their imports, at most AWAITED_S and until `given_up`.

    If one worker is ready early and finishes its first trial, Tune gives it the trial of a worker that still starts,
    and kills that worker. Short trials would then all train in one worker.
    """
    awake = Path(os.environ[AWAKE])
    give_up_s = time.monotonic() + AWAITED_S
    while len(list(awake.iterdir())) < count and time.monotonic() < give_up_s and not dead_daemons() and not given_up():
        time.sleep(0.01)


def _start(cpus: int, gpus: int) -> None:
    try:
        with _without_unneeded(), _on_loopback(), _patient():
            ray.init(
                address="local",
                _node_ip_address=LOOPBACK,
                num_cpus=cpus,
                num_gpus=gpus,
                object_store_memory=OBJECT_STORE_BYTES,
                include_dashboard=False,
                log_to_driver=False,
                logging_level=logging.ERROR,
            )
    except (OSError, RuntimeError, ValueError) as error:
        raise RayStartError(
            f"Ray can't be started ({error}); if a path is too long, set TMPDIR to a short one; "
            "--executor inline needs no Ray"
        ) from error
    except Exception as error:  # Ray raises a bare Exception when a daemon dies while it starts
        logs = session_logs(os.getpid())
        found = reason_in(logs) if logs else ""
        parts = [" ".join(str(error).split()), found, f"its logs: {logs}" if logs else ""]
        raise RayNotStarted("; ".join(filter(None, parts))) from error


@contextlib.contextmanager
def _patient() -> Iterator[None]:
    """Let Ray wait START_S for its own node within the block, as long as the daemons of that node run."""
    usual, started_node = services.get_node, getattr(Node, STARTING)
    nodes: list[Node] = []

    def start_and_keep(node: Node) -> None:
        nodes.append(node)
        started_node(node)

    def get_node(*arguments: Any) -> Any:
        give_up_s = time.monotonic() + START_S
        while True:
            try:
                return usual(*arguments)
            except RuntimeError as error:
                if ended := " and ".join(filter(None, map(_dead, nodes))):
                    raise _DaemonEndedError(ended) from error
                if time.monotonic() > give_up_s:
                    raise
                time.sleep(0.1)

    services.get_node = get_node
    setattr(Node, STARTING, start_and_keep)
    try:
        yield
    finally:
        services.get_node = usual
        setattr(Node, STARTING, started_node)


@contextlib.contextmanager
def _on_loopback() -> Iterator[None]:
    """Let Ray take LOOPBACK as its address within the block; it would replace that by one others on the network reach.

    Ray's daemons and workers listen on LOOPBACK alone if it is their node's address, and else on every interface.
    """
    usual = services.resolve_ip_for_localhost
    services.resolve_ip_for_localhost = lambda host: host
    try:
        yield
    finally:
        services.resolve_ip_for_localhost = usual


@contextlib.contextmanager
def _without_unneeded() -> Iterator[None]:
    """Keep Ray's node from starting UNNEEDED within the block; names that this Ray doesn't have are skipped."""
    usual = {name: getattr(Node, name) for name in UNNEEDED if hasattr(Node, name)}
    for name in usual:
        setattr(Node, name, lambda self, **options: None)
    try:
        yield
    finally:
        for name, method in usual.items():
            setattr(Node, name, method)


def dead_daemons() -> str:
    """Return which of the daemons that this process started have ended, and how; empty if all still run."""
    node: Node | None = ray._private.worker._global_node  # Ray annotates it as None
    return "" if node is None else _dead(node)


def _dead(node: Node) -> str:
    codes = {
        name: daemon.process.poll() for name in ("gcs_server", "raylet") for daemon in node.all_processes.get(name, ())
    }
    return " and ".join(
        f"{name} {f'was ended by signal {-code}' if code < 0 else f'ended with exit code {code}'}"
        for name, code in codes.items()
        if code is not None
    )
