"""The declared endpoint as a metric of every trial in the tracking store: the number that the report reads.

The metric's name holds the whole endpoint, outer step and window included. So a sweep file whose endpoint was edited
writes another metric, and no old value stands under the new name.
"""

from functools import partial
from typing import TYPE_CHECKING

from analysis.contract.question import BEST_VAL, Endpoint, Word
from analysis.contract.record import TrialRecord
from sweeper.planning.trial_spec import TrialSpec
from sweeper.sweepfile.sweep import Sweep
from sweeper.tracking.run_contents import Readout
from trainers.trainer import Point

if TYPE_CHECKING:
    from sweeper.tracking.views import Reader


def endpoint_key(endpoint: Endpoint, target: int, at: int | None = None) -> str:
    """Return the metric's name, e.g. `endpoint/test_accuracy/zeroed/inner_steps/last_60/window_1`.

    It is read at the end of a training of `target` steps (0: no length) or, if `at` is given, at that step. With
    `best_val_60` it is read where validation is best up to step 60.
    """
    coordinates = [_coordinate(endpoint, name, value) for name, value in endpoint.coordinates]
    end = "last" if endpoint.at != BEST_VAL else BEST_VAL.replace(" ", "_")
    step = f"step_{at}" if at is not None else f"{end}_{target}" if target else end
    return "/".join(("endpoint", endpoint.metric, *coordinates, step, f"window_{endpoint.window}"))


def endpoint_keys(sweep: Sweep, specs: tuple[TrialSpec, ...]) -> list[str]:
    """Return the names of the metrics that the trials of a sweep have for its endpoint."""
    return list(dict.fromkeys(key for spec in specs for key, _ in _read_at(endpoint_of(sweep, spec), spec.target)))


def endpoint_of(sweep: Sweep, spec: TrialSpec) -> Endpoint:
    """Return what is read from a trial: the endpoint of its sweep or, of a searched trial, what the search compares.

    A searched trial is read at the rung that it was last sent to, which is its target.
    """
    return (
        sweep.search.metric.of_trainer(spec.trainer.name)
        if sweep.search is not None and is_searched(sweep, spec)
        else sweep.endpoint.of_trainer(spec.trainer.name)
    )


def is_searched(sweep: Sweep, spec: TrialSpec) -> bool:
    """Return whether a search chose the trial by its value, so that it may not be averaged."""
    confirm = sweep.search.confirm if sweep.search is not None else None
    return sweep.search is not None and (confirm is None or spec.seed not in confirm.seeds)


def endpoint_reader(sweep: Sweep) -> "Reader":
    """Return what reads the endpoint of `sweep` from the record of a planned trial."""
    return lambda spec: partial(_readout, sweep, spec)


def _coordinate(endpoint: Endpoint, name: str, value: str | int) -> str:
    own = endpoint.declared.measured == "readings"  # MAML's name of a number of inner steps is older
    return str(value) if own or name != "steps" or value == "inner_steps" else f"inner_step_{value}"


def _read_at(endpoint: Endpoint, target: int) -> list[tuple[str, int | Word]]:
    """Return name and step of each reading."""
    if isinstance(endpoint.at, str):
        return [(endpoint_key(endpoint, target), endpoint.at)]
    return [(endpoint_key(endpoint, target, at), at) for at in endpoint.at]


def _readout(sweep: Sweep, spec: TrialSpec, record: TrialRecord) -> Readout:
    from analysis.numbers.endpoint import endpoint_sentence, in_unit, read, step_read, unit_of
    from analysis.numbers.measurements import measured, measurement_of

    endpoint, trial = endpoint_of(sweep, spec), spec.planned()
    points, said = [], []
    for key, chosen in _read_at(endpoint, trial.target):
        reading, step = read(trial, record, endpoint, chosen), step_read(trial, record, endpoint, chosen)
        at = f" at {measurement_of(endpoint).step} {step}"
        if reading.reason:
            said.append(f"No value{at}: {reading.reason}.")
            continue
        time_ms = measured(trial, record, endpoint, step)[-1]["time_ms"]
        points.append(Point(key, reading.value, time_ms, step))
        said.append(f"**{in_unit(reading.value, unit_of(endpoint, [reading.value]))}**{at}.")
    note = [
        f"A trial of the sweep `{sweep.name}`: {', '.join(f'{axis} {label}' for axis, label in spec.labels.items())}, "
        f"seed {spec.seed}.",
        f"{endpoint_sentence(endpoint)}: {' '.join(said)}",
        f"Its record, with every measurement, is the artefact `trial.json.gz`; `sweeper logs {spec.trial_id}` prints "
        "its log.",
    ]
    return Readout(tuple(points), "\n\n".join(note))
