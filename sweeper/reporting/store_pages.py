"""What the pages of a tracking store show of a whole sweep: a summary run for each cell, and the experiment's table.

Computes the numbers; `sweeper.tracking` sends them.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from analysis.contract.question import Word
from sweeper.planning.trial_spec import TrialSpec
from sweeper.reporting.endpoint_metric import endpoint_keys, is_searched
from sweeper.results.fold import read_record
from sweeper.results.paths import Results
from sweeper.results.survey import SurveyedSweep, survey
from sweeper.sweepfile.sweep import Sweep
from sweeper.tracking.run_contents import CellSummary
from sweeper.tracking.run_names import short_name
from sweeper.tracking.views import swept_in

if TYPE_CHECKING:
    from analysis.numbers.endpoint import Unit
    from analysis.numbers.stats import Summary
    from sweeper.tracking.mlflow_tracker import MlflowTracker


def push_pages(
    tracker: "MlflowTracker", part: SurveyedSweep, results: Results, left_out: Collection[str] = frozenset()
) -> list[CellSummary]:
    """Show the cells of a sweep with their trials below, and describe its experiment. Raises TrackingError.

    A cell shows its endpoint at the last step of the endpoint. One that has no value, or has a trial in
    `left_out`, is not shown. Returns the cells that are shown, in the order of the plan.
    """
    torn = {spec.cell for spec in part.specs if spec.trial_id in left_out}
    specs = [spec for spec in part.specs if spec.cell not in torn and not is_searched(part.sweep, spec)]
    swept = swept_in(part)
    # MLflow shows trials below their cell only if the newest run is first. So the first cell is made last.
    cells = _summaries(part.sweep, specs, swept, results)
    tracker.push_cells(list(reversed(cells)))
    tracker.describe(_note(part), swept, endpoint_keys(part.sweep, part.specs))
    return cells


def _summaries(sweep: Sweep, specs: Sequence[TrialSpec], swept: Sequence[str], results: Results) -> list[CellSummary]:
    from analysis.numbers.endpoint import read, unit_of
    from analysis.numbers.stats import summary

    values: dict[str, list[float]] = {spec.cell: [] for spec in specs}
    for standing in survey(results, specs).standings:
        trial = standing.spec.planned()
        at: int | Word = sweep.endpoint.at if isinstance(sweep.endpoint.at, str) else max(sweep.endpoint.at)
        record = None if standing.summary is None or standing.unreadable else read_record(results, trial.trial_id)
        reading = read(trial, record, sweep.endpoint, at)
        if not reading.reason:
            values[trial.cell].append(reading.value)
    planned = Counter(spec.cell for spec in specs)
    first_of_cell = {spec.cell: spec for spec in reversed(specs)}
    trials: dict[str, list[str]] = {}
    for spec in specs:
        trials.setdefault(spec.cell, []).append(spec.trial_id)
    made = []
    for cell, readings in values.items():
        if not readings:
            continue
        spec, stats = first_of_cell[cell], summary(readings)
        made.append(
            CellSummary(
                cell=cell,
                name=spec.cell_name,
                labels=spec.labels,
                planned=planned[cell],
                short=short_name(spec.labels, swept, spec.cell_name),
                source=f"{sweep.name}.yaml",
                note=_cell_note(sweep, spec.labels, stats, planned[cell], unit_of(sweep.endpoint, readings)),
                trials=tuple(trials[cell]),
                **stats._asdict(),
            )
        )
    return made


def _cell_note(sweep: Sweep, labels: Mapping[str, str], stats: "Summary", planned: int, unit: "Unit") -> str:
    """Return the numbers of a cell in Markdown."""
    from analysis.numbers.endpoint import endpoint_sentence, in_unit

    numbers = [f"mean **{in_unit(stats.mean, unit)}**"]
    if stats.n > 1:
        numbers.append(f"sd {in_unit(stats.sd, unit)}")
    if stats.low == stats.low:  # not NaN: three seeds at least
        numbers.append(f"95 % interval of the mean {in_unit(stats.low, unit)} to {in_unit(stats.high, unit)}")
    where = ", ".join(f"{axis} {label}" for axis, label in labels.items())
    return "\n\n".join(
        [
            f"A cell of the sweep `{sweep.name}`: {where}.",
            f"{stats.n} of {planned} seeds: {', '.join(numbers)}. {endpoint_sentence(sweep.endpoint)}.",
        ]
    )


def _note(part: SurveyedSweep) -> str:
    """Return what the experiment's page says on top, in Markdown."""
    from analysis.numbers.endpoint import PERCENT, endpoint_sentence, unit_of

    paper = f"\n\nPaper: {part.sweep.paper}." if part.sweep.paper else ""
    endpoint = part.sweep.endpoint
    fractions = "accuracies" if endpoint.declared.measured != "readings" else "percentages"
    scale = f"; {fractions} are fractions" if unit_of(endpoint) == PERCENT or fractions == "accuracies" else ""
    return (
        f"**{part.sweep.question}**\n\n{endpoint_sentence(endpoint)}. A row is a cell with its number of "
        "seeds (n), their mean, sd, and the ends of the 95 % interval of the mean (low, high)"
        f"{scale}. A cell opens to its trials.{paper}"
    )
