"""Finds the probes of a figure's arms at the outer steps of its endpoint, or the reasons why a seed has none."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from analysis.contract.question import PlannedTrial
from analysis.figures.arms import Absence, Arm, FigureRequest, Reasons, absences_of
from analysis.numbers.endpoint import why_not
from analysis.numbers.probes import Probe


class ProbedArm(NamedTuple):
    """One arm at one outer step: the usable probes by seed.

    `step` names the outer step, or the steps ("60 or 120") if the arm's trials end at different ones.
    """

    arm: Arm
    step: str
    probes: Mapping[int, Probe]


class Probed(NamedTuple):
    """Every arm at every outer step, row by row, and the missing seeds."""

    arms: tuple[ProbedArm, ...]
    absences: tuple[Absence, ...]


def probed(request: FigureRequest, refuse: Callable[[Probe], str]) -> Probed:
    """Return the probes at each step of `endpoint.at`; `refuse` returns why a probe is unusable, or "" if usable."""
    rows: list[ProbedArm] = []
    absences: list[Absence] = []
    for arm in request.arms():
        reasons: dict[str, Reasons] = {}
        for at in request.endpoint.ats:
            steps = {trial.seed: trial.target if isinstance(at, str) else at for trial in arm.trials}
            found = {trial.seed: _probe(request, trial, steps[trial.seed], refuse) for trial in arm.trials}
            name = " or ".join(map(str, sorted(set(steps.values()))))
            usable = {seed: probe for seed, probe in found.items() if not isinstance(probe, str)}
            rows.append(ProbedArm(arm, name, usable))
            reasons[name] = tuple((seed, why) for seed, why in found.items() if isinstance(why, str))
        absences += absences_of(arm.name, len(arm.trials), reasons)
    return Probed(tuple(rows), tuple(absences))


def _probe(request: FigureRequest, trial: PlannedTrial, step: int, refuse: Callable[[Probe], str]) -> Probe | str:
    """Return the trial's probe at outer step `step`, or why there is none."""
    record = request.records.get(trial.trial_id)
    probe = next((one for one in record["probes"] if one["step"] == step), None) if record is not None else None
    if probe is None:
        return why_not(trial, record, "probe", step)
    return refuse(probe) or probe
