"""What Ray Tune calls: its search algorithm, its callbacks, and the trainable that its workers are.

Tune schedules, places and reuses workers. It owns no state of ours: its storage is a throw-away folder, its results
are handed on at once, and its view of what failed is only used to take a pack back.
"""

import json
import logging
import tempfile
from collections.abc import Callable, Mapping
from typing import Any

import sweeper.executors.ray.environment  # noqa: F401  # isort: skip  # sets what ray reads as it is imported

import ray
from ray import tune
from ray.air._internal import usage
from ray.tune.execution import class_cache
from ray.tune.search import Searcher

from sweeper.dealing.assignment import Assignment
from sweeper.dealing.dealer import Dealer
from sweeper.executors.ray.node_check import Unfit, examined, with_arrays
from sweeper.executors.ray.place import RayPlace
from sweeper.host.devices import show_only
from sweeper.worker.work import Work

logger = logging.getLogger(__name__)

usage.tag_callbacks = lambda callbacks: False
"""Counting callbacks for statistics that are off imports MLflow, 0.7 s of it."""
class_cache.DEFAULT_ENV_VARS, class_cache.ENV_VARS_TO_PROPAGATE = {}, set()
"""Workers inherit this process's environment. With one of Tune's own they would not be those that Ray has started
already, but new ones."""


NODE_ID = "ray.io/node-id"


def fit(dealer: Dealer, place: RayPlace, *, most: int, slot: Mapping[str, float]) -> None:
    """Train what `dealer` deals on a Ray that is started, until it is over or stopping. Raises RayGone.

    No more than `most` workers train at once, each with the resources of `slot`.
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
    """What Tune's hooks work on. Tune pickles its hooks with its own state, so they hold nothing and look here."""

    dealer: Dealer
    place: RayPlace
    slot: Mapping[str, float]
    pack_of_trial: dict[str, int]


def _slot(config: dict[str, Any]) -> tune.PlacementGroupFactory:
    """Return what a worker takes and where; workers of an equal slot are reused."""
    avoided = _Driver.place.avoided()
    if not avoided:
        return tune.PlacementGroupFactory([dict(_Driver.slot)])
    elsewhere = {NODE_ID: f"!in({','.join(avoided)})"}
    return tune.PlacementGroupFactory([dict(_Driver.slot)], bundle_label_selector=[elsewhere])


class _DealtPacks(Searcher):
    """Tune's search algorithm: whatever the dealer deals next."""

    def suggest(self, trial_id: str) -> Any:
        _guarded(_Driver.dealer.poll)  # while nothing trains, Tune asks for more and does nothing else
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
    """Hands every result to the dealer, and notices what `fit` would wait on for ever: dead daemons, frozen workers."""

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
        found = {"unfit": (self.node, "; ".join(self.trouble))} if self.trouble else {}
        return {"update": update, "done": update["over"]} | found

    def cleanup(self) -> None:
        self.work.save()


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


def _short_name(trial: Any) -> str:
    return trial.trial_id
