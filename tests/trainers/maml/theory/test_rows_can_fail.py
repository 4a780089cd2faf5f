"""Every row of the theory that judges turns red for a break that it is there to see; information judges nothing.

A break is named with the rows that it must turn. A row that no break names fails the test, and so does a check without
breaks: give a new row a break.
"""

from collections.abc import Callable
from functools import cache, partial, partialmethod
from typing import Any, NamedTuple

import pytest
import torch

import trainers.maml.engines.outer_step
import trainers.maml.model
from tests.trainers.small import noise_pixels, tiny_config
from trainers.maml.adapt import graph_gradient
from trainers.maml.engines.adam import no_moments
from trainers.maml.engines.outer_step import Mover
from trainers.maml.methods import contrastive
from trainers.maml.model import half_squared_error, one_hot
from trainers.maml.networks import HEAD, split_norm
from trainers.maml.theory import (
    appendix,
    bitwise,
    coefficients,
    differences,
    engines,
    examine,
    formulas,
    label_order,
    motivating_example,
    printed,
    trainings,
    twins,
)
from trainers.maml.theory.claim import Claim, Setting
from trainers.maml.theory.trainings import Training
from trainers.maml.theory.twins import Twin, noise_episode, smooth_twin

Check = Callable[[Setting], list[Claim]]


class Break(NamedTuple):
    """A way to break what a check computes, and words that each of the rows it must turn red contains one of."""

    apply: Callable[[pytest.MonkeyPatch], None]
    rows: tuple[str, ...]


def setting() -> Setting:
    return Setting(name="small", config=tiny_config(channels=8, ways=5, inner_steps=1), pixels=noise_pixels())


# Breaks that several checks share


def replaced(holder: Any, name: str, change: Callable[[Any], Any]) -> Callable[[pytest.MonkeyPatch], None]:
    """Return the break that puts `change` of what `holder` has under `name` in its place."""
    return lambda patch: patch.setattr(holder, name, change(getattr(holder, name)))


def scaled(by: float) -> Callable[[Any], Any]:
    """Return the change of a function's result, tensors by name or one tensor, by a factor."""

    def change(right: Any) -> Any:
        def wrong(*given: Any, **named: Any) -> Any:
            found = right(*given, **named)
            return {name: by * value for name, value in found.items()} if isinstance(found, dict) else by * found

        return wrong

    return change


def wrong_sign(holder: Any) -> Callable[[pytest.MonkeyPatch], None]:
    return replaced(holder, "coefficients", scaled(-1))


def on_a(module: Any, **forced: Any) -> Callable[[pytest.MonkeyPatch], None]:
    """Return the break by which a check gets another case than it asks for, so that a control loses its point."""

    def change(right: Any) -> Any:
        def case(setting: Setting, head: str, **asked: Any) -> Any:
            own = dict(forced)
            return right(setting, own.pop("head", head), **asked | own)

        return case

    return replaced(module, "case", change)


def training_with(**forced: Any) -> Callable[[pytest.MonkeyPatch], None]:
    """Return the break by which trainings ignore what they are asked for."""

    def apply(patch: pytest.MonkeyPatch) -> None:
        right = trainings.trained

        def wrong(setting: Setting, *changes: dict[str, Any]) -> Training:
            return right(setting, *changes, forced)

        for module in (trainings, bitwise):
            patch.setattr(module, "trained", wrong)

    return apply


def encoder_stays(patch: pytest.MonkeyPatch) -> None:
    """Let every outer step leave the encoder where it is."""
    for module in (trainers.maml.engines.outer_step, bitwise):
        right = module.adam_step

        def stays(params: Any, *given: Any, right: Any = right, **named: Any) -> Any:
            moved, moments = right(params, *given, **named)
            return {name: value if name in HEAD else params[name] for name, value in moved.items()}, moments

        patch.setattr(module, "adam_step", stays)


