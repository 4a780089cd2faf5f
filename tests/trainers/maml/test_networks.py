"""The two networks: shapes as in the released code and its checkpoints, initialisation, batch statistics."""

import math
from functools import partial

import pytest
import torch

from trainers.maml.layout import feature_count, parameter_count
from trainers.maml.networks import encode, initial_params, native_norm, split_norm, zero_head
from trainers.maml.rng import stream

NORM = partial(native_norm, eps=1e-5)


def test_the_omniglot_network_has_64_features_and_the_mini_imagenet_one_800(tiny):
    omniglot = tiny(dataset="omniglot", channels=64, ways=5)
    mini = tiny(dataset="mini_imagenet", network="conv4_pooled", channels=32, ways=5)
    for config, features, size in ((omniglot, 64, 28), (mini, 800, 84)):
        params = initial_params(config)
        channels = params["conv1.weight"].shape[1]
        images = torch.zeros(2, channels, size, size, dtype=torch.float64)
        assert encode(config, params, images, NORM).shape == (2, features)
        assert feature_count(config) == features
        assert params["head.weight"].shape == (5, features)
        assert parameter_count(config) == sum(value.numel() for value in params.values())
    assert sum(value.numel() for value in initial_params(mini).values()) == 32901  # 896 + 3 * 9248 + 4 * 64 + 4005


def test_weights_are_kaiming_normal_and_biases_zero(tiny):
    params = initial_params(tiny(dataset="mini_imagenet", network="conv4_pooled", channels=32, ways=5))
    assert float(params["head.weight"].std()) == pytest.approx(math.sqrt(2 / 800), rel=0.05)
    assert float(params["head.weight"].norm()) == pytest.approx(3.14, abs=0.15)  # measured in the authors' checkpoints
    assert float(params["conv2.weight"].std()) == pytest.approx(math.sqrt(2 / (32 * 9)), rel=0.03)
    assert not any(value.any() for name, value in params.items() if name.endswith("bias"))
    assert all((params[f"norm{n}.weight"] == 1).all() for n in (1, 2, 3, 4))


def test_head_and_encoder_are_drawn_from_their_own_streams_of_the_seed(tiny):
    params = initial_params(tiny(seed=3))
    head, encoder = stream(3, "head"), stream(3, "encoder")
    expected = {
        "head.weight": head.standard_normal((3, 4)) * math.sqrt(2 / 4),
        "conv1.weight": encoder.standard_normal((4, 1, 3, 3)) * math.sqrt(2 / 9),
        "conv2.weight": encoder.standard_normal((4, 4, 3, 3)) * math.sqrt(2 / 36),
    }
    for name, value in expected.items():
        torch.testing.assert_close(params[name], torch.from_numpy(value), rtol=1e-14, atol=0)


@pytest.mark.parametrize("change", [{"head_scale": 0.0}, {"head_bias": False}, {"zero_head_every": 1}, {"ways": 5}])
def test_what_concerns_the_head_leaves_the_encoders_start_bit_equal(tiny, change):
    plain, changed = initial_params(tiny()), initial_params(tiny(**change))
    encoder = [name for name in plain if not name.startswith("head")]
    assert all(torch.equal(plain[name], changed[name]) for name in encoder)


def test_head_scale_multiplies_the_head_and_zero_head_zeroes_weight_and_bias(tiny):
    plain, half = initial_params(tiny()), initial_params(tiny(head_scale=0.5))
    torch.testing.assert_close(half["head.weight"], plain["head.weight"] * 0.5, rtol=1e-15, atol=0)
    params = {**plain, "head.bias": torch.ones(3, dtype=torch.float64)}
    zeroed = zero_head(params)
    assert not zeroed["head.weight"].any()
    assert not zeroed["head.bias"].any()
    assert params["head.bias"].all()
    assert all(zeroed[name] is params[name] for name in params if not name.startswith("head"))


def test_features_are_normalised_by_the_batch_at_hand_after_the_activation(tiny, noise):
    """With unit scale and zero shift each channel of the strided network's last map has mean 0 and variance 1."""
    config = tiny(channels=8)
    images = noise[:40, 0].double() / 255
    features = encode(config, initial_params(config), images, NORM)
    torch.testing.assert_close(features.mean(0), torch.zeros(8, dtype=torch.float64), atol=1e-12, rtol=0)
    spread = features.var(0, unbiased=False)
    assert ((spread > 0.99) | (spread == 0)).all()
    assert (features < 0).any()  # a ReLU after the normalisation would leave none
    half = encode(config, initial_params(config), images[:20], NORM)
    assert not torch.allclose(half, features[:20])


def test_the_two_normalisations_agree():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(6, 3, 4, 4, generator=generator, dtype=torch.float64)
    scale, shift = torch.randn(2, 3, generator=generator, dtype=torch.float64)
    torch.testing.assert_close(NORM(x, scale, shift), split_norm(x, scale, shift, eps=1e-5), rtol=1e-12, atol=1e-12)
