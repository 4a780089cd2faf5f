"""Which engine trains each trial of a run, fixed before its first attempt is journalled. Trains nothing."""

from collections.abc import Iterable, Mapping, Sequence

from sweeper.dealing.engine import engine_for_new
from sweeper.host.devices import Device
from sweeper.planning.trial_spec import TrialSpec
from sweeper.results.survey import Standing


def engines_of(
    trials: Iterable[TrialSpec], standings: Sequence[Standing], device: Device, wanted: str | None
) -> Mapping[str, str]:
    """Return the engine of each trial, by its id. `standings` are those of the whole sweep but what starts again.

    A trial that has begun keeps its engine. A new one gets `wanted`; without that, the engine of the trials of its cell
    that have begun, or else the fastest that can train it. Raises SweepError if no engine, or `wanted`, can.
    """
    begun = [standing for standing in standings if standing.summary is not None and not standing.unreadable]
    own = {standing.spec.trial_id: _engine(standing) for standing in begun}
    of_cell: dict[str, str] = {}
    for standing in sorted(begun, key=lambda standing: standing.spec.seed):
        of_cell.setdefault(standing.spec.cell, _engine(standing))
    return {
        spec.trial_id: own.get(spec.trial_id) or engine_for_new(spec, device, wanted or of_cell.get(spec.cell))
        for spec in trials
    }


def _engine(standing: Standing) -> str:
    assert standing.summary is not None
    return standing.summary.engine
