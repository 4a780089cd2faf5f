"""The executors that train through Ray Tune, on a Ray of this run's own or on a joined cluster."""

import importlib
import logging
import os
import threading
from collections.abc import Callable, Mapping

from sweeper.dealing.dealer import Dealer
from sweeper.errors import SweepError
from sweeper.executors.node_check import Asked
from sweeper.executors.ray import auth as ray_auth
from sweeper.executors.ray.environment import MODULES, RayGone, RayNotStarted
from sweeper.executors.ray.place import slot_of
from trainers.tuned import modules

logger = logging.getLogger(__name__)


class RayLostError(SweepError):
    """Ray is lost and the run can't go on; every trial is kept up to its last checkpoint."""

    exit_code = 4


class RayExecutor:
    """Workers with equal resources on a Ray of this run's own."""

    def __init__(self, *, workers: int, threads: int, gpus: int, share: float = 1.0) -> None:
        """Train up to `workers` packs at once, each with `threads` CPUs and, if `gpus`, the part `share` of a GPU."""
        self._workers = workers
        self._threads = threads
        self._gpus = gpus
        self._share = share

    def run(self, dealer: Dealer, ready: Callable[[], None]) -> None:
        """See Executor. Starts Ray again if it is lost; raises RayLostError if it is lost a second time."""
        for last_try in (False, True):
            try:
                self._fit(dealer, ready)
            except RayGone as error:
                dealer.end_all()
                if dealer.stopping.is_set():
                    return
                if last_try and isinstance(error, RayNotStarted):
                    raise RayLostError(
                        f"Ray does not start on this machine, in two tries{_reason(error)}; --executor inline trains "
                        "without Ray, one trial after the other"
                    ) from error
                if last_try:
                    raise RayLostError(
                        f"Ray died twice{_reason(error)}; see ray.log in the results folder, then run the same command "
                        "to go on"
                    ) from error
                logger.warning("Ray died%s; starting it once more", _reason(error))
            else:
                dealer.end_all()
                return

    def _fit(self, dealer: Dealer, ready: Callable[[], None]) -> None:
        ray_auth.use_own()
        from sweeper.executors.ray.daemons import OwnSlots, await_workers, started

        os.environ[MODULES] = " ".join(modules(spec.trainer for spec in dealer.examples))
        workers = min(self._workers, dealer.most)  # each is a process that imports its trainer, even if idle
        gpus = min(self._gpus, workers)
        # Importing Tune takes as long as starting Ray's daemons, so do both at once.
        threading.Thread(target=importlib.import_module, args=("sweeper.executors.ray.tune",), daemon=True).start()
        with started(cpus=workers * self._threads, gpus=gpus):
            ready()
            from sweeper.executors.ray import tune as ray_tune

            await_workers(workers, dealer.stopping.is_set)
            ray_tune.fit(
                dealer, OwnSlots(workers), most=workers, slot=slot_of(self._threads, gpu=self._share if gpus else 0.0)
            )


def _reason(error: RayGone) -> str:
    return f" ({error})" if str(error) else ""


class JoinedExecutor:
    """Workers with equal resources on a cluster that this process has joined and neither starts nor ends."""

    def __init__(self, address: str, *, asked: Asked, workers: int | None, slot: Mapping[str, float]) -> None:
        """Train up to `workers` packs at once (None: as many as fit, also on nodes that join later).

        Each worker takes `slot` (resource to amount) of its node.
        """
        self._address = address
        self._asked = asked
        self._workers = workers
        self._slot = slot

    def run(self, dealer: Dealer, ready: Callable[[], None]) -> None:
        """See Executor. Raises ClusterError if a node may not train, RayLostError if the cluster is lost."""
        from sweeper.executors.ray import tune as ray_tune
        from sweeper.executors.ray.nodes import Nodes

        ready()
        try:
            with Nodes(self._address, self._asked, self._slot, dealer.changes.put).watched(
                dealer.stopping.is_set
            ) as place:
                most = min(self._workers or dealer.most, dealer.most)
                ray_tune.fit(dealer, place, most=most, slot=self._slot)
        except RayGone as error:
            if not dealer.stopping.is_set():
                raise RayLostError(str(error)) from error
        finally:
            dealer.end_all()
