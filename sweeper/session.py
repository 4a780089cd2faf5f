"""One `run` of one sweep, from a plan to the last line of its journals; says nothing to the user itself."""

import os
import signal
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Literal

from sweeper.claims import holder_of
from sweeper.dealer import Dealer, Worker
from sweeper.errors import SweepError
from sweeper.executors import Executor, InlineExecutor
from sweeper.journal import fold
from sweeper.plan import TrialSpec, expand
from sweeper.results import Results
from sweeper.schema import TrialRecord
from sweeper.survey import FINISHED, Standing, survey
from sweeper.sweepfile import Sweep
from sweeper.sync import Syncer
from sweeper.tracked import TrackedTrial
from trainers.datasets import DataError, prepare
from trainers.engine_table import ENGINE_OF_DEVICE

if TYPE_CHECKING:
    from sweeper.tracking import MlflowTracker

Device = Literal["cpu", "cuda"]

FLUSH_S = 60.0
"""How long the end of a run waits for the tracking store; what is late is sent by `sync`."""
FLUSH_STOPPED_S = 3.0
"""The same after a signal, when someone is waiting for the process to be gone."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """What to run on. `workers` packs train at once; `tracking_uri` None is no tracking at all."""

    results: Results
    device: Device
    workers: int
    pack: int
    executor: Literal["ray", "inline"]
    tracking_uri: str | None
    retry_failed: bool


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A sweep whose data is in place and whose trials are known; `experiment` is its name in the tracking store."""

    sweep: Sweep
    experiment: str
    specs: tuple[TrialSpec, ...]
    data: Mapping[str, dict[str, str]]
    standings: list[Standing]


def experiment_name(sweep: Sweep, profile: str | None) -> str:
    """Return the tracking store's name for a sweep under a profile."""
    return f"{sweep.name}@{profile}" if profile else sweep.name


def prepare_run(sweep: Sweep, profile: str | None, results: Results, data_root: Path) -> Prepared:
    """Prepare the data sets of the plan, convert them if need be, and fold what has been done; write no results.

    The plan is made again with the digests of the arrays as they are. Raises SweepError.
    """
    names = {spec.config.dataset for spec in expand(sweep, profile)}
    try:
        arrays = {name: prepare(name, data_root) for name in sorted(names)}
    except DataError as error:
        raise SweepError(str(error)) from None
    specs = expand(sweep, profile, {name: array.digest for name, array in arrays.items()})
    data = {name: {"name": name, "path": str(array.path), "digest": array.digest} for name, array in arrays.items()}
    return Prepared(
        sweep=sweep,
        experiment=experiment_name(sweep, profile),
        specs=specs,
        data=data,
        standings=survey(results, specs),
    )


def pending(standings: Iterable[Standing], *, retry_failed: bool) -> list[TrialSpec]:
    """Return what a run would train: everything planned that isn't finished, failed trials only if asked for."""
    left_out = FINISHED | {"running"} | (set() if retry_failed else {"failed"})
    return [standing.spec for standing in standings if standing.state not in left_out]


def refuse_other_device(standings: Iterable[Standing], device: Device) -> None:
    """Raise SweepError if a trial that would go on began on another kind of device: its bits belong to that one."""
    for standing in standings:
        if standing.record is None or standing.state in FINISHED | {"running"}:
            continue
        began_on = standing.record["attempts"][0]["device"]
        if began_on != device:
            raise SweepError(
                f"{standing.spec.trial_id} began on {began_on}, and a trial doesn't move between kinds of device; "
                f"go on with --device {began_on}, or name another folder with --results to begin anew on {device}"
            )