def head_keeps_a_trace(patch: pytest.MonkeyPatch) -> None:
    """Let the zeroing of a head leave a millionth of it."""

    def nearly(params: Any) -> Any:
        return {name: value * 1e-6 if name in HEAD else value for name, value in params.items()}

    patch.setattr(trainers.maml.engines.outer_step, "zero_head", nearly)


def one_rounding_more(patch: pytest.MonkeyPatch) -> None:
    def rounded(loss: Any, logits: Any, labels: Any) -> Any:
        residual = torch.softmax(logits.detach(), dim=1) - one_hot(labels, logits)
        return residual / 3 * 3 / len(logits)

    patch.setattr(bitwise, "logit_gradient", rounded)


def moments_reset_as_a_whole(patch: pytest.MonkeyPatch) -> None:
    """Let the reset of the head's moments reset those of the encoder too."""
    right = Mover.step

    def step(self: Any, carried: Any, *given: Any) -> Any:
        if self._shared.zero_head_adam == "reset":
            carried = carried._replace(moments=no_moments(carried.params))
        return right(self, carried, *given)

    patch.setattr(Mover, "step", step)


def first_passed_as_second(patch: pytest.MonkeyPatch) -> None:
    for module in (twins, differences):
        patch.setattr(module, "graph_gradient", lambda order: graph_gradient("first"))


def head_steps_too_far(right: Any) -> Any:
    return lambda at, episode: right(at._replace(config=at.config.model_copy(update={"inner_lr": 0.2})), episode)


def labels_renamed_in_the_support_alone(patch: pytest.MonkeyPatch) -> None:
    def permuted(episode: Any, order: Any) -> Any:
        return episode._replace(support_labels=order[episode.support_labels])

    patch.setattr(label_order, "permuted", permuted)


def before_any_step(right: Any) -> Any:
    def counts(*given: Any) -> Any:
        found = right(*given)
        return found[:1].expand_as(found)

    return counts


def another_gradient(of: Callable[[Any, Any], bool], by: float) -> Callable[[pytest.MonkeyPatch], None]:
    """Return the break that scales the gradient of the engines and configs for which `of` is true."""

    def change(right: Any) -> Any:
        def wrong(self: Any, engine: Any, config: Any, *given: Any) -> Any:
            found = right(self, engine, config, *given)
            return {name: by * value for name, value in found.items()} if of(engine, config) else found

        return wrong

    return replaced(engines.Step, "gradient", change)


