"""Eqs. 9 and 10 summed over the support first are those equations, and train full MAML's encoder to the bit."""

import pytest
import torch
import torch.nn.functional as F

from tests.budget import budget
from trainers.maml.model import build_model
from trainers.maml.networks import HEAD, zero_head
from trainers.maml.theory import bitwise, trainings
from trainers.maml.theory.claim import Setting

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def few_steps(monkeypatch):
    """Train for a few steps every day, and for as many as the claims say in `make test-long`."""
    monkeypatch.setattr(trainings, "STEPS", budget(4, trainings.STEPS))


@pytest.mark.parametrize("claims_of", bitwise.CLAIMS, ids=lambda claims_of: claims_of.__name__)
def test_every_claim_comes_out_as_expected(setting, claims_of):
    assert [claim.row() for claim in claims_of(setting) if not claim.as_expected] == []


@pytest.mark.parametrize(
    "options", [{"net_order": "bn_relu"}, {"network": "conv4_pooled"}, {"batch_norm": "inductive"}]
)
def test_the_bits_are_equal_on_other_networks(tiny, noise, options):
    config = tiny(channels=8, ways=5, inner_steps=1, **options)
    claims = bitwise.zeroed_head(Setting(name="other", config=config, pixels=noise))
    assert [claim.error for claim in claims] == [0, 0, 0, 0]


@pytest.mark.parametrize("order", ["first", "second"])
@pytest.mark.parametrize("bias", [True, False])
def test_at_a_zero_head_the_gradient_is_that_of_the_sum_over_pairs(setting, order, bias):
    config = setting.variant(head_bias=bias)
    model, episode = build_model(config, vectorised=False), setting.episodes(config)[0]
    params = {name: value.detach().requires_grad_() for name, value in zero_head(setting.params(config)).items()}
    encoder = [value for name, value in params.items() if name not in HEAD]
    found = torch.autograd.grad(bitwise.support_first(model, params, episode, order, config.inner_lr), encoder)

    support, query = model.support_features(params, episode), model.query_features(params, episode)
    targets = F.one_hot(episode.support_labels, config.ways).to(support.dtype)
    constant = 1.0 if bias else 0.0
    with torch.no_grad():
        adapted = config.inner_lr * (targets - 1 / config.ways) / len(support)
        chance = F.softmax((query @ support.T + constant) @ adapted, dim=1)
        same = episode.query_labels[:, None] == episode.support_labels
        coefficient = chance[:, episode.support_labels] - same.to(chance.dtype)  # (T, S): q_t - 1{t=u}
    similarity = query @ (support.detach() if order == "first" else support).T
    pairs = torch.autograd.grad(config.inner_lr * (coefficient * similarity).mean(), encoder)
    for ours, theirs in zip(found, pairs, strict=True):
        # Sums over images cancel in some biases, so 1e-12 of the summands is more of the sum.
        assert float((ours - theirs).norm()) <= 1e-10 * float(theirs.norm())


def test_one_rounding_more_in_the_coefficients_parts_the_bits(setting, monkeypatch):
    def rounded(loss, logits, labels):
        return (F.softmax(logits.detach(), dim=1) - F.one_hot(labels, logits.shape[1])) / len(logits)

    monkeypatch.setattr(bitwise, "logit_gradient", rounded)
    assert {claim.verdict for claim in bitwise.zeroed_head(setting)} == {"does not hold"}


def test_stopping_the_support_in_second_order_parts_it_from_maml(setting, monkeypatch):
    right = bitwise.support_first
    monkeypatch.setattr(bitwise, "support_first", lambda *args: right(*args[:3], "first", args[4]))
    verdicts = [claim.verdict for claim in bitwise.zeroed_head(setting)]
    assert verdicts == ["holds", "holds", "does not hold", "does not hold"]


def test_a_head_that_keeps_a_trace_of_its_weight_parts_it_from_maml(setting, monkeypatch):
    def nearly(params):
        return {name: value * 1e-6 if name in HEAD else value for name, value in params.items()}

    monkeypatch.setattr(bitwise, "zero_head", nearly)
    assert {claim.verdict for claim in bitwise.zeroed_head(setting)} == {"does not hold"}
