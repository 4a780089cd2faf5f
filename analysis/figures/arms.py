"""The request for a figure, its arms (the planned trials of each line or row), and the seeds that an arm lacks.

Reads no numbers and draws nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from analysis.contract.question import Endpoint, FigureSpec, PlannedTrial
from analysis.contract.record import TrialRecord
from analysis.errors import AnalysisError
from analysis.numbers.tidy import axis_labels

Reasons = tuple[tuple[int, str], ...]
"""(seed, reason) of each seed without a value."""

Task = tuple[tuple[str, ...], ...]
"""The values of the TASK fields in a facet's trials."""

TASK = ("dataset", "ways", "shots")
NAMED = 6  # a footer names so many arms and counts the rest
FACET = " · "


class Arm(NamedTuple):
    """The trials of one facet and one label of the hue axis ("" without such an axis), one per seed."""

    facet: str
    hue: str
    trials: tuple[PlannedTrial, ...]

    @property
    def name(self) -> str:
        """The labels, for a footer or the title of a row."""
        return FACET.join(filter(None, (self.facet, self.hue)))


class Absence(NamedTuple):
    """The missing seeds of an arm: their `reasons`, and the number `of` planned seeds."""

    arm: str
    of: int
    reasons: Reasons


@dataclass(frozen=True, kw_only=True)
class FigureRequest:
    """One figure of a sweep: the plan, the records by trial id, all axes, and the part that the figure shows."""

    plan: Sequence[PlannedTrial]
    records: Mapping[str, TrialRecord]
    axes: Sequence[str]
    spec: FigureSpec
    question: str
    endpoint: Endpoint

    @property
    def facets(self) -> tuple[str, ...]:
        """The facets in the order of the plan; ("",) without a facet axis."""
        return tuple(dict.fromkeys(place_of(trial, self.spec)[0] for trial in self.plan))

    @property
    def tasks(self) -> dict[str, Task]:
        """The tasks of each facet. Facets of the same tasks are compared, so they share their vertical axis."""
        found: dict[str, set[tuple[str, ...]]] = {}
        for trial in self.plan:
            task = tuple(str(trial.config.get(field, "")) for field in TASK)
            found.setdefault(place_of(trial, self.spec)[0], set()).add(task)
        return {facet: tuple(sorted(tasks)) for facet, tasks in found.items()}

    @property
    def hues(self) -> tuple[str, ...]:
        """The labels of the hue axis in the order of the plan; ("",) without a hue axis."""
        return axis_labels(self.plan)[self.spec.hue] if self.spec.hue else ("",)

    @property
    def hue_title(self) -> str:
        """The printed name of the hue axis; "" without one."""
        return self.spec.hue.replace("_", " ") if self.spec.hue else ""

    def arms(self) -> list[Arm]:
        """Return the planned arms, facets before hues, each in the order of the plan.

        Raises AnalysisError if an arm would hold a seed twice: the figure would average over an axis it leaves out.
        """
        found: dict[tuple[str, str], list[PlannedTrial]] = {}
        for trial in self.plan:
            found.setdefault(place_of(trial, self.spec), []).append(trial)
        for trials in found.values():
            if len({trial.seed for trial in trials}) < len(trials):
                free = [axis for axis in self.axes if len({trial.labels[axis] for trial in trials}) > 1]
                raise AnalysisError(
                    f"A {self.spec.kind} figure would average over {', '.join(free)}; name that axis in hue or "
                    "facets, or give it one value"
                )
        every = [(facet, hue) for facet in self.facets for hue in self.hues]
        return [Arm(*place, tuple(found[place])) for place in every if place in found]


def place_of(trial: PlannedTrial, spec: FigureSpec) -> tuple[str, str]:
    """Return a trial's facet (the values of all facet axes in words, joined) and its hue."""
    return facet_of(spec, [trial.labels[axis] for axis in spec.facets]), trial.labels[spec.hue] if spec.hue else ""


def facet_of(spec: FigureSpec, labels: Sequence[str]) -> str:
    """Return the title of the panel with these labels of the facet axes: a number needs the name of its axis."""
    return FACET.join(
        f"{axis.replace('_', ' ')} {label}" if _says_nothing(label) else label
        for axis, label in zip(spec.facets, labels, strict=True)
    )


def _says_nothing(label: str) -> bool:
    if label in ("true", "false", "null"):
        return True
    try:
        float(label)
    except ValueError:
        return False
    return True


def absences_by_seed(arms: Sequence[Arm], why: Callable[[PlannedTrial], str]) -> tuple[Absence, ...]:
    """Return the missing seeds of each arm; `why` returns why a trial has no value, or "" if it has one."""
    every = [(arm, tuple((trial.seed, why(trial)) for trial in arm.trials)) for arm in arms]
    missing = [(arm, tuple((seed, reason) for seed, reason in reasons if reason)) for arm, reasons in every]
    return tuple(Absence(arm.name, len(arm.trials), reasons) for arm, reasons in missing if reasons)


def absences_of(name: str, planned: int, by_step: Mapping[str, Reasons]) -> list[Absence]:
    """Return the missing seeds of an arm at each outer step; one entry if they are the same at all steps."""
    if len(set(by_step.values())) == 1:
        by_step = {"": next(iter(by_step.values()))}
    return [
        Absence(", ".join(filter(None, (name, step and f"step {step}"))), planned, reasons)
        for step, reasons in by_step.items()
        if reasons
    ]


def absences_in_words(absences: Sequence[Absence]) -> str:
    """Return a footer's sentence on the missing seeds and their reasons; "" if no seed is missing."""
    if not absences:
        return ""
    shown = []
    for arm, of, reasons in absences[:NAMED]:
        why = "; ".join(_seeds_in_words(reasons))
        shown.append(f"{arm + ': ' if arm else ''}{of - len(reasons)} of {of} seeds ({why})")
    rest = len(absences) - NAMED
    more = f", and {rest} more" if rest > 0 else ""
    return f"Missing: {', '.join(shown)}{more}."


def _seeds_in_words(reasons: Reasons) -> list[str]:
    """Return e.g. `seeds 0, 1, 3 not run` for each reason."""
    seeds: dict[str, list[str]] = {}
    for seed, reason in reasons:
        seeds.setdefault(reason, []).append(str(seed))
    return [f"seed{'' if len(own) == 1 else 's'} {', '.join(own)} {reason}" for reason, own in seeds.items()]
