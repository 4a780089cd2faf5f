import math
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import pytest

from analysis.contract.question import ClaimSpec, Endpoint, Side
from analysis.judging.claims import Judged, SideValues, judge
from analysis.numbers.stats import differences, mean_estimate, paired
from analysis.pages.claim_sentences import answer, name_of, numbers
from analysis.pages.contents import Answer, Verdict
from analysis.paper.margins import TaskFacts
from tests.analysis.endpoints import endpoint_of

READ = endpoint_of("test_accuracy", head="zeroed", steps="inner_steps", at=(2000,), window=5)
NONE_1, NONE_7, ZEROING_1, ZEROING_7 = ("1 none", "7 none", "1 zeroing", "7 zeroing")
MINI = TaskFacts("mini_imagenet", "first", 1, "test_accuracy")

# Accuracies by seed of the authors' Fig. 4 at outer step 2,000: see test_verdicts.
FIG_4 = {
    NONE_1: {1: 0.350635, 2: 0.351758, 3: 0.333545},
    NONE_7: {1: 0.394141, 2: 0.389502, 3: 0.393311},
    ZEROING_1: {1: 0.434277, 2: 0.428418, 3: 0.428809},
    ZEROING_7: {1: 0.431396, 2: 0.418359, 3: 0.424561},
}

CELLS = Answer("4 of 4 cells are complete.", (Verdict("", "every step - none: +1.0 points."),))


def side(cell: str, endpoint: Endpoint = READ) -> Side:
    steps, zeroing = cell.split()
    return Side(labels={"task": "mini", "inner_steps": steps, "zeroing": zeroing}, endpoint=endpoint)


def claim(
    kind: str, of: str, minus: str, endpoints: tuple[Endpoint, Endpoint] = (READ, READ), **changed: object
) -> ClaimSpec:
    given = {
        "says": f"{of} against {minus}",
        "source": "Fig. 4",
        "kind": kind,
        "of": side(of, endpoints[0]),
        "minus": side(minus, endpoints[1]),
        "less": None,
        "reference": None,
        "expected": None if kind == "equivalence" else "positive",
        "primary": True,
    }
    return ClaimSpec(**given | changed)


def key(one: Side) -> str:
    return f"{one.labels['inner_steps']} {one.labels['zeroing']}"


def judged(
    claims: list[ClaimSpec],
    ours: Mapping[str, Mapping[int, float] | None],
    theirs: Mapping[str, Mapping[int, float]] | None = None,
    facts: TaskFacts = MINI,
    missing: Mapping[str, Mapping[int, str]] | None = None,
) -> list[Judged]:
    def value_of(one: Side) -> SideValues | None:
        found = ours[key(one)]
        return None if found is None else SideValues(found, (missing or {}).get(key(one), {}))

    def facts_of(one: Side) -> TaskFacts:
        return facts._replace(metric=one.endpoint.metric)

    return judge(claims, value_of, lambda one: (theirs or {}).get(key(one), {}), facts_of)


STEPS_MATTER = claim("effect", NONE_7, NONE_1)
STEPS_DO_NOT = claim("equivalence", ZEROING_7, ZEROING_1, reference=(side(NONE_7), side(NONE_1)))
INTERACTION = claim("interaction", NONE_7, NONE_1, less=(side(ZEROING_7), side(ZEROING_1)))


def test_the_authors_own_values_reproduce_the_claims_of_fig_4_at_2000_steps() -> None:
    effect, equivalence, interaction = judged([STEPS_MATTER, STEPS_DO_NOT, INTERACTION], FIG_4, FIG_4)
    assert [effect.word, equivalence.word, interaction.word] == ["reproduced"] * 3
    assert effect.contrast.mean == pytest.approx(0.0470, abs=5e-5)
    assert effect.published.paired == effect.contrast.paired
    low, high = equivalence.contrast.interval_90
    assert ((low + high) / 2, (high - low) / 2) == (pytest.approx(-0.0057, abs=5e-5), pytest.approx(0.0064, abs=5e-5))
    assert equivalence.margin == 0.015
    assert interaction.contrast.mean == pytest.approx(0.0527, abs=5e-5)


def test_the_p_of_a_family_are_adjusted_together_and_a_secondary_claim_stands_apart() -> None:
    secondary = claim("effect", ZEROING_1, NONE_1, primary=False)
    found = judged([STEPS_MATTER, secondary, STEPS_DO_NOT, INTERACTION], FIG_4, FIG_4)
    ps = sorted(one.p for one in found if one.claim.primary)
    adjusted = sorted(one.adjusted_p for one in found if one.claim.primary)
    assert adjusted[0] == pytest.approx(3 * ps[0])
    assert adjusted[1] == pytest.approx(max(3 * ps[0], 2 * ps[1]))
    assert adjusted[2] == pytest.approx(max(3 * ps[0], 2 * ps[1], ps[2]))
    assert found[1].adjusted_p == found[1].p