BREAKS: dict[Check, tuple[Break, ...]] = {
    formulas.head_first_order: (
        Break(replaced(formulas, "_residual_slope", scaled(-1)), ("The head's first-order gradient",)),
        Break(
            replaced(contrastive, "head_gradient", scaled(1.01)),
            ("The head's first-order gradient",),
        ),
    ),
    formulas.first_order: (
        Break(wrong_sign(contrastive), ("any head and any number", "unbalanced support set")),
        Break(on_a(formulas, head="zero"), ("without its interference term",)),
    ),
    formulas.zeroed: (
        Break(wrong_sign(contrastive), ("weight and bias zero", "phi(s) has mean zero")),
        Break(on_a(formulas, inner_steps=1), ("at two inner steps",)),
        Break(on_a(formulas, head="zero"), ("bias not zero",)),
    ),
    formulas.second_order: (
        Break(wrong_sign(contrastive), ("q alone stopped, and",)),
        Break(on_a(formulas, head="zero"), ("coefficient stopped", "but no + 1")),
    ),
    formulas.head_second_order: (
        Break(replaced(formulas, "_residual_slope", scaled(2)), ("sum_j s_j g_j", "zero head")),
        Break(replaced(contrastive, "head_gradient", scaled(-1)), ("sum_j s_j g_j",)),
        Break(on_a(formulas, head="zero"), ("random head",)),
    ),
    printed.agreement: (Break(wrong_sign(contrastive), ("explicit objective is",)),),
    appendix.adapted_head: (
        Break(replaced(appendix, "adapted", head_steps_too_far), ("w_k + eta",)),
        Break(replaced(appendix, "_movement", scaled(-1)), ("w_k + eta", "w_k - eta")),
    ),
    appendix.feature_gradient: (
        Break(replaced(appendix, "adapted", head_steps_too_far), ("1{i=t}",)),
        Break(on_a(appendix, inner_lr=1e-9), ("([1{i=u} - s_i", "(1{i=u} - s_i")),
    ),
    appendix.explicit_loss: (Break(replaced(appendix, "double_sum", scaled(-1)), ("explicit loss for n",)),),
    coefficients.same_class: (Break(wrong_sign(coefficients), ("always negative", "A same-class coefficient is")),),
    coefficients.shares: (Break(wrong_sign(coefficients), ("exactly 1 - 1/N",)),),
    coefficients.definition_1: (
        Break(wrong_sign(coefficients), ("With a zero head no same-class",)),
        Break(on_a(coefficients, head="random"), ("With a zero head",)),
        Break(on_a(coefficients, head="zero"), ("With a random head",)),
    ),
    motivating_example.adapted_head: (
        Break(replaced(motivating_example, "_sum_of_features", scaled(2)), ("half the sum of squared errors",)),
        Break(
            lambda patch: patch.setattr(motivating_example, "_mean_squared_error", half_squared_error),
            ("torch's mean squared error",),
        ),
        Break(
            lambda patch: patch.setattr(motivating_example, "_mean_over_images", half_squared_error),
            ("as a mean over the support set",),
        ),
    ),
    motivating_example.encoder_gradient: (
        Break(replaced(motivating_example, "_sum_of_features", scaled(2)), ("phi(s) stopped", "phi(s) live")),
    ),
    motivating_example.bias: (
        Break(replaced(motivating_example, "_adapted", scaled(2)), ("bias moves from zero",)),
        Break(replaced(motivating_example, "_adapted", scaled(0)), ("the outputs are", "bias moves from zero")),
    ),
    trainings.theorem_1: (
        Break(
            wrong_sign(contrastive),
            ("with the head by Eq. 5 trains", "in its exact form with the head"),
        ),
        Break(training_with(head_update="paper"), ("never updated, as released",)),
        Break(training_with(second_order_form="exact"), ("Eq. 8 as printed",)),
        Break(encoder_stays, ("Random head",)),
    ),
    trainings.corollary_1: (
        Break(wrong_sign(contrastive), ("Eq. 9 trains", "Eq. 10 trains")),
        Break(encoder_stays, ("Eq. 9 trains", "Eq. 10 trains")),
    ),
    trainings.without_efil: (
        Break(head_keeps_a_trace, ("full MAML trains ANIL's encoder, bit for bit",)),
        Break(wrong_sign(contrastive), ("the explicit loss trains",)),
        Break(training_with(inner_steps=1), ("two inner steps",)),
        Break(encoder_stays, ("Head",)),
    ),
    trainings.zeroing_details: (
        Break(training_with(zero_head_adam="reset"), ("Adam's moments",)),
        Break(moments_reset_as_a_whole, ("Adam's moments",)),
        Break(head_keeps_a_trace, ("one encoder, bit for bit",)),
        Break(training_with(zero_head_when="before_inner_loop"), ("one as-trained head",)),
        Break(encoder_stays, ("Head zeroed",)),
    ),
    bitwise.zeroed_head: (
        Break(one_rounding_more, ("summed over the support first trains",)),
        Break(encoder_stays, ("summed over the support first trains",)),
    ),
    bitwise.random_head: (
        Break(one_rounding_more, ("trains ANIL's",)),
        Break(training_with(algorithm="anil"), ("trains full MAML's",)),
        Break(encoder_stays, ("Random head",)),
    ),
    label_order.zero_head: (
        Break(labels_renamed_in_the_support_alone, ("With the head zeroed",)),
        Break(replaced(label_order, "correct_counts", before_any_step), ("With the head zeroed",)),
    ),
    label_order.random_head: (
        Break(
            lambda patch: patch.setattr(label_order, "_order", lambda at, n: torch.arange(at.config.ways)),
            ("does not depend on the order",),
        ),
    ),
    differences.rounding: (Break(replaced(Twin, "meta_gradient", scaled(1 + 1e-5)), ("within rounding",)),),
    differences.second_order: (
        Break(first_passed_as_second, ("slope of the meta-loss",)),
        Break(replaced(Twin, "meta_gradient", scaled(1 + 1e-6)), ("slope of the meta-loss",)),
    ),
    differences.first_order: (
        Break(replaced(Twin, "meta_gradient", scaled(1 + 1e-6)), ("slope of the query loss",)),
        Break(
            lambda patch: patch.setattr(Twin, "meta_loss", Twin.displaced_loss), ("is the slope of the meta-loss at",)
        ),
    ),
    differences.explicit_losses: (
        Break(replaced(Twin, "explicit_gradient", scaled(1 + 1e-6)), ("explicit loss", "slope of the EFIL meta-loss")),
        Break(wrong_sign(contrastive), ("explicit loss", "slope of the EFIL meta-loss")),
    ),
    differences.kinks: (
        Break(replaced(Twin, "meta_gradient", scaled(1 + 1e-4)), ("between kinks",)),
        Break(
            lambda patch: patch.setattr(differences, "kinked_twin", partial(smooth_twin, noise_episode(15))),
            ("is continuous",),
        ),
    ),
    differences.quadratic: (
        Break(first_passed_as_second, ("at the adapted point",)),
        Break(replaced(differences, "_gap", scaled(0)), ("at the initial point",)),
    ),
    engines.engines_agree: (
        Break(another_gradient(lambda engine, config: engine != "loop", 1 + 1e-9), ("One outer step of",)),
    ),
    engines.native_batch_norm: (
        Break(lambda patch: patch.setattr(engines, "native_norm", split_norm), ("inside the native batch norm",)),
    ),
    engines.single_precision: (
        Break(another_gradient(lambda engine, config: config.dtype == "float32", 1.02), ("Float32 is within",)),
    ),
}


