"""What one `sweeper run` has to do: where it trains, which trials, and which of them from step 0 again.

Trains nothing, prints nothing and changes no file.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, NamedTuple

from sweeper.dealing.pack_size import check_share, pack_size
from sweeper.errors import SweepError
from sweeper.executors.slurm.gpu import MEASURED
from sweeper.executors.slurm.options import SLOTS, Options, wants_gpu
from sweeper.host.devices import THREADS, Device, choose_device, default_workers, gpu_share
from sweeper.planning.searched import Search
from sweeper.planning.selectors import select
from sweeper.planning.trial_spec import TrialSpec
from sweeper.results.estimate import estimate
from sweeper.results.survey import Batch, Standing
from sweeper.running.batch import codes_to_accept, pending, refuse_other_code, refuse_other_device
from sweeper.running.engine_choice import engines_of


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """What the user asks of a run. `workers` and `pack` are None without a number, `engine` without a name.

    `accept_code`: trials may go on though the code of their trainer has changed. `slurm` are the options of sbatch.
    """

    data_root: Path
    only: Sequence[str]
    rerun: Sequence[str]
    retry_failed: bool
    device: Literal["auto", "cpu", "cuda"]
    workers: int | None
    pack: int | None
    engine: str | None
    address: str | None
    executor: Literal["ray", "inline", "slurm"]
    accept_code: bool = False
    slurm: Options = field(default_factory=dict)


class Room(NamedTuple):
    """Where a run trains: the device, the reason for it, how many workers fit, and each one's fraction of a GPU."""

    device: Device
    reason: str
    workers: int
    share: float


@dataclass(frozen=True, kw_only=True)
class Todo:
    """The work of a run. `trials` are trained; those in `begun` start from step 0 after their results are moved away.

    `standings` are the trials that --only picks, with their states. `engines` has the engine of each trial, by its id,
    and `equal_codes` what --accept-code makes equal, by the name of the trainer. `searches` have something left to do.
    """

    batch: Batch
    room: Room
    standings: list[Standing]
    trials: list[TrialSpec]
    begun: list[Standing]
    engines: Mapping[str, str]
    equal_codes: Mapping[str, set[str]]
    searches: Sequence[Search] = ()

    @property
    def alike(self) -> list[TrialSpec]:
        """The trials, and some that are like those which searches will name."""
        return [*self.trials, *(spec for search in self.searches for spec in search.examples)]


def room_for(wishes: Wishes) -> Room:
    """Return where the run trains, here or on the cluster that it joins.

    Raises SweepError if the device or the cluster is missing, or if packs of trials would share a GPU.
    """
    if wishes.executor == "slurm":
        return _room_of_slurm(wishes)
    if wishes.address is None:
        device, reason = choose_device(wishes.device)
        most = default_workers(device)
    elif wishes.executor == "inline":
        raise SweepError(
            f"--executor inline runs in this process alone, not at --address {wishes.address}; leave one of them out"
        )
    else:
        from sweeper.executors.ray.cluster import Cluster

        device, reason, most = Cluster(wishes.address).room(wishes.device, THREADS)
    share = gpu_share(wishes.workers, most) if device == "cuda" else 1.0
    if share < 1 and wishes.pack is not None and wishes.pack > 1:
        raise SweepError(
            f"--workers {wishes.workers} --pack {wishes.pack}: workers that share a CUDA device (there are {most}) "
            "train one trial at a time; use --pack 1 or fewer --workers"
        )
    return Room(device, reason, most, share)


def _room_of_slurm(wishes: Wishes) -> Room:
    """Return where slots train: on GPUs if the options ask for them. This machine may have other devices."""
    if wishes.address is not None:
        raise SweepError(
            f"--executor slurm trains in jobs of Slurm, not at --address {wishes.address}; leave one of them out"
        )
    gpu = wants_gpu(wishes.slurm)
    if wishes.device == "cuda" and not gpu:
        raise SweepError("--device cuda: the jobs have no GPU; ask for one, as in --slurm gpus=1, or use --device cpu")
    device: Device = "cuda" if gpu and wishes.device != "cpu" else "cpu"
    return Room(device, "in jobs of Slurm", wishes.workers or SLOTS, 1.0)


