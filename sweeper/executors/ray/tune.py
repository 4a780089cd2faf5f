"""What Ray Tune calls: a search algorithm, callbacks, and the trainable that runs in each worker.

Tune schedules, places and reuses workers. It owns no state of ours: its storage is a temporary folder, its results go
to the dealer at once, and a failure that it sees only takes a pack back.
"""

import json
import logging
import tempfile
from collections.abc import Callable, Mapping
from typing import Any

import sweeper.executors.ray.environment  # noqa: F401  # isort: skip  # sets what ray reads on import

import ray
from ray import tune
from ray.air._internal import usage
from ray.tune.execution import class_cache
from ray.tune.search import Searcher

from sweeper.dealing.assignment import Assignment
from sweeper.dealing.dealer import Dealer
from sweeper.executors.node_check import Unfit, examined, with_arrays
from sweeper.executors.ray.place import RayPlace
from sweeper.host.devices import show_only
from sweeper.worker.work import Work

logger = logging.getLogger(__name__)

usage.tag_callbacks = lambda callbacks: False
"""Tune counts callbacks for usage statistics, which are off; counting would import MLflow (0.7 s)."""
class_cache.DEFAULT_ENV_VARS, class_cache.ENV_VARS_TO_PROPAGATE = {}, set()
"""Workers inherit this process's environment. With an environment from Tune, Ray would start new workers instead of
using those that already run."""

NODE_ID = "ray.io/node-id"


def fit(dealer: Dealer, place: RayPlace, *, most: int, slot: Mapping[str, float]) -> None:
    """Train what `dealer` deals on a running Ray, until it is over or stopping. Raises RayGone if Ray is lost.

    At most `most` workers train at once, each with the resources of `slot` (resource to amount).
    """
    _Driver.dealer, _Driver.place, _Driver.slot, _Driver.pack_of_trial = dealer, place, slot, {}
    with tempfile.TemporaryDirectory(prefix="sweeper-tune-", ignore_cleanup_errors=True) as storage:
        tune.Tuner(
            tune.with_resources(_Trainable, _slot),
            tune_config=tune.TuneConfig(
                search_alg=_DealtPacks(),
                num_samples=-1,
                max_concurrent_trials=most,
                reuse_actors=True,
                trial_name_creator=_short_name,
                trial_dirname_creator=_short_name,
            ),
            run_config=tune.RunConfig(
                name="run",
                storage_path=storage,
                verbose=0,
                stop=_Stop(),
                callbacks=[_Reports()],
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            ),
        ).fit()


class _Driver:
    """The state of Tune's hooks. Tune pickles the hooks themselves, so they hold nothing and look here."""

    dealer: Dealer
    place: RayPlace
    slot: Mapping[str, float]
    pack_of_trial: dict[str, int]


def _slot(config: dict[str, Any]) -> tune.PlacementGroupFactory:
    """Return a worker's resources and where it may run; Tune reuses workers whose resources are equal."""
    avoided = _Driver.place.avoided()
    if not avoided:
        return tune.PlacementGroupFactory([dict(_Driver.slot)])
    elsewhere = {NODE_ID: f"!in({','.join(avoided)})"}
    return tune.PlacementGroupFactory([dict(_Driver.slot)], bundle_label_selector=[elsewhere])


class _DealtPacks(Searcher):
    """Tune's search algorithm: suggests what the dealer deals next."""

    def suggest(self, trial_id: str) -> Any:
        _guarded(_Driver.dealer.poll)  # while nothing trains, Tune calls only this
        if len(_Driver.pack_of_trial) >= _Driver.place.slots():
            return None
        dealt: list[Assignment | None] = []
        _guarded(lambda: dealt.append(_Driver.dealer.next_assignment()))
        if dealt and dealt[0] is not None:
            _Driver.pack_of_trial[trial_id] = dealt[0]["pack"]
            return {"assignment": json.dumps(dealt[0]), "asked": _Driver.place.asked}
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
    """Gives every result to the dealer; detects dead daemons and frozen workers, for which `fit` would wait."""

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        _Driver.dealer.heard(_Driver.pack_of_trial[trial.trial_id])

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        update = result.pop("update")
        if "unfit" in result:
            _Driver.place.avoid(*result["unfit"])
        _guarded(lambda: _Driver.dealer.receive(update))

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        _Driver.place.require_life()
        _guarded(_Driver.dealer.poll)
        _guarded(lambda: _give_up_silent(trials))

    def __reduce__(self) -> tuple[type, tuple[()]]:
        return (_Reports, ())


class _Stop(tune.Stopper):
    """Tune asks it ten times a second, also when no worker reports."""

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return False

    def stop_all(self) -> bool:
        return _Driver.dealer.stopping.is_set()

    def __reduce__(self) -> tuple[type, tuple[()]]:
        return (_Stop, ())


class _Trainable(tune.Trainable):
    """A worker that Tune reuses for many packs. `step` never raises; `cleanup` saves the training in progress."""

    def setup(self, config: dict[str, Any]) -> None:
        context = ray.get_runtime_context()
        show_only(context.get_accelerator_ids()["GPU"])
        self.node = context.get_node_id()
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        assignment, asked = json.loads(new_config["assignment"]), new_config["asked"]
        self.trouble: list[str] = []
        self.work: Work | Unfit
        if asked:
            self.trouble, arrays = examined(asked, self.node)
            if self.trouble:
                self.work = Unfit(assignment, self.trouble)
                return True
            assignment = with_arrays(assignment, arrays)
        self.work = Work(assignment, watched=True)
        return True

    def step(self) -> dict[str, Any]:
        update = self.work.step()
        unfit = {"unfit": (self.node, "; ".join(self.trouble))} if self.trouble else {}
        return {"update": update, "done": update["over"]} | unfit

    def cleanup(self) -> None:
        self.work.save()


def _guarded(action: Callable[[], None]) -> None:
    """Run `action`. An exception stops the run and doesn't reach Tune, which would end trials because of it."""
    try:
        action()
    except Exception as error:
        logger.exception("the driver could not take a report")
        _Driver.dealer.fatal = error
        _Driver.dealer.stop()


def _give_up_silent(trials: list[Any]) -> None:
    """Kill the workers that were silent for too long: frozen, or on a lost node. Ray kills even a suspended process.

    A pack whose worker has not started is left to Ray, which starts another worker if one fails to start.
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


def _short_name(trial: Any) -> str:
    return trial.trial_id
