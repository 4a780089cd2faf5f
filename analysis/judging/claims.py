"""Judges the claims of a sweep: each becomes a contrast by seed with a verdict.

Reads no store: a function returns the values of one side of a contrast. Intervals, p-values and their adjustment come
from `analysis.numbers.stats`, verdict words from `analysis.judging.verdicts`.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from analysis.contract.question import ClaimSpec, Side
from analysis.judging.verdicts import (
    EQUIVALENCE,
    ClaimWord,
    effect_verdict,
    equivalence_margin,
    equivalence_verdict,
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
from analysis.paper.margins import TaskFacts, margin_of

Word = ClaimWord | Literal["no margin", "not run", "not planned here"]


class SideValues(NamedTuple):
    """A planned cell: one value per seed (accuracies as fractions), and the reason for each seed without a value."""

    by_seed: Mapping[int, float]
    missing: Mapping[int, str]


class Contrast(NamedTuple):
    """One difference, or difference of differences, per seed that all sides have."""

    by_seed: Mapping[int, float]

    @property
    def mean(self) -> float:
        """Mean over the seeds; NaN without seeds."""
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
        """The interval by which an equivalence is judged; NaN below three seeds."""
        return (math.nan, math.nan) if self.estimate is None else self.estimate.interval(EQUIVALENCE)


class MissingSeed(NamedTuple):
    """A planned seed of one side without a value, and the reason."""

    side: Side
    seed: int
    reason: str


@dataclass(frozen=True, kw_only=True)
class Judged:
    """A claim with its verdict and its numbers, in the unit of the endpoint (accuracies: fractions).

    `contrast` is ours, or None if a cell isn't planned here. `published` is the authors', or None if their sides have
    no common seed. `p` tests no difference for an effect or interaction, and a difference of `margin` or more for an
    equivalence. `adjusted_p` is Holm's for a primary claim, else `p`; both are NaN without a test. `seed_sd` is pooled
    within the cells of the contrast; NaN if every cell has one seed. `margin` is None if none is fixed. For an
    equivalence it is at most half of `reference`, the published contrast of the claim's reference cells (None without).
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
        """The contrast divided by the pooled standard deviation over seeds; NaN without one."""
        return self.contrast.mean / self.seed_sd if self.contrast is not None and self.seed_sd > 0 else math.nan


def sides_of(claim: ClaimSpec) -> tuple[Side, ...]:
    """Return the two sides of a claim, or the four of an interaction."""
    return (claim.of, claim.minus, *(claim.less or ()))


def judge(
    claims: Sequence[ClaimSpec],
    value_of: Callable[[Side], SideValues | None],
    published_of: Callable[[Side], Mapping[int, float]],
    facts_of: Callable[[Side], TaskFacts | None],
) -> list[Judged]:
    """Return every claim with its verdict, in order.

    `value_of` returns a side's values by seed, or None if its cell isn't in this profile. `published_of` returns the
    authors' values of that side by their seed, at the same step; empty if there are none. `facts_of` is called for
    planned sides only; it is None for a side whose margin the paper can't fix. Holm's family has every primary claim
    that is planned here and can be tested, including claims without values so far.
    """
    every = [_measure(claim, value_of, published_of, facts_of) for claim in claims]
    family = [index for index, measured in enumerate(every) if claims[index].primary and measured.tested]
    adjusted = dict(zip(family, holm([every[index].p for index in family]), strict=True))
    return [
        _judged(claim, measured, adjusted.get(index, measured.p))
        for index, (claim, measured) in enumerate(zip(claims, every, strict=True))
    ]


class _Measured(NamedTuple):
    """A claim before the adjustment; `values` has one entry per side, or is None if a side isn't planned."""

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
    facts_of: Callable[[Side], TaskFacts | None],
) -> _Measured:
    sides = sides_of(claim)
    theirs = _by_seed([published_of(side) for side in sides])
    published = Contrast(theirs) if theirs else None
    planned = [value_of(side) for side in sides]
    values = tuple(side for side in planned if side is not None)
    if len(values) < len(sides):
        return _Measured(None, None, published, math.nan, None, None, tested=False)
    contrast = Contrast(_by_seed([side.by_seed for side in values]))
    margin, reference = claim.margin if claim.margin is not None else _margin(sides, facts_of), None
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
    """Return first - second side by seed; for four sides, (first - second) - (third - fourth)."""
    first = differences(sides[0], sides[1])
    return differences(first, differences(sides[2], sides[3])) if len(sides) == 4 else first


def _margin(sides: Sequence[Side], facts_of: Callable[[Side], TaskFacts | None]) -> float | None:
    """Return the smallest margin of the sides; None if a side has no margin."""
    margins = [margin for side in sides if (margin := margin_of(facts_of(side))) is not None]
    return min(margins) if len(margins) == len(sides) else None


def _judged(claim: ClaimSpec, measured: _Measured, adjusted_p: float) -> Judged:
    sides = sides_of(claim)
    values = measured.values or ()
    return Judged(
        claim=claim,
        word=_word(claim, measured, adjusted_p),
        contrast=measured.contrast,
        published=measured.published,
        p=measured.p,
        adjusted_p=adjusted_p,
        margin=measured.margin,
        reference=measured.reference,
        seed_sd=pooled({"contrast": [list(side.by_seed.values()) for side in values]}).sd,
        missing=tuple(
            MissingSeed(side, seed, reason)
            for side, known in zip(sides, values, strict=bool(values))
            for seed, reason in known.missing.items()
        ),
    )


def _word(claim: ClaimSpec, measured: _Measured, adjusted_p: float) -> Word:
    if measured.values is None or measured.contrast is None:
        return "not planned here"
    if any(not side.by_seed for side in measured.values):
        return "not run"
    estimate = measured.contrast.estimate
    if claim.kind != "equivalence":
        assert claim.expected is not None, "a sweep file names the sign of every effect and interaction"
        return effect_verdict(estimate, claim.expected, adjusted_p, measured.margin)
    return "no margin" if measured.margin is None else equivalence_verdict(estimate, adjusted_p, measured.margin)
