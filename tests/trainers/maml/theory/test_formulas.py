"""Every claim about a formula comes out as it should on a small network, and turns when the code it checks is wrong."""

import math

import pytest
import torch

import trainers.maml.model
from trainers.maml.methods import contrastive
from trainers.maml.model import half_squared_error
from trainers.maml.theory import appendix, coefficients, formulas, label_order, motivating_example, printed, settings
from trainers.maml.theory.cases import case, distance, holds, largest, of_encoder, worst
from trainers.maml.theory.claim import Setting
from trainers.trainer import ConfigError

original_coefficients = contrastive.coefficients

MODULES = (formulas, printed, appendix, coefficients, motivating_example, label_order)


pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def small():
    return settings.small()


def rows(module, setting):
    return [claim for compute in module.CLAIMS for claim in compute(setting)]


def unexpected(claims):
    """Return the sources of the claims that came out otherwise than they should."""
    return {claim.source for claim in claims if not claim.as_expected}


@pytest.mark.parametrize("shots", [1, 2])
@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__.rpartition(".")[2])
def test_every_claim_comes_out_as_expected(small, module, shots):
    config = small.variant(shots=shots, meta_batch_size=2)
    claims = rows(module, Setting(name=small.name, config=config, pixels=small.pixels))
    assert [claim.row() for claim in claims if not claim.as_expected] == []
    assert max(len(claim.statement) for claim in claims) <= 140


def test_no_two_rows_look_alike(small):
    shown = [(claim.statement, claim.computed) for module in MODULES for claim in rows(module, small)]
    assert len(set(shown)) == len(shown)


def with_signs_swapped(labels, residual, path, kind):
    return -original_coefficients(labels, residual, path, kind)


def without_query_share(labels, residual, path, kind):
    """Forget q_t: the coefficient is then s_u - 1{t=u} - q.s."""
    three_queries_a_class = torch.arange(len(residual)) // 3
    chance = residual + trainers.maml.model.one_hot(three_queries_a_class, residual)
    target = trainers.maml.model.one_hot(labels, path.support[0])
    return original_coefficients(labels, residual, path, kind) - len(path.support) * target @ chance.T


def with_first_step_alone(labels, residual, path, kind):
    return original_coefficients(labels, residual, path._replace(support=path.support[:1]), kind)


@pytest.mark.parametrize("wrong", [with_signs_swapped, without_query_share])
def test_a_wrong_coefficient_turns_every_equation_that_has_one(small, monkeypatch, wrong):
    monkeypatch.setattr(contrastive, "coefficients", wrong)
    assert {"paper, Eq. 7", "paper, Eq. 9", "paper, Eq. 10"} <= unexpected(rows(formulas, small))
    assert {"paper, Eq. 7", "paper, Eq. 8", "paper, Eq. 9", "paper, Eq. 10"} == unexpected(rows(printed, small))


def test_coefficients_of_the_first_step_alone_turn_eq_7_at_several_steps_and_no_other(small, monkeypatch):
    monkeypatch.setattr(contrastive, "coefficients", with_first_step_alone)
    wrong = [claim for claim in formulas.first_order(small) if not claim.as_expected]
    assert all("2 inner steps" in claim.computed or "5 inner steps" in claim.computed for claim in wrong)
    assert len(wrong) == 5


def test_a_missing_interference_term_turns_eq_7_and_eq_8_but_not_the_zero_head(small, monkeypatch):
    monkeypatch.setattr(contrastive, "interference_loss", lambda head, query, residual: 0 * query.sum())
    assert {claim.source for claim in formulas.first_order(small) if claim.error > 1e-3} >= {"paper, Eq. 7"}
    assert unexpected(rows(printed, small)) == {"paper, Eq. 7", "paper, Eq. 8"}
    assert unexpected(formulas.zeroed(small)) == set()


def test_the_exact_second_order_form_turns_when_s_is_stopped(small, monkeypatch):
    def stopped(support, head, query, labels, residual, path, how):
        return original(support, head, query, labels, residual, path, how._replace(form="printed"))

    original = contrastive.contrastive_loss
    monkeypatch.setattr(contrastive, "contrastive_loss", stopped)
    exact = [claim for claim in formulas.second_order(small) if "q alone stopped, and" in claim.statement]
    assert len(exact) == 2
    assert all(claim.verdict == "does not hold" for claim in exact)


