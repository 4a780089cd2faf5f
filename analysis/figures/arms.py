"""What a figure is asked for, its arms (the planned trials of each line or row), and the seeds that an arm lacks.

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
"""Seeds with the reason why each has no value."""

NAMED = 6  # arms that a footer names before it counts the rest
FACET = " · "


class Arm(NamedTuple):
    """The trials of one facet and one label of the hue axis ("" without such an axis), one a seed."""

    facet: str
    hue: str
    trials: tuple[PlannedTrial, ...]

    @property
    def name(self) -> str:
        """The labels, for a footer or the side of a row."""
        return FACET.join(filter(None, (self.facet, self.hue)))


class Absence(NamedTuple):
    """What an arm lacks: `of` planned seeds, `reasons` of those that are missing."""

    arm: str
    of: int
    reasons: Reasons


@dataclass(frozen=True, kw_only=True)
class FigureRequest:
    """One figure of a sweep: its plan, the records by trial id, all its axes, and what the figure shows of them."""

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
    """Return a trial's facet (the labels of all facet axes joined) and its hue."""
    return FACET.join(trial.labels[axis] for axis in spec.facets), trial.labels[spec.hue] if spec.hue else ""


def absences_by_seed(arms: Sequence[Arm], why: Callable[[PlannedTrial], str]) -> tuple[Absence, ...]:
    """Return what each arm lacks; `why` returns the reason that a trial has no value, "" if it has one."""
    reasons = [(arm, tuple((trial.seed, why(trial)) for trial in arm.trials)) for arm in arms]
    missing = [(arm, tuple((seed, reason) for seed, reason in found if reason)) for arm, found in reasons]
    return tuple(Absence(arm.name, len(arm.trials), found) for arm, found in missing if found)


def absences_of(name: str, planned: int, by_step: Mapping[str, Reasons]) -> list[Absence]:
    """Return what an arm lacks at each outer step, told once where it lacks the same at all of them."""
    if len(set(by_step.values())) == 1:
        by_step = {"": next(iter(by_step.values()))}
    return [
        Absence(", ".join(filter(None, (name, step and f"step {step}"))), planned, reasons)
        for step, reasons in by_step.items()
        if reasons
    ]


def absences_in_words(absences: Sequence[Absence]) -> str:
    """Return the sentence of a footer that says which seeds are missing and why; empty if none is."""
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
    """Return e.g. `seeds 0, 1, 3 not run`, one for each reason."""
    seeds: dict[str, list[str]] = {}
    for seed, reason in reasons:
        seeds.setdefault(reason, []).append(str(seed))
    return [f"seed{'' if len(own) == 1 else 's'} {', '.join(own)} {reason}" for reason, own in seeds.items()]
