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

from sweeper.errors import SweepError
from sweeper.executors.ray.environment import AWAKE, RayGone  # sets what ray reads on import
from sweeper.host import gc_pause as collector

os.environ.update(
    {
        # Workers start with the raylet and import slow modules at once, not when Tune first asks for a worker.
        "RAY_enable_worker_prestart": "1",
        "RAY_preload_python_modules": "sweeper.executors.ray.preload",
        "RAY_idle_worker_killing_time_threshold_ms": "86400000",  # idle workers wait for Tune
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
AWAITED_S = 60.0


class RayStartError(SweepError):
    """Ray can't be started on this machine."""

    exit_code = 4


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
    """Run a Ray of this process's own while the block lasts. Raises RayStartError, or RayGone if it dies starting."""
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
        with _without_unneeded(), _on_loopback():
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
        raise RayGone(" ".join(f"{error} {dead_daemons()}".split())) from error


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
    if node is None:
        return ""
    codes = {
        name: daemon.process.poll() for name in ("gcs_server", "raylet") for daemon in node.all_processes.get(name, ())
    }
    return " and ".join(
        f"{name} {f'was ended by signal {-code}' if code < 0 else f'ended with exit code {code}'}"
        for name, code in codes.items()
        if code is not None
    )
