"""A figure's arms: which planned trials each of its panels and lines is made of, and which of them have nothing."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from analysis.contract.question import FigureSpec, PlannedTrial
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


def arms(plan: Sequence[PlannedTrial], axes: Sequence[str], spec: FigureSpec) -> list[Arm]:
    """Return the arms that the sweep plans, facets before hues, each in the order of the plan.

    Raises AnalysisError if an arm would hold a seed twice: an axis was left out, and would be averaged over.
    """
    found: dict[tuple[str, str], list[PlannedTrial]] = {}
    for trial in plan:
        found.setdefault(place_of(trial, spec), []).append(trial)
    for trials in found.values():
        if len({trial.seed for trial in trials}) < len(trials):
            free = [axis for axis in axes if len({trial.labels[axis] for trial in trials}) > 1]
            raise AnalysisError(
                f"A {spec.kind} figure would average over {', '.join(free)}; name that axis in hue or facets, or give "
                "it one value"
            )
    every = [(facet, hue) for facet in facets_of(plan, spec) for hue in labels_of(plan, spec.hue)]
    return [Arm(*place, tuple(found[place])) for place in every if place in found]


def place_of(trial: PlannedTrial, spec: FigureSpec) -> tuple[str, str]:
    """Return a trial's facet, the labels of all its axes in one, and its hue."""
    return FACET.join(trial.labels[axis] for axis in spec.facets), trial.labels[spec.hue] if spec.hue else ""


def facets_of(plan: Sequence[PlannedTrial], spec: FigureSpec) -> tuple[str, ...]:
    """Return the facets that the plan has, in its order; ("",) without any."""
    return tuple(dict.fromkeys(place_of(trial, spec)[0] for trial in plan))


def labels_of(plan: Sequence[PlannedTrial], axis: str | None) -> tuple[str, ...]:
    """Return the labels of `axis` in the order of the plan; ("",) where there is no such axis."""
    return axis_labels(plan)[axis] if axis else ("",)


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
