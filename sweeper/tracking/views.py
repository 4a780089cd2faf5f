"""Builds and runs the syncers that bring the tracking store up to the journals for one run or sync."""

from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING

from analysis.contract.record import TrialRecord
from sweeper.planning.trial_spec import TrialSpec
from sweeper.results.fold import read_record
from sweeper.results.paths import Results
from sweeper.results.supersede import starts_of_superseded
from sweeper.results.survey import Batch, SurveyedSweep
from sweeper.tracking.run_contents import Readout, TrackedTrial, nothing_read
from sweeper.tracking.run_names import short_name, swept_axes
from sweeper.tracking.shown_mark import is_shown, note_shown, state_of
from sweeper.tracking.syncer import Syncer, Views
from sweeper.tracking.turns import turns_of, wait_for_pusher

if TYPE_CHECKING:
    from sweeper.tracking.mlflow_tracker import MlflowTracker


Reader = Callable[[TrialSpec], Callable[[TrialRecord], Readout]]
"""Returns for a planned trial what reads the sweep's endpoint from its record."""


def _begun(batch: Batch, results: Results) -> list[str]:
    """Return the trials that have a journal now. A trial to be trained again from step 0 no longer has one."""
    begun = [found.spec.trial_id for found in batch.standings if found.summary is not None and not found.unreadable]
    return [trial_id for trial_id in begun if results.trial(trial_id).journal.exists()]


def views_of(
    batch: Batch,
    results: Results,
    uri: str,
    last: Callable[["MlflowTracker", SurveyedSweep], None] | None = None,
    reader: Callable[[SurveyedSweep], Reader] | None = None,
) -> Views:
    """Return the syncers that bring the store at `uri` up to the journals, not started yet.

    `last` shows what needs all trials of a sweep, once they are shown. `reader` reads the endpoint of a sweep. A view's
    first push waits while another process pushes to it.
    """

    def syncer(part: SurveyedSweep) -> "Syncer[MlflowTracker]":
        def conclude(tracker: "MlflowTracker") -> None:
            if last is not None:
                shown = state_of(part, results, uri)
                last(tracker, part)
                note_shown(part, results, shown)

        def connected() -> "MlflowTracker":
            wait_for_pusher(turns_of(results, part.experiment, uri), _unnoted)
            return connect(uri, part.experiment, results)

        return Syncer(
            connected,
            lambda trial_id: read_record(results, trial_id),
            tracked(part, None if reader is None else reader(part)),
            last=conclude,
        )

    return Views([syncer(part) for part in batch.parts])


def catch_up(batch: Batch, results: Results, uri: str, views: Views) -> int:
    """Bring the store at `uri` up to the journals without training; return how many trials are still behind.

    Does not ask the store if this folder remembers that the store shows everything. Waits at most `GRACE_S` seconds.
    """
    if all(is_shown(part, results, uri) for part in batch.parts):
        return 0
    views.start(_begun(batch, results))
    return views.close(GRACE_S)


def connect(uri: str, experiment: str, results: Results) -> "MlflowTracker":
    """Return a tracker of `experiment` in the store at `uri`. Raises TrackingError."""
    from sweeper.tracking.mlflow_tracker import MlflowTracker

    return MlflowTracker(
        uri,
        experiment,
        results.artifacts,
        read=lambda trial_id: read_record(results, trial_id),
        replaced=lambda trial_id: starts_of_superseded(results, trial_id),
        log=lambda record: _log(results, record),
    )


def _log(results: Results, record: TrialRecord) -> bytes:
    """Return the log of the trial's last attempt, empty if it can't be read."""
    if not record["attempts"]:
        return b""
    try:
        return results.trial(record["trial_id"]).log(record["attempts"][-1]["attempt"]).read_bytes()
    except OSError:
        return b""


def tracked(
    part: SurveyedSweep, reader: Reader | None = None, only: Collection[str] | None = None
) -> dict[str, TrackedTrial]:
    """Return each trial of `part` as the tracking store shows it, by id. `only` are the ids of some trials."""
    swept = swept_in(part)
    return {
        spec.trial_id: tracked_trial(part, spec, swept, reader)
        for spec in part.specs
        if only is None or spec.trial_id in only
    }


def swept_in(part: SurveyedSweep) -> Sequence[str]:
    """Return the axes that tell the trials of `part` apart. Every dimension of a search does."""
    if part.sweep.search is None:
        return swept_axes(spec.labels for spec in part.specs)
    axes = [axis.name for axis in part.sweep.axes if len(axis.values) > 1]
    return [*axes, *(dimension.name for dimension in part.sweep.search.space)]


def tracked_trial(
    part: SurveyedSweep, spec: TrialSpec, swept: Sequence[str], reader: Reader | None = None
) -> TrackedTrial:
    """Return one trial of `part` as the tracking store shows it."""
    return TrackedTrial(
        trial_id=spec.trial_id,
        name=spec.name(),
        sweep=part.experiment,
        labels=spec.labels,
        trainer=spec.trainer,
        short=short_name(spec.labels, swept, spec.cell_name, spec.seed),
        source=f"{part.sweep.name}.yaml",
        read=nothing_read if reader is None else reader(spec),
    )


def _unnoted(_: str) -> None:
    pass


GRACE_S = 5.0
"""Seconds that the end of a run waits for the tracking store. Another process sends the rest."""