def test_a_head_gradient_without_its_cross_term_turns_eq_11(small, monkeypatch):
    monkeypatch.setattr(formulas, "_full", formulas._preconditioned)
    assert unexpected(formulas.head_second_order(small)) == {"paper, Eq. 11"}


def test_the_trainers_first_order_head_gradient_in_second_order_turns_eq_11(small, monkeypatch):
    def first(support, query, residual, path, how):
        return original(support, query, residual, path, how._replace(order="first"))

    original = contrastive.head_gradient
    monkeypatch.setattr(contrastive, "head_gradient", first)
    assert unexpected(rows(formulas, small)) == {"paper, Eq. 11"}


def test_a_head_that_steps_too_far_turns_eq_22_and_eq_25(small, monkeypatch):
    """The inner loop of the true gradient doubles its rate, the formulas keep theirs."""

    def doubled(at, episode):
        return original(at._replace(config=at.config.model_copy(update={"inner_lr": 0.2})), episode)

    original = appendix.adapted
    monkeypatch.setattr(appendix, "adapted", doubled)
    wrong = {"paper, Eq. 22 (sign corrected)", "paper, Eq. 25 (1{i=t} restored)"}
    assert unexpected(rows(appendix, small)) == wrong


def test_swapped_signs_turn_signs_shares_and_definition_1(small, monkeypatch):
    monkeypatch.setattr(coefficients, "coefficients", with_signs_swapped)
    assert {"paper, Eq. 7", "paper, Fig. 9", "paper, Corollary 1", "this project"} == unexpected(
        rows(coefficients, small)
    )


@pytest.mark.parametrize("scale", [2.0, 1 / 30], ids=["without the half", "as a mean"])
def test_another_squared_error_turns_the_motivating_example(small, monkeypatch, scale):
    monkeypatch.setitem(
        trainers.maml.model.LOSSES, "squared_error", lambda logits, labels: scale * half_squared_error(logits, labels)
    )
    assert {"paper, Fig. 1", "this project"} <= unexpected(rows(motivating_example, small))


def test_renaming_the_support_labels_alone_makes_accuracy_depend_on_their_order(small, monkeypatch):
    def in_support(episode, order):
        return episode._replace(support_labels=order[episode.support_labels])

    monkeypatch.setattr(label_order, "permuted", in_support)
    assert unexpected(label_order.zero_head(small)) == {"this project"}


def test_a_setting_has_no_variant_that_cannot_be(small):
    with pytest.raises(ConfigError, match="contrastive in second order needs exactly 1"):
        small.variant(algorithm="contrastive", order="second", inner_steps=2)


def test_the_mean_over_episodes_is_not_that_of_one(small):
    at = case(small, "random", inner_steps=1)
    alone = at._replace(episodes=at.episodes[:1])
    objective = formulas.true_objective("first")
    assert worst(of_encoder(alone.gradient(objective)), of_encoder(at.gradient(objective))) > 1e-2


def test_an_unbalanced_support_set_has_3_1_1_2_1_images(small):
    at = case(small, "random", balanced=False)
    assert [episode.support_labels.bincount().tolist() for episode in at.episodes] == [[3, 1, 1, 2, 1]] * 3
    assert all(len(episode.support_images) == 8 for episode in at.episodes)


def test_a_gradient_that_is_nan_or_misplaced_never_holds():
    zero, one = torch.zeros(3), torch.ones(3)
    assert distance(zero, zero) == 0
    assert distance(one, zero) == math.inf
    assert math.isnan(largest([0.0, distance(one * math.nan, one), 1.0]))
    assert math.isnan(worst({"a": one, "b": one * math.nan, "c": one}, {"a": one, "b": one, "c": one}))
    assert math.isnan(worst({"a": zero, "b": zero}, {"a": zero, "b": zero}))  # no gradient at all is no evidence
    assert worst({"a": zero, "b": one}, {"a": zero, "b": one}) == 0
    assert holds("s", "s", "c", math.nan).verdict == "does not hold"