def test_a_primary_claim_that_has_not_run_counts_in_the_family_and_one_not_planned_does_not() -> None:
    other = claim("effect", ZEROING_1, NONE_1)
    alone = judged([STEPS_MATTER], FIG_4)[0].p
    not_run = judged([STEPS_MATTER, other], FIG_4 | {ZEROING_1: {}})
    not_planned = judged([STEPS_MATTER, other], FIG_4 | {ZEROING_1: None})
    assert [one.word for one in not_run] == ["reproduced", "not run"]
    assert not_run[0].adjusted_p == pytest.approx(2 * alone)
    assert [one.word for one in not_planned] == ["reproduced", "not planned here"]
    assert not_planned[0].adjusted_p == pytest.approx(alone)


def test_what_excludes_0_only_before_the_adjustment_is_inconclusive_and_says_so() -> None:
    others = [claim("effect", ZEROING_1, NONE_1) for _ in range(4)]
    found = judged([STEPS_MATTER, *others], FIG_4 | {ZEROING_1: {}})[0]
    assert found.p < 0.05 < found.adjusted_p
    assert found.word == "inconclusive"
    assert "significant only before the adjustment" in numbers(found)


def test_the_other_sign_is_a_reversal() -> None:
    assert judged([claim("effect", NONE_7, NONE_1, expected="negative")], FIG_4)[0].word == "reversed"


def test_contrasts_pair_by_the_seeds_that_all_sides_have() -> None:
    ours = FIG_4 | {NONE_1: {1: 0.3, 2: 0.31, 3: 0.32, 9: 0.0}, ZEROING_7: {2: 0.4, 3: 0.41, 4: 0.42}}
    effect, interaction = judged([STEPS_MATTER, INTERACTION], ours)
    assert effect.contrast.paired == paired(ours[NONE_7], ours[NONE_1])
    assert list(interaction.contrast.by_seed) == [2, 3]
    expected = differences(differences(ours[NONE_7], ours[NONE_1]), differences(ours[ZEROING_7], ours[ZEROING_1]))
    assert interaction.contrast.by_seed == expected
    assert interaction.word == "not enough seeds"


@pytest.mark.parametrize(
    ("reference", "margin"), [({1: 0.02, 2: 0.02}, 0.01), ({1: -0.02}, 0.01), ({1: 0.05}, 0.015), ({}, 0.015)]
)
def test_the_margin_of_an_equivalence_is_at_most_half_the_published_reference(
    reference: Mapping[int, float], margin: float
) -> None:
    theirs = {NONE_7: reference, NONE_1: dict.fromkeys(reference, 0.0)}
    found = judged([STEPS_DO_NOT], FIG_4, theirs)[0]
    assert found.margin == pytest.approx(margin)
    assert found.p == pytest.approx(mean_estimate(list(found.contrast.by_seed.values())).p_within(margin))
    assert (found.word == "reproduced") == (margin == 0.015)


def test_synthetic_data_and_probes_have_no_margin_so_no_equivalence() -> None:
    strokes = judged([STEPS_MATTER, STEPS_DO_NOT], FIG_4, facts=TaskFacts("strokes", "first", 1, "test_accuracy"))
    assert [one.word for one in strokes] == ["reproduced", "no margin"]
    assert strokes[0].adjusted_p == strokes[0].p  # what can't be tested isn't in the family
    probe = endpoint_of("support_query_gap", at="last", window=1)
    of_probe = claim("equivalence", ZEROING_7, ZEROING_1, (probe, probe))
    assert judged([of_probe], FIG_4)[0].word == "no margin"


def test_the_smallest_margin_of_a_contrast_across_orders_holds() -> None:
    def facts_of(one: Side) -> TaskFacts:
        return TaskFacts("omniglot", "second" if one.labels["inner_steps"] == "7" else "first", 1, "test_accuracy")

    def value_of(one: Side) -> SideValues:
        return SideValues(FIG_4[key(one)], {})

    assert judge([STEPS_MATTER], value_of, lambda _: {}, facts_of)[0].margin == 0.01


def test_no_facts_are_asked_of_a_side_that_is_not_planned() -> None:
    def facts_of(one: Side) -> TaskFacts:
        raise AssertionError(one)

    assert judge([STEPS_MATTER], lambda _: None, lambda _: {}, facts_of)[0].word == "not planned here"