def decide(batch: Batch, wishes: Wishes, room: Room, searches: Sequence[Search] = ()) -> Todo:
    """Return what is left to do of `batch`. `searches` are those of its searches that go on.

    Raises SweepError for a selector that picks nothing, for a trial that can't be trained on the device of `room`, and
    for trials of a trainer whose code has changed, unless that was accepted.
    """
    _refuse_rerun_in_search(batch, wishes)
    every = [standing.spec for standing in batch.standings]
    from_nothing = select(every, wishes.rerun, "--rerun") if wishes.rerun else []
    ids = {spec.trial_id for spec in from_nothing}
    standings = picked(batch.standings, wishes.only)
    going_on = [standing for standing in standings if standing.spec.trial_id not in ids]
    refuse_other_device(going_on, room.device, retry_failed=wishes.retry_failed)
    in_grid = {spec.trial_id for part in batch.parts if not part.searches for spec in part.specs}
    left = pending(going_on, retry_failed=wishes.retry_failed)
    trials = from_nothing + [spec for spec in left if spec.trial_id in in_grid]  # a search sends its trials itself
    begun = [each for each in batch.standings if each.spec.trial_id in ids and each.summary is not None]
    kept = [each for each in batch.standings if each.spec.trial_id not in ids]
    if not wishes.accept_code:
        refuse_other_code(kept, trials)
    return Todo(
        batch=batch,
        room=room,
        standings=standings,
        trials=trials,
        begun=begun,
        engines=engines_of(trials, kept, room.device, wishes.engine),
        equal_codes=codes_to_accept(kept) if wishes.accept_code else {},
        searches=searches,
    )


def _refuse_rerun_in_search(batch: Batch, wishes: Wishes) -> None:
    """Raise SweepError if --rerun is given with a searched sweep."""
    searched = [part.sweep.name for part in batch.parts if part.searches]
    if searched and wishes.rerun:
        raise SweepError(
            f"--rerun {wishes.rerun[0]}: {searched[0]} is searched, and a search hears each value once; leave out "
            "--rerun, or give the sweep other seeds to search again"
        )


def picked(standings: Sequence[Standing], only: Sequence[str]) -> list[Standing]:
    """Return the trials that the selectors of --only pick. Raises SweepError for one that picks nothing."""
    chosen = {spec.trial_id for spec in select([standing.spec for standing in standings], only, "--only")}
    return [standing for standing in standings if standing.spec.trial_id in chosen]


def packs(todo: Todo, wishes: Wishes) -> tuple[int, str]:
    """Return how many trials train as one pack, and the reason. On a GPU, a few steps are trained to measure it.

    Raises SweepError if measuring fails, or if a trial does not fit into a worker's share of a GPU.
    """
    if wishes.executor == "slurm":
        if wishes.pack is not None:
            return wishes.pack, "asked for"
        return (MEASURED, "the slots measure it") if todo.room.device == "cuda" else (1, "packs gain nothing on a CPU")
    if todo.room.share < 1:
        check_share(todo.alike, wishes.data_root, todo.room.share)
        return 1, "workers share a GPU"
    if wishes.pack is not None:
        return wishes.pack, "asked for"
    from_nothing = {standing.spec.trial_id for standing in todo.begun}
    begun = {
        standing.spec.trial_id: standing.summary.pack
        for standing in todo.batch.standings
        if standing.summary is not None and standing.spec.trial_id not in from_nothing
    }
    return pack_size(todo.alike, begun, todo.room.device, wishes.data_root)


def estimated(todo: Todo, wishes: Wishes) -> str:
    """Return a sentence with the time that the run will take and the disk space that it needs."""
    wanted = {(spec.trial_id, spec.target) for spec in todo.trials}
    from_nothing = {standing.spec.trial_id for standing in todo.begun}
    left = [
        replace(standing, summary=None) if standing.spec.trial_id in from_nothing else standing
        for standing in todo.batch.standings
        if (standing.spec.trial_id, standing.spec.target) in wanted
    ]
    workers = 1 if wishes.executor == "inline" else wishes.workers or todo.room.workers
    return estimate(left, todo.batch.parts[0].survey.summaries, todo.room.device).sentence(workers)
