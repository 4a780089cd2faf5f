"""Claims of a sweep -> contrasts by seed with their verdicts: `judge`.

Reads no store: values come through a function from one side of a contrast to its seeds. Interval, p and adjustment
are those of `analysis.numbers.stats`, the words those of `analysis.judging.verdicts`.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from analysis.contract.question import ClaimSpec, Side
from analysis.contract.record import PROBES
from analysis.judging.verdicts import (
    EQUIVALENCE,
    ClaimWord,
    TaskFacts,
    effect_verdict,
    equivalence_margin,
    equivalence_verdict,
    margin_of,
)
from analysis.numbers.stats import (
    SEEDS_FOR_INTERVAL,
    Estimate,
    Paired,
    differences,
    holm,
    mean_estimate,
    of_differences,
    pooled,
)

Word = ClaimWord | Literal["no margin", "not run", "not planned here"]


class SideValues(NamedTuple):
    """A planned cell: one value a seed (accuracies as fractions), and why each other planned seed has none."""

    by_seed: Mapping[int, float]
    missing: Mapping[int, str]


class Contrast(NamedTuple):
    """One difference (of differences) a seed, over the seeds that all its sides have."""

    by_seed: Mapping[int, float]

    @property
    def mean(self) -> float:
        """Mean over the seeds; NaN without any."""
        return self.paired.mean

    @property
    def paired(self) -> Paired:
        """Mean, 95 % interval and two-sided p."""
        return of_differences(self.by_seed)

    @property
    def estimate(self) -> Estimate | None:
        """Mean with standard error; None below three seeds."""
        return mean_estimate(list(self.by_seed.values())) if len(self.by_seed) >= SEEDS_FOR_INTERVAL else None

    @property
    def interval_90(self) -> tuple[float, float]:
        """The interval that an equivalence is judged by; NaN below three seeds."""
        return (math.nan, math.nan) if self.estimate is None else self.estimate.interval(EQUIVALENCE)


class MissingSeed(NamedTuple):
    """A planned seed of one side that has no value, and why."""

    side: Side
    seed: int
    reason: str


@dataclass(frozen=True, kw_only=True)
class Judged:
    """A claim with its verdict and the numbers behind it, in the unit of the endpoint (accuracies: fractions).

    `contrast` is ours, None if a cell isn't planned here; `published` the authors', None where they have no common
    seed. `p` is that of the hypothesis which the verdict would reject: no difference for an effect or interaction, one
    of `margin` or more for an equivalence. It and `adjusted_p` (by Holm for a primary claim, `p` itself for another)
    are NaN where there is no test, `seed_sd` (pooled within the cells of the contrast) where every cell has one seed.
    `margin` is None where none is fixed, and for an equivalence no more than half of `reference`, the published
    contrast of the cells that the claim refers to (None without).
    """

    claim: ClaimSpec
    word: Word
    contrast: Contrast | None
    published: Contrast | None
    p: float
    adjusted_p: float
    margin: float | None
    reference: float | None
    seed_sd: float
    missing: tuple[MissingSeed, ...]

    @property
    def effect_in_sd(self) -> float:
        """The contrast in units of the pooled seed standard deviation; NaN without one."""
        return self.contrast.mean / self.seed_sd if self.contrast is not None and self.seed_sd > 0 else math.nan


def sides_of(claim: ClaimSpec) -> tuple[Side, ...]:
    """Return the two or, of an interaction, four sides of a claim."""
    return (claim.of, claim.minus, *(claim.less or ()))


def judge(
    claims: Sequence[ClaimSpec],
    value_of: Callable[[Side], SideValues | None],
    published_of: Callable[[Side], Mapping[int, float]],
    facts_of: Callable[[Side], TaskFacts],
) -> list[Judged]:
    """Return every claim judged, in order.

    `value_of` gives a side's values by seed, None if its cell isn't in this profile. `published_of` gives the authors'
    values of that side by their seed, at the same outer step, empty if there are none. `facts_of` is asked only of
    sides that are planned. The primary claims that are planned here and can be tested make one family for Holm's
    adjustment, those that have no values yet included.
    """
    measured = [_measure(claim, value_of, published_of, facts_of) for claim in claims]
    family = [index for index, found in enumerate(measured) if claims[index].primary and found.tested]
    adjusted = dict(zip(family, holm([measured[index].p for index in family]), strict=True))
    return [
        _judged(claim, found, adjusted.get(index, found.p))
        for index, (claim, found) in enumerate(zip(claims, measured, strict=True))
    ]


class _Measured(NamedTuple):
    """A claim before the adjustment; `values` is None if a side isn't planned, else one entry a side."""

    values: tuple[SideValues, ...] | None
    contrast: Contrast | None
    published: Contrast | None
    p: float
    margin: float | None
    reference: float | None
    tested: bool


