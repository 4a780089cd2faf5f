"""Deals assignments through Ray Tune; the one file that imports ray.

Tune schedules, places and reuses workers. It owns no state of ours: its storage is a throw-away folder, its results
are handed on at once, and its view of what failed is only used to take a pack back.
"""

import contextlib
import json
import logging
import os
import tempfile
from collections.abc import Callable
from typing import Any

os.environ.update(
    {
        "RAY_AIR_NEW_OUTPUT": "0",  # the new output engine prints boxes to stdout whatever its verbosity
        "RAY_CHDIR_TO_TRIAL_DIR": "0",
        "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
        "RAY_TRAIN_ENABLE_V2_MIGRATION_WARNINGS": "0",
        "RAY_USAGE_STATS_ENABLED": "0",
        "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
        "TUNE_DISABLE_SIGINT_HANDLER": "1",
        "TUNE_FORCE_TRIAL_CLEANUP_S": "10",
        "TUNE_GLOBAL_CHECKPOINT_S": "3600",
    }
)

import ray
from ray import tune
from ray.tune.search import Searcher

from sweeper.assignment import Assignment
from sweeper.dealer import Dealer
from sweeper.errors import SweepError
from sweeper.trial import Work

OBJECT_STORE_BYTES = 100 * 2**20

logger = logging.getLogger(__name__)


class RayLostError(SweepError):
    """Ray died twice in one run; every trial is kept up to its last checkpoint."""

    exit_code = 4


class RayStartError(SweepError):
    """Ray can't be started here."""

    exit_code = 4


class _RayGone(BaseException):
    """A daemon of Ray has ended. No Exception, since Tune tidies up after those, and waits on the dead for that."""


class _Driver:
    """What Tune's hooks work on. Tune pickles its hooks with its own state, so they hold nothing and look here."""

    dealer: Dealer
    pack_of_trial: dict[str, int]


class _DealtPacks(Searcher):
    """Tune's search algorithm: whatever the dealer deals next."""

    def suggest(self, trial_id: str) -> Any:
        _guarded(_Driver.dealer.poll)  # while nothing trains, Tune asks for more and does nothing else
        dealt: list[Assignment | None] = []
        _guarded(lambda: dealt.append(_Driver.dealer.next_assignment()))
        if dealt and dealt[0] is not None:
            _Driver.pack_of_trial[trial_id] = dealt[0]["pack"]
            return {"assignment": json.dumps(dealt[0])}
        return Searcher.FINISHED if _Driver.dealer.over else None

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        _guarded(lambda: _Driver.dealer.ended(_Driver.pack_of_trial.pop(trial_id)))

    def save(self, checkpoint_path: str) -> None:
        """Nothing to save: the journals are the state."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing to restore."""

    def __reduce__(self) -> tuple[type, tuple[()]]:
        return (_DealtPacks, ())


class _Reports(tune.Callback):
    """Hands every result to the dealer, and notices what `fit` would wait on for ever: dead daemons, frozen workers."""

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        _Driver.dealer.heard(_Driver.pack_of_trial[trial.trial_id])

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        update = result.pop("update")
        _guarded(lambda: _Driver.dealer.receive(update))

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        if not _daemons_live():
            raise _RayGone
        _guarded(_Driver.dealer.poll)
        _guarded(lambda: _give_up_silent(trials))

    def __reduce__(self) -> tuple[type, tuple[()]]:
        return (_Reports, ())


class _Stop(tune.Stopper):
    """Asked by Tune ten times a second, also when nothing reports."""

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return False

    def stop_all(self) -> bool:
        return _Driver.dealer.stopping.is_set()

    def __reduce__(self) -> tuple[type, tuple[()]]:
        return (_Stop, ())


class _Trainable(tune.Trainable):
    """A worker that Tune reuses from pack to pack. `step` never raises; `cleanup` saves what is under way."""

    def setup(self, config: dict[str, Any]) -> None:
        self.work = Work(json.loads(config["assignment"]), watched=True)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self.work = Work(json.loads(new_config["assignment"]), watched=True)
        return True

    def step(self) -> dict[str, Any]:
        update = self.work.step()
        return {"update": update, "done": update["over"]}

    def cleanup(self) -> None:
        self.work.save()

    def save_checkpoint(self, checkpoint_dir: str) -> dict[str, Any]:
        """Give Tune nothing to keep: it asks at the end of every trial, and ours are saved by then."""
        return {}


def _guarded(action: Callable[[], None]) -> None:
    """Run `action`; an exception stops the run and doesn't pass into Tune, which would end trials for it."""
    try:
        action()
    except Exception as error:
        logger.exception("the driver could not take a report")
        _Driver.dealer.fatal = error
        _Driver.dealer.stop()


def _give_up_silent(trials: list[Any]) -> None:
    """Kill the workers that a frozen process or a lost node keeps from saying so; Ray kills even a suspended one.

    A pack whose worker is still to start is left to Ray, which starts another if one doesn't come up.
    """
    overdue = _Driver.dealer.overdue()
    if not overdue:
        return
    trial_of_pack = {_Driver.pack_of_trial[t.trial_id]: t for t in trials if t.trial_id in _Driver.pack_of_trial}
    for pack in overdue:
        actor = trial_of_pack[pack].temporary_state.ray_actor
        if actor is not None:
            _Driver.dealer.ended(pack)
            ray.kill(actor, no_restart=True)


def _daemons_live() -> bool:
    """Without a raylet Tune waits for ever; with no GCS server Ray ends this process after a minute of waiting."""
    node = ray._private.worker._global_node
    names = ("gcs_server", "raylet") if node else ()
    return all(daemon.process.poll() is None for name in names for daemon in node.all_processes.get(name, ()))


class RayExecutor:
    """Workers of one resource shape on a Ray of this run's own."""

    def __init__(self, *, workers: int, threads: int, gpus: int) -> None:
        """`workers` packs train at once, each with `threads` CPUs, and one of `gpus` GPUs if there are any."""
        self._workers = workers
        self._threads = threads
        self._gpus = gpus

    def run(self, dealer: Dealer, ready: Callable[[], None]) -> None:
        """See Executor. Starts Ray once more if it is lost; raises RayLostError the second time."""
        _Driver.dealer, _Driver.pack_of_trial = dealer, {}
        for last_try in (False, True):
            try:
                self._fit(ready)
            except _RayGone as error:
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

    def _fit(self, ready: Callable[[], None]) -> None:
        try:
            ray.init(
                address="local",
                num_cpus=self._workers * self._threads,
                num_gpus=self._gpus,
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
            raise _RayGone from error
        try:
            ready()
            with tempfile.TemporaryDirectory(prefix="sweeper-tune-", ignore_cleanup_errors=True) as storage:
                self._tuner(storage).fit()
        finally:
            with contextlib.suppress(Exception):  # a Ray that is lost can't be shut down in order either
                ray.shutdown()

    def _tuner(self, storage: str) -> tune.Tuner:
        shape = {"cpu": self._threads, "gpu": 1 if self._gpus else 0}
        return tune.Tuner(
            tune.with_resources(_Trainable, shape),
            tune_config=tune.TuneConfig(
                search_alg=_DealtPacks(),
                num_samples=-1,
                max_concurrent_trials=self._workers,
                reuse_actors=True,
                trial_name_creator=_short_name,
                trial_dirname_creator=_short_name,
            ),
            run_config=tune.RunConfig(
                name="run", storage_path=storage, verbose=0, stop=_Stop(), callbacks=[_Reports()]
            ),
        )


def _short_name(trial: Any) -> str:
    return trial.trial_id
