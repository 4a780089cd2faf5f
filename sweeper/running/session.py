"""One run of one or more sweeps, from their plans to the last line of the journals. Prints nothing."""

import secrets
import signal
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sweeper.dealing.dealer import Dealer, Worker
from sweeper.dealing.rounds import rounds
from sweeper.dealing.source import Source
from sweeper.executors.inline import Executor, InlineExecutor
from sweeper.executors.ray.place import slot_of
from sweeper.host.devices import THREADS, Device, default_workers
from sweeper.planning.trial_spec import TrialSpec
from sweeper.results import known_datasets
from sweeper.results.index import summaries
from sweeper.results.paths import Results, storage_explained
from sweeper.results.survey import Batch
from sweeper.running.kernels_ahead import compiling, needed
from sweeper.running.required import required
from sweeper.running.signals import Signals
from sweeper.tracking.syncer import Views
from sweeper.tracking.views import GRACE_S, _begun, _unnoted

KERNELS_MISSING = "This machine compiles the kernels of this version once, in about 20 s"


@dataclass(frozen=True, kw_only=True)
class Options:
    """How to run. `workers` is the number of packs that train at once; None uses the whole machine or cluster.

    A worker that reports nothing for `timeout_s` seconds is given up, and its trials are dealt again. `address` is the
    Ray cluster that this process has joined, or None; without `workers`, nodes that join later train too. `share` is
    the fraction of a GPU that each worker has, at most 1. `engines` has the engine of each trial, by its id.
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
    engines: Mapping[str, str]


class InterruptedRunError(Exception):
    """A signal ended the run. Everything is saved. The tracking store is `behind` by that many trials."""

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
    leaving: Callable[[], None] = lambda: None,
    source: Source | None = None,
) -> int:
    """Train `todo` to the end and return the number of trials that the tracking store is behind by.

    A trial with several targets is trained to each in turn. `source` gives further trials, once the last round of the
    others has begun. `watching` shows each round; `views` come from `views_of`.
    `leaving` is called before a second signal ends the process.
    Raises InterruptedRunError after a signal, and SweepError if the results folder or Ray fails.
    """
    with storage_explained(options.results.root):
        options.results.note_digests({name: array["digest"] for name, array in batch.data.items()})
        known_datasets.keep(options.results, batch.data)
    signals = Signals(leaving)
    signals.install()
    if views:
        views.start(_begun(batch, options.results))
    dealer, stopped = None, set[str]()
    todo = list(todo)
    kernels = needed(todo, options.engines)
    own_workers = options.executor == "ray" and options.address is None
    with ExitStack() as ending:
        ending.callback(signals.restore)
        ending.enter_context(compiling(kernels if own_workers else []))
        todo_rounds = rounds(todo) or ([] if source is None else [[]])
        for number, specs in enumerate(todo_rounds, start=1):
            left = [spec for spec in specs if spec.trial_id not in stopped]
            further = source if number == len(todo_rounds) else None
            dealer = _dealer(batch, left, options, views.note if views else _unnoted, further)
            if kernels:
                dealer.changes.put(KERNELS_MISSING)
                kernels = []
            signals.watch(dealer)
            with watching(dealer, views):
                _executor(batch, options).run(dealer, signals.install)
            stopped |= dealer.stopped_trials
            if dealer.stop_requested:
                signals.note(signal.SIGINT)
            if dealer.stopping.is_set():
                break
    now = summaries(options.results)  # updates the index, so that the next plan need not read the journals
    if views:
        for standing in batch.standings:  # another run may have trained what this one only shows
            if now.get(standing.spec.trial_id) != standing.summary:
                views.note(standing.spec.trial_id)
    behind = views.close(GRACE_S) if views else 0
    if dealer is not None and dealer.fatal is not None:
        raise dealer.fatal
    if signals.received is not None:
        raise InterruptedRunError(signals.received, behind)
    return behind


def _dealer(
    batch: Batch, specs: list[TrialSpec], options: Options, note: Callable[[str], None], source: Source | None
) -> Dealer:
    worker = Worker(
        device=options.device,
        threads=THREADS,
        pack=options.pack,
        data=batch.data,
        timeout_s=options.timeout_s,
        share=options.share,
    )
    sweeps = {spec.trial_id: part.sweep.name for part in reversed(batch.parts) for spec in part.specs}
    return Dealer(
        specs,
        sweeps=sweeps,
        engines=options.engines,
        results=options.results,
        worker=worker,
        note=note,
        retry_failed=options.retry_failed,
        source=source,
    )


def _executor(batch: Batch, options: Options) -> Executor:
    if options.executor == "inline":
        return InlineExecutor()
    from sweeper.executors.ray.executor import JoinedExecutor, RayExecutor

    if options.address is None:
        gpus = default_workers("cuda") if options.device == "cuda" else 0
        workers = options.workers or default_workers(options.device)
        return RayExecutor(workers=workers, threads=THREADS, gpus=min(gpus, workers), share=options.share)
    wanted = required(batch, options.data_root, options.results, secrets.token_hex(8))
    slot = slot_of(THREADS, gpu=options.share if options.device == "cuda" else 0.0)
    return JoinedExecutor(options.address, asked=wanted, workers=options.workers, slot=slot)
