"""Deals assignments through Ray Tune: starts Ray, imports Tune beside that, and starts Ray once more if it is lost."""

import importlib
import logging
import threading
from collections.abc import Callable

from sweeper.dealer import Dealer
from sweeper.errors import SweepError
from sweeper.ray_daemons import RayGone, await_workers, started

logger = logging.getLogger(__name__)


class RayLostError(SweepError):
    """Ray died twice in one run; every trial is kept up to its last checkpoint."""

    exit_code = 4


class RayExecutor:
    """Workers of one resource shape on a Ray of this run's own."""

    def __init__(self, *, workers: int, threads: int, gpus: int) -> None:
        """`workers` packs train at once, each with `threads` CPUs, and one of `gpus` GPUs if there are any."""
        self._workers = workers
        self._threads = threads
        self._gpus = gpus

    def run(self, dealer: Dealer, ready: Callable[[], None]) -> None:
        """See Executor. Starts Ray once more if it is lost; raises RayLostError the second time."""
        for last_try in (False, True):
            try:
                self._fit(dealer, ready)
            except RayGone as error:
                dealer.end_all()
                if dealer.stopping.is_set():
                    return
                if last_try:
                    raise RayLostError(
                        "Ray died twice; see ray.log in the results folder, then run the same command to go on"
                    ) from error
                logger.warning("Ray died; starting it once more")
            else:
                dealer.end_all()
                return

    def _fit(self, dealer: Dealer, ready: Callable[[], None]) -> None:
        workers = min(self._workers, len(dealer.trials))  # each is a process that imports torch, wanted or not
        gpus = min(self._gpus, workers)
        # Tune takes as long to import as Ray's daemons to start, and this process only waits for those.
        threading.Thread(target=importlib.import_module, args=("sweeper.ray_tune",), daemon=True).start()
        with started(cpus=workers * self._threads, gpus=gpus):
            ready()
            from sweeper import ray_tune

            await_workers(workers, dealer.stopping.is_set)
            ray_tune.fit(dealer, workers=workers, threads=self._threads, gpus=gpus)
