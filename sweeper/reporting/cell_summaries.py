"""One summary run for each cell in the tracking store, so that its UI shows means over seeds."""

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from sweeper.planning.trial_spec import TrialSpec
from sweeper.results.fold import read_record
from sweeper.results.paths import Results
from sweeper.results.survey import survey
from sweeper.sweepfile.sweep import Sweep
from sweeper.tracking.run_contents import CellSummary

if TYPE_CHECKING:
    from sweeper.tracking.mlflow_tracker import MlflowTracker


def push_cells(tracker: "MlflowTracker", sweep: Sweep, specs: Sequence[TrialSpec], results: Results) -> None:
    """Push the endpoint of every cell with a value, at the last outer step of the endpoint. Raises TrackingError."""
    tracker.push_cells(_summaries(sweep, specs, results))


def _summaries(sweep: Sweep, specs: Sequence[TrialSpec], results: Results) -> list[CellSummary]:
    from analysis.numbers.endpoint import read
    from analysis.numbers.stats import summary

    values: dict[str, list[float]] = {spec.cell: [] for spec in specs}
    for standing in survey(results, specs).standings:
        trial = standing.spec.planned()
        step = trial.target if sweep.endpoint.at == "last" else max(sweep.endpoint.at)
        record = None if standing.summary is None or standing.unreadable else read_record(results, trial.trial_id)
        reading = read(trial, record, sweep.endpoint, step)
        if not reading.reason:
            values[trial.cell].append(reading.value)
    planned = Counter(spec.cell for spec in specs)
    first_of_cell = {spec.cell: spec for spec in reversed(specs)}
    return [
        CellSummary(
            cell=cell,
            name=first_of_cell[cell].cell_name,
            labels=first_of_cell[cell].labels,
            planned=planned[cell],
            **summary(readings)._asdict(),
        )
        for cell, readings in values.items()
        if readings
    ]
