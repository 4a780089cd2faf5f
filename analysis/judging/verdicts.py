"""Verdict words: does a claim hold in our runs, and does our value agree with the authors'?

These are two questions: an agreement of values never supports a claim, because the margins are as large as the paper's
late effects. Overlapping intervals are never a verdict, and a difference that isn't significant is not an agreement.
Numbers of percentages are fractions (0.01 is one point). A margin is fixed before any run is seen.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from analysis.numbers.stats import (
    CONFIDENCE,
    MOST_SEEDS,
    SEEDS_FOR_INTERVAL,
    SPREAD,
    EpisodePart,
    Estimate,
    Pooled,
    group_difference,
    needed_seeds,
    pooled,
)
from analysis.paper.margins import TaskFacts, margin_of, why_no_margin

ALPHA = 1 - CONFIDENCE
EQUIVALENCE = 1 - 2 * ALPHA  # a 90 % interval within the margin is an equivalence test at level 5 %
NO_PAPER = "the paper has no such cell"

ClaimWord = Literal["reproduced", "reversed", "contradicted", "negligible", "inconclusive", "not enough seeds"]
ValueWord = Literal["agrees", "differs", "undecided", "no verdict"]


class ValueVerdict(NamedTuple):
    """Our value against the authors'. `difference` is ours - theirs, or None if a side has no value.

    `reason` says why there is no verdict; the difference then has no interval (`se` is NaN). `needs` is the number of
    our seeds that would decide an undecided verdict, or None if no number up to `MOST_SEEDS` would. `at_half` and
    `at_double` are the words for half and double the margin.
    """

    word: ValueWord
    reason: str
    difference: Estimate | None
    n_ours: int
    n_theirs: int
    spread: Pooled
    margin: float | None
    needs: int | None
    at_half: ValueWord
    at_double: ValueWord

    def text(self) -> str:
        """Return the verdict with its numbers, in points, without a full stop."""
        if self.word == "no verdict":
            return f"no verdict ({self.reason})"
        assert self.difference is not None and self.margin is not None  # every other word needs both
        low, high = (100 * bound for bound in self.difference.interval(EQUIVALENCE))
        points = f"{100 * self.difference.value:+.1f} points, 90 % interval {low:+.1f} to {high:+.1f}"
        spread = f"pooled sd {100 * self.spread.sd:.2f} with {self.spread.dof} degrees of freedom"
        if self.spread.excluded:
            spread += f", without {', '.join(self.spread.excluded)}, which spread more than {SPREAD:g} times the median"
        margins = ", ".join(
            f"at ±{100 * factor * self.margin:g} {word}" for factor, word in ((0.5, self.at_half), (2, self.at_double))
        )
        word: str = self.word
        if word == "undecided":
            most = f"no number of seeds of ours up to {MOST_SEEDS} would decide it"
            word += f" ({most})" if self.needs is None else f" (needs n >= {self.needs})"
        return (
            f"{points}, margin ±{100 * self.margin:g}: {word}; n = {self.n_ours} and {self.n_theirs}, {spread}; "
            f"{margins}"
        )


class Match(NamedTuple):
    """How our runs match those of the paper: the config fields that differ, and the outer steps that are compared.

    `differing` leaves out the step target: without a schedule, step k of a short run is step k of a long one. Our value
    is read at `read_at`, so our runs have at least that length. The published value is at `paper_at`, which is the
    paper's length for a value at the end of training. `differing` is None if the paper has no such runs.
    """

    differing: tuple[str, ...] | None
    read_at: int
    paper_at: int


def effect_verdict(
    difference: Estimate | None, expected: Literal["positive", "negative"], adjusted_p: float, margin: float | None
) -> ClaimWord:
    """Return the word for an effect or an interaction; `difference` is None below three common seeds.

    `adjusted_p` is the p of the two-sided test, adjusted for the number of primary contrasts; it decides whether 0 is
    excluded. Without a margin, no effect is called negligible.
    """
    if difference is None:
        return "not enough seeds"
    if adjusted_p < ALPHA:
        return "reproduced" if (difference.value > 0) == (expected == "positive") else "reversed"
    if margin is not None and _within(difference, margin):
        return "negligible"
    return "inconclusive"


def equivalence_verdict(difference: Estimate | None, adjusted_p: float, margin: float) -> ClaimWord:
    """Return the word for "no longer matters"; `difference` is None below three common seeds.

    `adjusted_p` is the p of the two one-sided tests of ± `margin`, adjusted like that of an effect; it is below 0.05
    only if the 90 % interval lies within the margin. Contradicted means that the whole 95 % interval lies beyond one
    end of the margin.
    """
    if difference is None:
        return "not enough seeds"
    if adjusted_p < ALPHA:
        return "reproduced"
    low, high = difference.interval()
    return "contradicted" if low > margin or high < -margin else "inconclusive"


def equivalence_margin(margin: float, reference: float | None) -> float:
    """Return min(margin, half the published contrast of the reference); `margin` if none was published."""
    return margin if reference is None else min(margin, abs(reference) / 2)


def no_value_verdict(facts: TaskFacts, match: Match | None, n_ours: int, n_theirs: int) -> str:
    """Return why two values get no verdict, or "" if they get one; `match` is None if no value was published."""
    if why := why_no_margin(facts):
        return why
    if match is None or n_theirs == 0:
        return "no published value"
    if match.differing is None:
        return NO_PAPER
    if match.differing:
        return f"the config differs from the paper's in {', '.join(match.differing)}"
    if match.read_at != match.paper_at:
        return f"read at outer step {match.read_at}, the paper's at {match.paper_at}"
    if n_theirs == 1:
        return "the authors have one seed"
    if n_ours < SEEDS_FOR_INTERVAL:
        return f"{n_ours} seeds of ours, {SEEDS_FOR_INTERVAL} are needed"
    return ""


def value_verdict(
    ours: Sequence[float],
    theirs: Sequence[float],
    spread: Pooled,
    margin: float | None,
    reason: str = "",
    shared: Sequence[EpisodePart] = (),
) -> ValueVerdict:
    """Return whether our value agrees with the authors'; the seeds of the two sides are independent groups.

    Agrees: the 90 % interval of the difference lies within ± `margin`. Differs: it does not, and the 95 % interval
    excludes 0. With a `reason`, from `no_value_verdict`, there is no verdict. `shared` has the episode part of each
    side whose seeds were all scored on one list; it is empty if each seed has its own list.
    """
    n_ours, n_theirs = len(ours), len(theirs)
    if reason:
        apart = Estimate(_mean(ours) - _mean(theirs), math.nan, 0) if ours and theirs else None
        no: ValueWord = "no verdict"
        return ValueVerdict(no, reason, apart, n_ours, n_theirs, spread, margin, None, no, no)
    assert margin is not None, "a value without a margin has a reason to get no verdict"
    difference = group_difference(ours, theirs, spread, shared)
    word = _value_word(difference, margin)
    needs = needed_seeds(difference, spread, n_ours, n_theirs, margin, shared) if word == "undecided" else None
    around = _value_word(difference, margin / 2), _value_word(difference, 2 * margin)
    return ValueVerdict(word, "", difference, n_ours, n_theirs, spread, margin, needs, *around)


def value_verdicts(
    ours: Mapping[str, Sequence[float]],
    theirs: Mapping[str, Sequence[float]],
    facts: TaskFacts,
    matches: Mapping[str, Match],
) -> dict[str, ValueVerdict]:
    """Return the verdict on each of our cells. All cells have one task and one endpoint, and both sides the same names.

    On both sides each seed has its own test list, so the spread contains the episode part and none is added.
    """
    spreads = pooled_sides(ours, theirs)
    verdicts = {}
    for cell, values in ours.items():
        published = theirs.get(cell, ())
        reason = no_value_verdict(facts, matches.get(cell), len(values), len(published))
        spread = spreads[cell] if cell in spreads else Pooled(math.nan, 0, (), ())
        verdicts[cell] = value_verdict(values, published, spread, margin_of(facts), reason)
    return verdicts


def pooled_sides(ours: Mapping[str, Sequence[float]], theirs: Mapping[str, Sequence[float]]) -> dict[str, Pooled]:
    """Return the spread by which each cell is judged, for the cells that both sides have.

    It is pooled over both sides and all given cells, which must have one task and one endpoint. A cell whose spread is
    too large to be pooled is judged by the spread of its own two groups.
    """
    cells = {cell: (ours.get(cell, ()), theirs.get(cell, ())) for cell in (*ours, *(theirs.keys() - ours.keys()))}
    every = pooled(cells)
    return {cell: pooled({cell: cells[cell]}) if cell in every.excluded else every for cell in ours if cell in theirs}


def _value_word(difference: Estimate, margin: float) -> ValueWord:
    if _within(difference, margin):
        return "agrees"
    low, high = difference.interval()
    return "differs" if low > 0 or high < 0 else "undecided"


def _within(difference: Estimate, margin: float) -> bool:
    low, high = difference.interval(EQUIVALENCE)
    return -margin <= low and high <= margin


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)
