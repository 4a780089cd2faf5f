"""The claims about trainings come out as they should on a small setting, and wrong code turns their verdict."""

import math

import pytest
import torch

import trainers.maml.engines.outer_step
from tests.budget import budget
from trainers.maml.methods import contrastive
from trainers.maml.networks import initial_params
from trainers.maml.theory import trainings
from trainers.maml.theory.claim import Setting
from trainers.maml.theory.trainings import Training

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def few_steps(monkeypatch):
    """Train for a few steps every day, and for as many as the claims say in `make test-long`."""
    monkeypatch.setattr(trainings, "STEPS", budget(4, trainings.STEPS))


@pytest.mark.parametrize("claims_of", trainings.CLAIMS, ids=lambda claims_of: claims_of.__name__)
def test_every_claim_comes_out_as_expected(setting, claims_of):
    assert [claim.row() for claim in claims_of(setting) if not claim.as_expected] == []


def test_theorem_1_holds_with_batch_norm_before_relu(tiny, noise):
    config = tiny(channels=8, ways=5, net_order="bn_relu")
    claims = trainings.theorem_1(Setting(name="as printed", config=config, pixels=noise))
    assert [claim.row() for claim in claims if not claim.as_expected] == []


def test_a_lost_interference_term_turns_theorem_1(setting, monkeypatch):
    monkeypatch.setattr(contrastive, "interference_loss", lambda head, query, residual: query.sum() * 0)
    assert trainings.theorem_1(setting)[0].verdict == "does not hold"


def test_a_head_that_keeps_a_trace_of_its_weight_parts_maml_from_anil(setting, monkeypatch):
    def nearly(params):
        return {name: value * 1e-6 if name.startswith("head") else value for name, value in params.items()}

    monkeypatch.setattr(trainers.maml.engines.outer_step, "zero_head", nearly)
    maml, anil = (trainings.trained(setting, trainings.ZEROED, {"algorithm": name}) for name in ("maml", "anil"))
    assert maml.differing(anil, "encoder") > 0


def test_encoders_are_compared_by_their_change_and_by_their_bits(tiny):
    config = tiny(net_order="bn_relu")
    start = initial_params(config)
    one = Training(config, start | {"norm1.weight": start["norm1.weight"] + 1.0})
    two = Training(config, start | {"norm1.weight": start["norm1.weight"] + 1.5})
    assert two.apart(one) == pytest.approx(0.5)
    assert two.apart(two) == 0
    assert two.differing(one, "encoder") == 4
    assert two.differing(one, "head") == 0

    moved_bias = Training(config, two.params | {"conv1.bias": start["conv1.bias"] + 1.0})
    assert moved_bias.apart(two) == 0
    moved_elsewhere = Training(config, two.params | {"conv1.weight": start["conv1.weight"] + 1.0})
    assert moved_elsewhere.apart(two) == float("inf")
    idle = Training(config, start | {"head.weight": start["head.weight"] + 1.0})
    for found in (idle.apart(idle), two.apart(idle), idle.apart(two), idle.differing(idle, "encoder")):
        assert math.isnan(found)  # an encoder that never moved is no evidence
    broken = Training(config, two.params | {"norm1.weight": start["norm1.weight"] * torch.nan})
    assert broken.apart(one) != broken.apart(one)


def test_a_training_that_diverges_is_no_evidence(setting):
    with pytest.raises(ValueError, match="diverged at step"):
        trainings.trained(setting, {"outer_lr": 1e300})
