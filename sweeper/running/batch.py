"""The sweeps of one run before it starts: prepare data, survey trials, refuse what can't run, lock. Trains nothing."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from analysis.contract.lifecycle import FINISHED
from sweeper.errors import SweepError
from sweeper.host.devices import Device
from sweeper.planning.expand import expand
from sweeper.planning.named_code_checks import check_named_code
from sweeper.planning.searched import searches_of
from sweeper.planning.trial_spec import TrialSpec
from sweeper.results.known_trainers import sweep_in
from sweeper.results.locks import Lock, holder_of
from sweeper.results.paths import Results, storage_explained
from sweeper.results.survey import Batch, Standing, SurveyedSweep, experiment_name, survey
from sweeper.search.trials import known, planned
from sweeper.sweepfile.sweep import Sweep
from trainers.named_code import code_of
from trainers.trainer import Data, TrainerError


def read_sweeps(files: Iterable[Path], results: Results, settings: Sequence[str] = ()) -> list[Sweep]:
    """Return the sweeps in `files` with the `settings` of `--set`.

    Raises SweepError if two have the same name, which names the run and experiment.
    """
    named: dict[str, tuple[Path, Sweep]] = {}
    for file in files:
        sweep = sweep_in(file, results, settings)
        if sweep.name in named:
            raise SweepError(f"{named[sweep.name][0]} and {file} are both named {sweep.name}; rename one of them")
        named[sweep.name] = (file, sweep)
    return [sweep for _, sweep in named.values()]


def surveyed_again(batch: Batch, results: Results) -> Batch:
    """Return `batch` with the present states of its trials."""
    return replace(batch, parts=tuple(part_again(part, results) for part in batch.parts))


def part_again(part: SurveyedSweep, results: Results) -> SurveyedSweep:
    """Return `part` with the present states of its trials, and those that its searches have named meanwhile."""
    specs = part.specs
    if part.searches:
        every = [one.spec for search in part.searches for one in known(search, results).trials]
        specs = tuple({(spec.trial_id, spec.target): spec for spec in every}.values())
    return replace(part, specs=specs, survey=survey(results, specs))


def prepare_run(sweeps: Iterable[Sweep], profile: str | None, results: Results, data_root: Path) -> Batch:
    """Prepare the data sets of `sweeps`, plan the trials with their digests, and survey the results.

    Converts data if needed, and writes no results. Raises SweepError for bad data or a bad sweep.
    """
    sweeps = list(sweeps)
    examples = [(sweep, _examples(sweep, profile)) for sweep in sweeps]
    for sweep, shown in examples:
        check_named_code(sweep, shown)
    arrays = _prepared([spec for _, shown in examples for spec in shown], data_root)
    digests: dict[str, str] = {name: array.digest for name, array in arrays.items()}
    parts = []
    for sweep in sweeps:
        specs = planned(sweep, profile, results, digests)
        found = survey(results, specs)
        searches = searches_of(sweep, profile, digests) if sweep.search is not None else ()
        name = experiment_name(sweep, profile)
        parts.append(SurveyedSweep(sweep=sweep, experiment=name, specs=specs, survey=found, searches=searches))
    data = {name: {"name": name, "path": str(array.path), "digest": array.digest} for name, array in arrays.items()}
    return Batch(parts=tuple(parts), data=data)


def _examples(sweep: Sweep, profile: str | None) -> list[TrialSpec]:
    """Return the trials of a grid, or some that are like those of a search."""
    if sweep.search is None:
        return list(expand(sweep, profile))
    return [spec for search in searches_of(sweep, profile) for spec in search.examples]


def _prepared(specs: Iterable[TrialSpec], data_root: Path) -> dict[str, Data]:
    """Prepare the data sets of `specs` and return them by name. Raises SweepError if one is missing."""
    needed = {(spec.trainer.dataset(spec.cell_config), spec.trainer.name): spec.trainer for spec in specs}
    arrays: dict[str, Data] = {}
    for (name, trainer), found in sorted(needed.items(), key=lambda entry: entry[0]):
        if not name:
            continue
        try:
            array = found.prepare(name, data_root)
        except TrainerError as error:
            raise SweepError(str(error)) from None
        if arrays.setdefault(name, array).digest != array.digest:
            raise SweepError(f"{name}: another data set of trainer {trainer} has this name; run their sweeps apart")
    return arrays


def refuse_other_code(standings: Iterable[Standing], to_train: Iterable[TrialSpec]) -> None:
    """Raise SweepError if a trial that is finished, or one of `to_train`, has results of another code than today's."""
    going_on = {spec.trial_id for spec in to_train}
    changed = [
        standing
        for standing in standings
        if standing.changed and (standing.state in FINISHED or standing.spec.trial_id in going_on)
    ]
    if not changed:
        return
    first = changed[0]
    assert first.summary is not None  # else nothing has changed
    by_owner: dict[str, set[str]] = {}
    for standing in changed:
        of = code_of(standing.spec.trainer, standing.spec.cell_config).of
        by_owner.setdefault(of, set()).add(standing.spec.trial_id)
    name = code_of(first.spec.trainer, first.spec.cell_config).of
    count, more = len(by_owner[name]), "".join(f", and so has that of {one}" for one in by_owner if one != name)
    raise SweepError(
        f"the code of {name} has changed since {first.spec.trial_id}"
        f"{f' and {count - 1} other trials' if count > 1 else ''} trained with it (its hash was "
        f"{first.summary.code[:12]} and is {first.code[:12]} now){more}; train them from step 0 with --rerun, or go on "
        "with --accept-code if the change makes no difference to their numbers"
    )


