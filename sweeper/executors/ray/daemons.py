"""Starts and ends the Ray of one run, no more of it than one run on one machine needs; sees when a daemon has died.

Importing this sets the environment that Ray's processes inherit, so it comes before they are started.
"""

import contextlib
import logging
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from sweeper.errors import SweepError
from sweeper.executors.ray.environment import AWAKE, RayGone  # sets what ray reads as it is imported
from sweeper.host import gc_pause as collector

os.environ.update(
    {
        # Workers start with the raylet and import what takes long at once, not when Tune first asks for one.
        "RAY_enable_worker_prestart": "1",
        "RAY_preload_python_modules": "sweeper.executors.ray.preload",
        "RAY_idle_worker_killing_time_threshold_ms": "86400000",  # they wait for Tune, and for nobody else
    }
)

import ray
from ray._private.node import Node

OBJECT_STORE_BYTES = 100 * 2**20
UNNEEDED = ("start_monitor", "start_log_monitor", "start_api_server")
"""What `ray.init` starts for a cluster that scales, for logs shown at the driver, and for a dashboard that is off.

The autoscaler's monitor alone makes the end of a run a second longer, since it doesn't heed SIGTERM.
"""
AWAITED_S = 60.0


class RayStartError(SweepError):
    """Ray can't be started here."""

    exit_code = 4


class OwnSlots:
    """The workers of a Ray of this process's own; see RayPlace."""

    asked = ""

    def __init__(self, workers: int) -> None:
        self._workers = workers

    def slots(self) -> int:
        """See RayPlace."""
        return self._workers

    def avoided(self) -> tuple[str, ...]:
        """See RayPlace; there is one node."""
        return ()

    def avoid(self, node: str, trouble: str) -> None:
        """See RayPlace; workers that aren't asked don't refuse."""
        raise AssertionError(trouble)

    def require_life(self) -> None:
        """See RayPlace. Without a raylet Tune waits for ever; with no GCS Ray ends this process after a minute."""
        if not daemons_live():
            raise RayGone


@contextlib.contextmanager
def started(*, cpus: int, gpus: int) -> Iterator[None]:
    """Have a Ray of this process's own while the block lasts. Raises RayStartError, and RayGone if it dies starting."""
    with tempfile.TemporaryDirectory(prefix="sweeper-awake-", ignore_cleanup_errors=True) as awake:
        os.environ[AWAKE] = awake
        _start(cpus, gpus)
        try:
            yield
        finally:
            _end()


def _end() -> None:
    """Shut Ray down; no thread of ours may finish an actor's handle meanwhile, since Ray ends the process for that."""
    with collector.paused():
        collector.collect_all()
        with contextlib.suppress(Exception):  # a Ray that is lost can't be shut down in order either
            ray.shutdown()


def await_workers(count: int, given_up: Callable[[], bool]) -> None:
    """Wait until `count` workers have their imports, no longer than AWAITED_S and until `given_up`.

    Were one ready well before another, and its first trial over, Tune would give it the trial that the other is to
    begin with, and kill the other: then short trials would all be trained by one worker.
    """
    awake = Path(os.environ[AWAKE])
    give_up_s = time.monotonic() + AWAITED_S
    while len(list(awake.iterdir())) < count and time.monotonic() < give_up_s and daemons_live() and not given_up():
        time.sleep(0.01)


def _start(cpus: int, gpus: int) -> None:
    try:
        with _without_unneeded():
            ray.init(
                address="local",
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
            "--executor inline does without Ray"
        ) from error
    except Exception as error:  # no class of its own is what Ray raises when a daemon of it dies as it starts
        raise RayGone from error


@contextlib.contextmanager
def _without_unneeded() -> Iterator[None]:
    """Have Ray's node start none of UNNEEDED within the block; a name it doesn't know (any more) changes nothing."""
    usual = {name: getattr(Node, name) for name in UNNEEDED if hasattr(Node, name)}
    for name in usual:
        setattr(Node, name, lambda self, **options: None)
    try:
        yield
    finally:
        for name, method in usual.items():
            setattr(Node, name, method)


def daemons_live() -> bool:
    """Return whether the daemons that this process has started still run."""
    node: Node | None = ray._private.worker._global_node  # which Ray annotates as nothing but None
    daemons = [] if node is None else [node.all_processes.get(name, ()) for name in ("gcs_server", "raylet")]
    return all(daemon.process.poll() is None for kind in daemons for daemon in kind)