def name_of(check: Check) -> str:
    return f"{check.__module__.rpartition('.')[2]}.{check.__name__}"


def judging(claims: list[Claim]) -> list[tuple[str, Claim]]:
    """Return the rows that judge, by name."""
    return [(f"{claim.statement} [{claim.computed}]", claim) for claim in claims if claim.should != "inform"]


@cache
def intact(check: Check) -> list[tuple[str, Claim]]:
    return judging(check(setting()))


@pytest.fixture(autouse=True)
def few_steps_and_variants(monkeypatch):
    monkeypatch.setattr(differences, "STEPS", (2,))
    monkeypatch.setattr(Twin, "jumps", partialmethod(Twin.jumps, directions=2))
    monkeypatch.setattr(trainings, "STEPS", 3)  # Adam's moments tell from the second step on, and a head from the third
    monkeypatch.setattr(engines, "variants", lambda algorithm, order: [{"inner_steps": 1}])


@pytest.mark.slow
@pytest.mark.parametrize("check", (*examine.CHECKS, *examine.CHECKS_ONCE), ids=name_of)
def test_every_row_that_judges_turns_red_for_the_breaks_that_name_it(monkeypatch, check):
    rows = intact(check)
    assert [claim.row() for _, claim in rows if not claim.as_expected] == []
    named = set()
    for broken in BREAKS.get(check, ()):
        must = {place for place, (name, _) in enumerate(rows) if any(words in name for words in broken.rows)}
        assert must, f"{broken.rows} name no row of {name_of(check)}"
        with monkeypatch.context() as patch:
            broken.apply(patch)
            found = judging(check(setting()))
        green = [rows[place][0] for place in must if found[place][1].as_expected]
        assert green == [], f"these rows of {name_of(check)} stay green for the break of {broken.rows}"
        named |= must
    assert [name for place, (name, _) in enumerate(rows) if place not in named] == [], "rows without a break"


def test_a_break_is_of_a_check_that_is_made():
    assert set(BREAKS) == {*examine.CHECKS, *examine.CHECKS_ONCE}