class InterruptedRunError(Exception):
    """A signal ended the run; everything is saved. `signal_number` is the signal's."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(signal_number)
        self.signal_number = signal_number


def execute(
    prepared: Prepared,
    todo: list[TrialSpec],
    options: Options,
    watching: Callable[[Dealer, Syncer | None], AbstractContextManager[None]],
) -> int:
    """Train `todo` to the end and return how many trials the tracking store is behind by.

    `watching` wraps the run in a view of it. Raises InterruptedRunError after a signal, SweepError when the results
    folder or Ray gave out.
    """
    options.results.note_digests({name: array["digest"] for name, array in prepared.data.items()})
    syncer = _syncer(prepared, options)
    worker = Worker(
        device=options.device,
        engine=ENGINE_OF_DEVICE[options.device],
        threads=1,
        pack=options.pack,
        data=prepared.data,
    )
    note = syncer.note if syncer else _unnoted
    dealer = Dealer(
        todo,
        sweep=prepared.sweep.name,
        results=options.results,
        worker=worker,
        note=note,
        retry_failed=options.retry_failed,
    )
    signals = _Signals(dealer)
    signals.install()
    if syncer:
        syncer.start()
        for standing in prepared.standings:
            if standing.record is not None:
                syncer.note(standing.spec.trial_id)
    with watching(dealer, syncer):
        try:
            _executor(options).run(dealer, signals.install)
        finally:
            signals.restore()
    flush_s = FLUSH_S if signals.received is None else FLUSH_STOPPED_S
    behind = syncer.close(flush_s) if syncer else 0
    if dealer.fatal is not None:
        raise dealer.fatal
    if signals.received is not None:
        raise InterruptedRunError(signals.received)
    return behind


def connect(uri: str, experiment: str, results: Results) -> "MlflowTracker":
    """Return a tracker of `experiment` in the store at `uri`. Raises TrackingError."""
    from sweeper.tracking import MlflowTracker

    return MlflowTracker(uri, experiment, results.artifacts)


def tracked(prepared_specs: Iterable[TrialSpec], sweep: str) -> dict[str, TrackedTrial]:
    """Return how each trial is shown in the tracking store, by id."""
    return {
        spec.trial_id: TrackedTrial(trial_id=spec.trial_id, name=spec.name(), sweep=sweep, labels=spec.labels)
        for spec in prepared_specs
    }


def read_record(results: Results, trial_id: str) -> TrialRecord:
    """Return the fold of a journal that is known to hold an attempt; a trial whose run died is interrupted."""
    paths = results.trial(trial_id)
    record = fold(paths.journal)
    assert record is not None
    if record["status"] == "running" and holder_of(paths) is None:
        record["status"], record["message"] = "interrupted", "its run died"
    return record


def _syncer(prepared: Prepared, options: Options) -> Syncer | None:
    uri = options.tracking_uri
    if uri is None:
        return None
    return Syncer(
        lambda: connect(uri, prepared.experiment, options.results),
        lambda trial_id: read_record(options.results, trial_id),
        tracked(prepared.specs, prepared.experiment),
    )


def _unnoted(trial_id: str) -> None:
    pass


def _executor(options: Options) -> Executor:
    if options.executor == "inline":
        return InlineExecutor()
    from sweeper.ray_executor import RayExecutor

    return RayExecutor(workers=options.workers, threads=1, gpus=options.workers if options.device == "cuda" else 0)


class _Signals:
    """First SIGINT or SIGTERM: stop dealing, checkpoint, flush. Second: out at once."""

    def __init__(self, dealer: Dealer) -> None:
        self._dealer = dealer
        self._previous: dict[int, object] = {}
        self.received: int | None = None

    def install(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            previous = signal.signal(number, self._handle)
            self._previous.setdefault(number, previous)

    def restore(self) -> None:
        for number, previous in self._previous.items():
            signal.signal(number, previous)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.received is not None:
            os._exit(128 + number)
        self.received = number
        self._dealer.stop()


def default_workers(device: Device) -> int:
    """Return one worker a GPU, or one a CPU core that this process may use."""
    if device == "cpu":
        return len(os.sched_getaffinity(0))
    import torch

    return torch.cuda.device_count()


def choose_device(wanted: Literal["auto", "cpu", "cuda"]) -> tuple[Device, str]:
    """Return the device and the reason for it. Raises SweepError when cuda is asked for and isn't there."""
    if wanted == "cpu":
        return "cpu", "asked for"
    has_driver = Path("/dev/nvidiactl").exists()
    if has_driver:
        import torch

        if torch.cuda.is_available():
            return "cuda", f"{torch.cuda.device_count()} CUDA device(s) found"
    if wanted == "cuda":
        seen = "a driver but no usable device" if has_driver else "no NVIDIA driver"
        raise SweepError(f"--device cuda: {seen} here; use --device cpu, or run where a GPU is")
    return "cpu", "no CUDA device found"
