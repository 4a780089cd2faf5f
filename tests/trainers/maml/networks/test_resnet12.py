"""ResNet-12 and the multilayer perceptron against modules as people write them, and their sizes by arithmetic."""

from functools import partial

import pytest
import torch
from torch import Tensor, nn

from trainers.maml.config import resolve
from trainers.maml.layout import feature_count, parameter_count
from trainers.maml.networks import HEAD, encode, initial_params, native_norm
from trainers.trainer import ConfigError

NORM = partial(native_norm, eps=1e-5)


class BasicBlock(nn.Module):
    """The block of Lee et al. 2019 (models/ResNet12_embedding.py), without DropBlock."""

    def __init__(self, inputs: int, filters: int) -> None:
        super().__init__()
        norm = partial(nn.BatchNorm2d, track_running_stats=False)
        self.conv1 = nn.Conv2d(inputs, filters, 3, padding=1, bias=False)
        self.norm1 = norm(filters)
        self.relu = nn.LeakyReLU(0.1)
        self.conv2 = nn.Conv2d(filters, filters, 3, padding=1, bias=False)
        self.norm2 = norm(filters)
        self.conv3 = nn.Conv2d(filters, filters, 3, padding=1, bias=False)
        self.norm3 = norm(filters)
        self.shortcut = nn.Conv2d(inputs, filters, 1, bias=False)
        self.shortcut_norm = norm(filters)
        self.maxpool = nn.MaxPool2d(2)

    def forward(self, x: Tensor) -> Tensor:
        residual = self.shortcut_norm(self.shortcut(x))
        out = self.relu(self.norm1(self.conv1(x)))
        out = self.relu(self.norm2(self.conv2(out)))
        out = self.norm3(self.conv3(out))
        out += residual
        return self.maxpool(self.relu(out))


class ResNet12(nn.Module):
    """Four blocks and global average pooling."""

    def __init__(self, inputs: int, filters: tuple[int, ...]) -> None:
        super().__init__()
        for n, (before, after) in enumerate(zip((inputs, *filters), filters, strict=False), start=1):
            self.add_module(f"block{n}", BasicBlock(before, after))
        self.pool = nn.AdaptiveAvgPool2d(1)

    def forward(self, x: Tensor) -> Tensor:
        return self.pool(self.block4(self.block3(self.block2(self.block1(x))))).flatten(1)


def perceptron(inputs: int, config) -> nn.Module:
    """Finn et al. 2017: hidden layers of 256, 128, 64 and 64 units, with batch norm and a ReLU."""
    units = [4 * config.channels, 2 * config.channels, config.channels, config.channels]
    layers: dict[str, nn.Module] = {"flatten": nn.Flatten()}
    for n, (before, after) in enumerate(zip((inputs, *units), units, strict=False), start=1):
        norm, relu = nn.BatchNorm1d(after, track_running_stats=False), nn.ReLU()
        layers[f"linear{n}"] = nn.Linear(before, after)
        layers |= {f"relu{n}": relu, f"norm{n}": norm} if config.net_order == "relu_bn" else {
            f"norm{n}": norm, f"relu{n}": relu,
        }  # fmt: skip
    model = nn.Sequential()
    for name, layer in layers.items():
        model.add_module(name, layer)
    return model


def encoder_of(config) -> dict[str, Tensor]:
    return {name: value for name, value in initial_params(config).items() if name not in HEAD}


def compare(config, model: nn.Module, images: Tensor) -> None:
    """Compare features and the gradient of a function of them, in float64."""
    params = {name: value.requires_grad_() for name, value in encoder_of(config).items()}
    model = model.double()
    model.load_state_dict({name: value.detach().clone() for name, value in params.items()})
    found, expected = encode(config, params, images, NORM), model(images)
    torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-11)
    assert found.shape == (len(images), feature_count(config))
    gradient = torch.autograd.grad(found.sin().sum(), list(params.values()))
    expected.sin().sum().backward()
    for (name, other), own in zip(model.named_parameters(), gradient, strict=True):
        torch.testing.assert_close(
            own, other.grad, rtol=1e-8, atol=1e-10, msg=lambda text, name=name: f"{name}: {text}"
        )