def test_the_effect_in_seed_sd_is_pooled_within_the_cells_of_the_contrast() -> None:
    found = judged([STEPS_MATTER], FIG_4)[0]
    variances = [np.var(list(FIG_4[cell].values()), ddof=1) for cell in (NONE_7, NONE_1)]
    assert found.effect_in_sd == pytest.approx(found.contrast.mean / math.sqrt(np.mean(variances)))


def test_the_sentences_hold_the_numbers_and_the_authors_contrast() -> None:
    effect, equivalence, interaction = judged([STEPS_MATTER, STEPS_DO_NOT, INTERACTION], FIG_4, FIG_4)
    assert numbers(effect) == (
        "+4.7 ± 2.8 points (n = 3, p = 0.019, Holm = 0.038, +6.3 pooled seed sd); authors: +4.7 ± 2.8 points (n = 3)"
    )
    assert name_of(effect.claim) == "inner steps: 7 - 1 (task mini, zeroing none, outer step 2000)"
    assert numbers(equivalence) == (
        "-0.6 points, 90 % interval -1.2 to +0.1 (n = 3, TOST p = 0.026, Holm = 0.038, -1.1 pooled seed sd); "
        "authors: -0.6 points, 90 % interval -1.2 to +0.1 (n = 3); margin ±1.50 points"
    )
    assert name_of(interaction.claim) == ("inner steps: 7 - 1, zeroing: none less zeroing (task mini, outer step 2000)")


def test_a_sentence_without_enough_seeds_gives_each_and_names_what_is_missing() -> None:
    few = {cell: {seed: value for seed, value in found.items() if seed < 3} for cell, found in FIG_4.items()}
    found = judged([STEPS_MATTER], few, missing={NONE_7: {3: "failed"}, NONE_1: {3: "running at step 20 of 60"}})[0]
    text = numbers(found)
    assert "+4.1 points (n = 2, by seed +4.4, +3.8, " in text and found.word == "not enough seeds"
    assert "mini, 7, none: seed 3 failed; mini, 1, none: seed 3 running at step 20 of 60" in text
    assert "±" not in text and "p =" not in text


def test_the_sentence_of_a_margin_says_where_it_is_from() -> None:
    theirs = {NONE_7: {1: 0.4}, NONE_1: {1: 0.38}}
    assert "margin ±1.00 points, half the authors' +2.0 of the reference" in numbers(
        judged([STEPS_DO_NOT], FIG_4, theirs)[0]
    )
    assert "margin ±1.50 points, the task's own, for the reference has no published value" in numbers(
        judged([STEPS_DO_NOT], FIG_4)[0]
    )


def test_an_effect_smaller_than_the_margin_says_so() -> None:
    ours = FIG_4 | {NONE_7: {seed: value + 0.005 + seed / 10000 for seed, value in FIG_4[NONE_1].items()}}
    found = judged([STEPS_MATTER], ours)[0]
    assert found.word == "reproduced"
    assert "smaller than the margin of ±1.50 points" in numbers(found)


def test_sides_that_differ_in_their_reading_are_named_by_it() -> None:
    trained = endpoint_of("test_accuracy", head="trained", steps="inner_steps", at=(2000,), window=5)
    by_head = claim("effect", NONE_7, NONE_7, (READ, trained))
    assert name_of(by_head) == (
        "head at test: zeroed - trained (task mini, inner steps 7, zeroing none, outer step 2000)"
    )


def test_a_probes_contrast_is_printed_without_points() -> None:
    probe = endpoint_of("support_query_gap", at="last", window=1)
    found = judged([claim("effect", NONE_7, NONE_1, (probe, probe))], FIG_4)[0]
    assert "+0.047 ± 0.028 (n = 3" in numbers(found) and "points" not in numbers(found)


def test_the_answer_counts_and_quotes_the_primary_claims_by_verdict() -> None:
    secondary = claim("effect", ZEROING_1, NONE_1, primary=False)
    backwards = claim("effect", NONE_7, NONE_1, expected="negative", says="Fewer steps are better.")
    found = judged([backwards, STEPS_DO_NOT, secondary, STEPS_MATTER], FIG_4 | {ZEROING_7: None})
    assert answer(found, CELLS) == (
        "Of 2 primary claims planned here, 1 is reproduced and 1 is reversed.",
        (
            ("reversed", "Fewer steps are better: +4.7 ± 2.8 points, n = 3."),
            ("reproduced", "7 none against 1 none: +4.7 ± 2.8 points, n = 3."),
        ),
    )