def _measure(
    claim: ClaimSpec,
    value_of: Callable[[Side], SideValues | None],
    published_of: Callable[[Side], Mapping[int, float]],
    facts_of: Callable[[Side], TaskFacts],
) -> _Measured:
    sides = sides_of(claim)
    theirs = _by_seed([published_of(side) for side in sides])
    published = Contrast(theirs) if theirs else None
    planned = [value_of(side) for side in sides]
    values = tuple(side for side in planned if side is not None)
    if len(values) < len(sides):
        return _Measured(None, None, published, math.nan, None, None, tested=False)
    contrast = Contrast(_by_seed([side.by_seed for side in values]))
    margin, reference = _margin(sides, facts_of), None
    equivalence = claim.kind == "equivalence"
    if equivalence and margin is not None and claim.reference is not None:
        by_seed = _by_seed([published_of(side) for side in claim.reference])
        reference = Contrast(by_seed).mean if by_seed else None
        margin = equivalence_margin(margin, reference)
    p, estimate = math.nan, contrast.estimate
    if estimate is not None and not equivalence:
        p = estimate.p()
    elif estimate is not None and margin is not None:
        p = estimate.p_within(margin)
    tested = not equivalence or margin is not None
    return _Measured(values, contrast, published, p, margin, reference, tested)


def _by_seed(sides: Sequence[Mapping[int, float]]) -> dict[int, float]:
    """Return the first less the second side by seed; of four, that less (the third less the fourth)."""
    first = differences(sides[0], sides[1])
    return differences(first, differences(sides[2], sides[3])) if len(sides) == 4 else first


def _margin(sides: Sequence[Side], facts_of: Callable[[Side], TaskFacts]) -> float | None:
    """Return the smallest of the sides' margins; None if one has none, or isn't an accuracy."""
    if any(side.endpoint.metric in PROBES for side in sides):
        return None
    margins = [margin for side in sides if (margin := margin_of(facts_of(side))) is not None]
    return min(margins) if len(margins) == len(sides) else None


def _judged(claim: ClaimSpec, found: _Measured, adjusted_p: float) -> Judged:
    sides = sides_of(claim)
    values = found.values or ()
    return Judged(
        claim=claim,
        word=_word(claim, found, adjusted_p),
        contrast=found.contrast,
        published=found.published,
        p=found.p,
        adjusted_p=adjusted_p,
        margin=found.margin,
        reference=found.reference,
        seed_sd=pooled({"contrast": [list(side.by_seed.values()) for side in values]}).sd,
        missing=tuple(
            MissingSeed(side, seed, reason)
            for side, known in zip(sides, values, strict=bool(values))
            for seed, reason in known.missing.items()
        ),
    )


def _word(claim: ClaimSpec, found: _Measured, adjusted_p: float) -> Word:
    if found.values is None or found.contrast is None:
        return "not planned here"
    if any(not side.by_seed for side in found.values):
        return "not run"
    estimate = found.contrast.estimate
    if claim.kind != "equivalence":
        assert claim.expected is not None, "a sweep file names the sign of every effect and interaction"
        return effect_verdict(estimate, claim.expected, adjusted_p, found.margin)
    return "no margin" if found.margin is None else equivalence_verdict(estimate, adjusted_p, found.margin)
