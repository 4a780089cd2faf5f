"""Reads the endpoints of one sweep, by cell or by one side of a contrast. Each frame is computed once; no verdicts."""

from collections.abc import Mapping, Sequence

import pandas as pd

from analysis.contract.question import BEST_VAL, Endpoint, PlannedTrial, Side
from analysis.contract.record import ARTIFACT, TrialRecord
from analysis.judging.claims import SideValues
from analysis.numbers.endpoint import Unit, endpoint_values, read, unit_of
from analysis.numbers.measurements import measurement_of
from analysis.numbers.tables import Cell, cells
from analysis.paper.margins import TaskFacts
from analysis.paper.published import Published


class Readings:
    """One sweep's plan joined with its records; `unreadable` are the trials whose run has no record."""

    def __init__(
        self,
        plan: Sequence[PlannedTrial],
        axes: Sequence[str],
        records: Mapping[str, TrialRecord],
        unreadable: frozenset[str] = frozenset(),
    ) -> None:
        self.plan, self.axes, self.records = plan, tuple(axes), records
        self._unreadable = unreadable - records.keys()
        self._frames: dict[Endpoint, pd.DataFrame] = {}

    def frame(self, endpoint: Endpoint) -> pd.DataFrame:
        """Return `endpoint_values`, with a reason of its own for a trial whose run has no record."""
        if endpoint not in self._frames:
            values = endpoint_values(self.plan, self.records, endpoint)
            values.loc[values["trial_id"].isin(self._unreadable), "reason"] = f"tracked without its {ARTIFACT}"
            self._frames[endpoint] = values
        return self._frames[endpoint]

    def cells(self, endpoint: Endpoint) -> list[Cell]:
        """Return every cell of the plan, in the order of the plan."""
        step = measurement_of(endpoint).step
        return list(cells(self.frame(endpoint), self.axes, self.axes, self.unit(endpoint), step).values())

    def unit(self, endpoint: Endpoint) -> Unit:
        """Return the unit in which the endpoint's values are printed."""
        return unit_of(endpoint, self.frame(endpoint)["value"])

    def side(self, side: Side) -> SideValues | None:
        """Return the values of one side of a contrast by seed; None if its cell isn't planned."""
        trials = self._of(side)
        if not trials:
            return None
        at = side.endpoint.ats[0]
        readings = {t.seed: read(t, self.records.get(t.trial_id), side.endpoint, at) for t in trials}
        return SideValues(
            by_seed={seed: reading.value for seed, reading in readings.items() if not reading.reason},
            missing={seed: reading.reason for seed, reading in readings.items() if reading.reason},
        )

    def facts(self, side: Side) -> TaskFacts | None:
        """Return the facts that fix the margin of a planned side; None if it is no number of MAML."""
        if side.endpoint.declared.measured == "readings":
            return None
        return facts_of(self._of(side)[0], side.endpoint)

    def published_of(self, side: Side, published: Published) -> Mapping[int, float]:
        """Return the authors' values of a side by seed, at the same outer step as ours; empty if there are none."""
        trial = next(iter(self._of(side) or self.plan))
        labels = {**trial.labels, **side.labels}  # a side may leave out an axis of one value
        return published_values(published, labels, side.endpoint, step_of(side, trial))

    def _of(self, side: Side) -> list[PlannedTrial]:
        return [trial for trial in self.plan if side.labels.items() <= trial.labels.items()]


def step_of(side: Side, trial: PlannedTrial) -> int:
    """Return the outer step at which `side` reads a trial."""
    return trial.target if isinstance(side.endpoint.at, str) else side.endpoint.at[0]


def facts_of(trial: PlannedTrial, endpoint: Endpoint) -> TaskFacts:
    """Return the facts that fix a margin of one of MAML's numbers; another trainer's have no order, and no margin."""
    config = trial.config
    return TaskFacts(config.get("dataset", ""), config.get("order", ""), config.get("shots", 0), endpoint.metric)


def published_values(
    published: Published, labels: Mapping[str, str], endpoint: Endpoint, step: int
) -> Mapping[int, float]:
    """Return the authors' values of one cell by seed: `endpoint` at outer step `step`; empty if there are none."""
    if endpoint.at == BEST_VAL:
        return {}
    if endpoint.declared.measured == "probes":
        return published.probe_values(labels, endpoint.metric, step)
    if endpoint.metric != "test_accuracy":
        return {}
    return published.values(labels, *endpoint.scoring, step, endpoint.window)