def codes_to_accept(standings: Iterable[Standing]) -> dict[str, set[str]]:
    """Return the hashes of code that --accept-code makes equal, by the name of their trainer."""
    equal: dict[str, set[str]] = {}
    for standing in standings:
        if standing.changed and standing.summary is not None:
            equal.setdefault(standing.spec.trainer.name, set()).update((standing.summary.code, standing.code))
    return equal


def pending(standings: Iterable[Standing], *, retry_failed: bool) -> list[TrialSpec]:
    """Return the trials that a run would train: neither finished nor running, and failed only with `retry_failed`.

    A trial with an unreadable journal is left out. --rerun moves its results away.
    """
    left_out = FINISHED | {"running"} | (set() if retry_failed else {"failed"})
    return [standing.spec for standing in standings if standing.state not in left_out and not standing.unreadable]


def refuse_other_device(standings: Iterable[Standing], device: Device, *, retry_failed: bool = False) -> None:
    """Raise SweepError if a trial that would go on began on another kind of device, where it gets other bits."""
    for standing in standings:
        stays = FINISHED | {"running"} | (set() if retry_failed else {"failed"})
        if standing.summary is None or standing.unreadable or standing.state in stays:
            continue
        began_on = standing.summary.device
        if began_on != device:
            raise SweepError(
                f"{standing.spec.trial_id} began on {began_on}, and a trial doesn't move between kinds of device; "
                f"go on with --device {began_on}, or name another folder with --results to start again on {device}"
            )


@contextmanager
def only_run(batch: Batch, results: Results) -> Iterator[None]:
    """Lock the sweeps of `batch` for this process. Raises SweepError with the process that already runs one of them."""
    locks = []
    try:
        for part in batch.parts:
            paths = results.run(part.experiment)
            lock = Lock(paths)
            with storage_explained(paths.lock):
                taken = lock.take()
            if not taken:
                raise SweepError(f"{part.experiment} is being run already, {_described(holder_of(paths))}")
            locks.append(lock)
        yield
    finally:
        for lock in locks:
            lock.release()


def _described(holder: Mapping[str, Any] | None) -> str:
    if not holder:
        return "by an unknown process"
    since = datetime.fromtimestamp(holder["since_ms"] / 1000).astimezone().isoformat(" ", "seconds")
    return (
        f"by process {holder['pid']} on {holder['host']} since {since}; `sweeper status` shows how far it is and "
        "`sweeper stop` ends it"
    )
