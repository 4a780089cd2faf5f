"""Checks the code that configs name besides their trainer's, such as a network of one's own, by running it."""

from collections.abc import Iterable

from sweeper.errors import Problem
from sweeper.planning.trial_spec import TrialSpec
from sweeper.sweepfile.sweep import Sweep
from sweeper.sweepfile.yaml_source import Faults
from trainers.named_code import faults_of


def check_named_code(sweep: Sweep, specs: Iterable[TrialSpec]) -> None:
    """Raise SweepFileError with each fault, once, at the value that names the code."""
    faults = Faults(sweep.document)
    cells = {spec.cell: spec for spec in specs}.values()
    for spec in cells:
        for field, message in faults_of(spec.trainer, spec.cell_config):
            setting = spec.grid_cell.setting(field) or spec.grid_cell.setting("network")
            position = None if setting is None else setting.position
            faults.problems.append(Problem(position or faults.document.key_at(("fixed",)), f"{field}: {message}"))
    faults.raise_if_any()
