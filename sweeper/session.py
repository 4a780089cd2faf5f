"""One `run`, of one sweep or several, from their plans to the last line of the journals; says nothing to the user."""

import secrets
import signal
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from sweeper.batch import Batch, Prepared
from sweeper.claims import holder_of
from sweeper.dealer import Dealer, Worker
from sweeper.devices import THREADS, Device, default_workers
from sweeper.executors import Executor, InlineExecutor
from sweeper.index import briefs
from sweeper.journal import fold
from sweeper.late_sync import places, wait_for_pusher
from sweeper.node_check import asked
from sweeper.plan import TrialSpec
from sweeper.ray_place import slot_of
from sweeper.results import Results
from sweeper.schema import TrialRecord
from sweeper.signals import Signals
from sweeper.sync import Syncer, Views
from sweeper.tracked import TrackedTrial
from sweeper.view_mark import is_shown, note_shown, state_of
from trainers.engine_table import ENGINE_OF_DEVICE

if TYPE_CHECKING:
    from sweeper.tracking import MlflowTracker

GRACE_S = 2.0
"""How long the end of a run waits for the tracking store; what is late then is sent by another process."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """What to run on. `workers` packs train at once.

    A worker that reports nothing for `timeout_s` is given up and its trials dealt again. `address` is that of a Ray
    cluster that this process has joined; without `workers` all of it trains, also what joins later. `share` is the part
    of a GPU that a worker has.
    """

    results: Results
    data_root: Path
    device: Device
    workers: int | None
    address: str | None
    pack: int
    share: float
    executor: Literal["ray", "inline"]
    retry_failed: bool
    timeout_s: float


class InterruptedRunError(Exception):
    """A signal ended the run; everything is saved, and the tracking store is `behind` by so many trials."""

    def __init__(self, signal_number: int, behind: int) -> None:
        super().__init__(signal_number)
        self.signal_number = signal_number
        self.behind = behind


def execute(
    batch: Batch,
    todo: Iterable[TrialSpec],
    options: Options,
    watching: Callable[[Dealer, Views | None], AbstractContextManager[None]],
    views: Views | None,
) -> int:
    """Train `todo` to the end and return how many trials the tracking store is behind by.

    A trial wanted to several targets is trained to each in turn. `watching` wraps each round in a view of it. `views`
    are those of `views_of`. Raises InterruptedRunError after a signal, SweepError when the results folder or Ray gave
    out.
    """
    options.results.note_digests({name: array["digest"] for name, array in batch.data.items()})
    signals = Signals()
    signals.install()
    if views:
        views.start(_begun(batch, options.results))
    dealer, stopped = None, set[str]()
    try:
        for specs in _rounds(todo):
            left = [spec for spec in specs if spec.trial_id not in stopped]
            dealer = _dealer(batch, left, options, views.note if views else _unnoted)
            signals.watch(dealer)
            with watching(dealer, views):
                _executor(batch, options).run(dealer, signals.install)
            stopped |= dealer.stopped_trials
            if dealer.stop_requested:
                signals.note(signal.SIGINT)
            if dealer.stopping.is_set():
                break
    finally:
        signals.restore()
    now = briefs(options.results)  # brings the index up to date, so that the next plan needn't read the journals
    if views:
        for standing in batch.standings:  # another run may have trained what this one only shows
            if now.get(standing.spec.trial_id) != standing.brief:
                views.note(standing.spec.trial_id)
    behind = views.close(GRACE_S) if views else 0
    if dealer is not None and dealer.fatal is not None:
        raise dealer.fatal
    if signals.received is not None:
        raise InterruptedRunError(signals.received, behind)
    return behind


def _begun(batch: Batch, results: Results) -> list[str]:
    """Return the trials that have a journal by now; one that is to be run again from nothing has none any more."""
    begun = [found.spec.trial_id for found in batch.standings if found.brief is not None and not found.unreadable]
    return [trial_id for trial_id in begun if results.trial(trial_id).journal.exists()]


def views_of(
    batch: Batch, results: Results, uri: str, last: Callable[["MlflowTracker", Prepared], None] | None = None
) -> Views:
    """Return what brings the store at `uri` up to the journals, not started yet.

    `last` shows what takes a sweep's trials together, once all of them are shown. A view's first push waits for another
    process that brings it up to date.
    """

    def syncer(part: Prepared) -> Syncer:
        def conclude(tracker: "MlflowTracker") -> None:
            if last is not None:
                shown = state_of(part, results, uri)
                last(tracker, part)
                note_shown(part, results, shown)

        def connected() -> "MlflowTracker":
            wait_for_pusher(places(results, part.experiment, uri), _unnoted)
            return connect(uri, part.experiment, results)

        return Syncer(
            connected,
            lambda trial_id: read_record(results, trial_id),
            tracked(part.specs, part.experiment),
            last=conclude,
        )

    return Views([syncer(part) for part in batch.parts])


def catch_up(batch: Batch, results: Results, uri: str, views: Views) -> int:
    """Bring the store at `uri` up to the journals without training; return how many trials it stays behind by.

    Asks the store nothing when this folder remembers that it has been shown all of this. Waits at most `GRACE_S`.
    """
    if all(is_shown(part, results, uri) for part in batch.parts):
        return 0
    views.start(_begun(batch, results))
    return views.close(GRACE_S)


def _rounds(todo: Iterable[TrialSpec]) -> list[list[TrialSpec]]:
    """Return `todo` in rounds that hold each trial once, shorter targets first."""
    rounds: list[list[TrialSpec]] = []
    taken: Counter[str] = Counter()
    for spec in sorted(todo, key=lambda spec: spec.target):
        if taken[spec.trial_id] == len(rounds):
            rounds.append([])
        rounds[taken[spec.trial_id]].append(spec)
        taken[spec.trial_id] += 1
    order = {spec.trial_id: number for number, spec in enumerate(todo)}
    return [sorted(specs, key=lambda spec: order[spec.trial_id]) for specs in rounds]


def _dealer(batch: Batch, specs: list[TrialSpec], options: Options, note: Callable[[str], None]) -> Dealer:
    worker = Worker(
        device=options.device,
        engine=ENGINE_OF_DEVICE[options.device],
        threads=THREADS,
        pack=options.pack,
        data=batch.data,
        timeout_s=options.timeout_s,
        share=options.share,
    )
    sweeps = {spec.trial_id: part.sweep.name for part in reversed(batch.parts) for spec in part.specs}
    return Dealer(
        specs, sweeps=sweeps, results=options.results, worker=worker, note=note, retry_failed=options.retry_failed
    )


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


def _unnoted(_: str) -> None:
    pass


def _executor(batch: Batch, options: Options) -> Executor:
    if options.executor == "inline":
        return InlineExecutor()
    from sweeper.ray_executor import JoinedExecutor, RayExecutor

    if options.address is None:
        gpus = default_workers("cuda") if options.device == "cuda" else 0
        workers = options.workers or default_workers(options.device)
        return RayExecutor(workers=workers, threads=THREADS, gpus=min(gpus, workers), share=options.share)
    wanted = asked(batch.data, options.data_root, options.results, secrets.token_hex(8))
    slot = slot_of(THREADS, gpu=options.share if options.device == "cuda" else 0.0)
    return JoinedExecutor(options.address, asked=wanted, workers=options.workers, slot=slot)