@pytest.mark.parametrize(("dataset", "size"), [("strokes", 28), ("mini_imagenet", 84)])
def test_resnet12_is_that_of_modules(tiny, dataset, size):
    config = tiny(dataset=dataset, network="resnet12")
    inputs = 1 if dataset == "strokes" else 3
    images = torch.randn(5, inputs, size, size, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    compare(config, ResNet12(inputs, (4, 10, 20, 40)), images)


@pytest.mark.parametrize("order", ["relu_bn", "bn_relu"])
def test_the_perceptron_is_that_of_modules(tiny, order):
    config = tiny(network="mlp", net_order=order)
    images = torch.randn(6, 1, 28, 28, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    compare(config, perceptron(28 * 28, config), images)


def test_resnet12_has_the_12_4_million_parameters_of_the_literature():
    """12,424,320 in the encoder of Lee et al. and of Tian et al., on 84 x 84 colour images."""
    config = resolve({"dataset": "mini_imagenet", "network": "resnet12"})
    assert feature_count(config) == 640
    assert parameter_count(config) - 5 * 641 == 12_424_320


@pytest.mark.parametrize("network", ["resnet12", "mlp"])
@pytest.mark.parametrize("change", [{}, {"head_bias": False, "ways": 4}, {"dataset": "mini_imagenet"}])
def test_sizes_by_arithmetic_are_those_of_what_is_built(tiny, network, change):
    config = tiny(network=network, **change)
    params = initial_params(config)
    assert parameter_count(config) == sum(value.numel() for value in params.values())
    assert feature_count(config) == params["head.weight"].shape[1]


@pytest.mark.parametrize("network", ["resnet12", "mlp"])
def test_what_concerns_the_head_leaves_the_encoders_start_bit_equal(tiny, network):
    plain = encoder_of(tiny(network=network))
    for change in ({"head_scale": 0.0}, {"head_bias": False}, {"ways": 5}):
        changed = encoder_of(tiny(network=network, **change))
        assert all(torch.equal(plain[name], changed[name]) for name in plain)
    other = encoder_of(tiny(network=network, seed=1))
    assert not any(torch.equal(plain[name], other[name]) for name in plain if plain[name].dim() > 1)


def test_weights_have_the_spread_of_the_authors():
    params = initial_params(resolve({"dataset": "strokes", "network": "resnet12", "channels": 16}))
    assert float(params["block3.conv2.weight"].std()) == pytest.approx((2 / (80 * 9)) ** 0.5, rel=0.03)
    assert float(params["block4.shortcut.weight"].std()) == pytest.approx((2 / 160) ** 0.5, rel=0.03)
    assert (params["block2.norm3.weight"] == 1).all() and not params["block2.shortcut_norm.bias"].any()


@pytest.mark.parametrize(
    ("values", "field", "said"),
    [
        ({"network": "resnet12", "channels": 3}, "channels", "3, but resnet12 has 2.5 times as many"),
        ({"network": "resnet12", "net_order": "bn_relu"}, "net_order", "bn_relu has no meaning for network resnet12"),
        ({"network": "a/net.py:f", "net_order": "bn_relu"}, "net_order", "no meaning for network net.py:f"),
    ],
)
def test_a_field_without_meaning_is_refused(values, field, said):
    with pytest.raises(ConfigError) as caught:
        resolve({"dataset": "strokes"} | values)
    (problem,) = caught.value.problems
    assert problem.field == field and said in problem.message


def test_images_that_are_too_small_are_refused_with_their_size(monkeypatch):
    from dataclasses import replace

    from trainers.data.catalog import CATALOG

    for size, fits in ((16, True), (15, False)):
        monkeypatch.setitem(CATALOG, "strokes", replace(CATALOG["strokes"], image_shape=(1, size, size)))
        for network in ("resnet12", "conv4_pooled"):
            if fits:
                assert feature_count(resolve({"dataset": "strokes", "network": network})) > 0
                continue
            with pytest.raises(ConfigError, match=f"{network} needs images of 16x16 or more"):
                resolve({"dataset": "strokes", "network": network})