def test_without_a_planned_primary_claim_the_cells_answer_and_the_secondary_claims_are_listed() -> None:
    secondary = claim("effect", ZEROING_1, NONE_1, primary=False)
    found = judged([STEPS_DO_NOT, secondary], FIG_4 | {ZEROING_7: None})
    sentence, verdicts = answer(found, CELLS)
    assert sentence == CELLS.sentence
    assert [line.word for line in verdicts] == ["reproduced", ""] and verdicts[1] == CELLS.verdicts[0]
    assert answer([], CELLS) == CELLS
    assert answer(judged([STEPS_MATTER], FIG_4 | {NONE_7: None}), CELLS) == CELLS


def test_the_answer_names_every_primary_claim_once_and_counts_equal_verdicts_together() -> None:
    found = judged([claim("effect", NONE_7, NONE_1, says=f"Claim {n}.") for n in range(5)], FIG_4 | {NONE_7: {}})
    assert answer(found, CELLS) == (
        "All 5 primary claims have not run.",
        tuple(("not run", f"Claim {n}.") for n in range(5)),
    )
    assert answer(found[:1], CELLS).sentence == "The primary claim has not run."


def _draw(rng: np.random.Generator) -> Callable[[Side], SideValues]:
    """Draw four cells without a true difference, paired by a common part of each seed."""
    common = rng.normal(0, 0.005, 4)
    cells = {cell: common + rng.normal(0, 0.005, 4) for cell in FIG_4}
    return lambda one: SideValues(dict(enumerate(cells[key(one)])), {})


def test_a_family_without_any_effect_yields_a_wrong_verdict_in_5_of_100_sweeps_at_most() -> None:
    rng = np.random.default_rng(15)
    claims = [STEPS_MATTER, claim("effect", ZEROING_7, ZEROING_1), INTERACTION]
    wrong, unadjusted = 0, 0
    for _ in range(600):
        found = judge(claims, _draw(rng), lambda _: {}, lambda _: MINI)
        wrong += any(one.word in ("reproduced", "reversed") for one in found)
        unadjusted += any(one.p < 0.05 for one in found)
    assert wrong / 600 < 0.078
    assert unadjusted / 600 > 0.08


def apart(by_seed: Mapping[int, float]) -> Mapping[str, Mapping[int, float]]:
    """Return cells of which each 7 less its 1 is `by_seed`."""
    none = dict.fromkeys(by_seed, 0.0)
    return {NONE_7: by_seed, NONE_1: none, ZEROING_7: by_seed, ZEROING_1: none}


def test_a_margin_makes_an_effect_negligible_and_an_equivalence_inconclusive() -> None:
    """The 90 % intervals are 0 ± 0.0017 and 0.012 ± 0.0058; the margin is 0.015."""
    effect, equivalence = claim("effect", NONE_7, NONE_1), claim("equivalence", ZEROING_7, ZEROING_1)
    assert judged([effect], apart({1: -0.001, 2: 0.0, 3: 0.001}))[0].word == "negligible"
    assert judged([replace(effect, margin=0.001)], apart({1: -0.001, 2: 0.0, 3: 0.001}))[0].word == "inconclusive"
    found = judged([equivalence], apart({1: 0.0085, 2: 0.012, 3: 0.0155}))[0]
    assert found.contrast.paired.low > 0 and found.word == "inconclusive"
    assert judged([equivalence], apart({1: 0.0385, 2: 0.042, 3: 0.0455}))[0].word == "contradicted"


def test_effects_without_a_margin_are_in_the_family_and_equivalences_are_not() -> None:
    strokes = TaskFacts("strokes", "first", 1, "test_accuracy")
    first, second, equivalence = judged([STEPS_MATTER, INTERACTION, STEPS_DO_NOT], FIG_4, facts=strokes)
    assert sorted((first.adjusted_p, second.adjusted_p))[0] == pytest.approx(2 * min(first.p, second.p))
    assert math.isnan(equivalence.p) and math.isnan(equivalence.adjusted_p)


def test_equal_seeds_have_no_effect_in_sd() -> None:
    still = judged([STEPS_MATTER], apart({1: 0.1, 2: 0.1, 3: 0.1}))[0]
    assert still.seed_sd == 0 and math.isnan(still.effect_in_sd)
    assert still.word == "reproduced"


def test_a_claim_that_is_not_planned_has_no_numbers() -> None:
    found = judged([STEPS_MATTER], FIG_4 | {NONE_1: None}, FIG_4)[0]
    assert (found.contrast, found.margin, found.reference, found.missing) == (None, None, None, ())
    assert all(map(math.isnan, (found.p, found.adjusted_p, found.seed_sd, found.effect_in_sd)))
    assert found.published.mean == pytest.approx(0.0470, abs=5e-5)
