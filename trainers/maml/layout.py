"""Shapes of the networks that ship, by arithmetic, so that planning needs no torch."""

from typing import NamedTuple, Protocol

from trainers.data.facts import facts_of
from trainers.maml.network_names import CONV4


class Sized(Protocol):
    """The fields of a config that the size of a network depends on."""

    @property
    def dataset(self) -> str: ...

    @property
    def network(self) -> str: ...

    @property
    def channels(self) -> int: ...

    @property
    def ways(self) -> int: ...

    @property
    def head_bias(self) -> bool: ...


class Block(NamedTuple):
    """One convolution: kernel size, stride, padding, and whether 2x2 max-pooling ends the block."""

    kernel: int
    stride: int
    padding: int
    pool: bool


BLOCKS: dict[str, tuple[Block, ...]] = {
    "conv4_strided": (Block(3, 2, 0, False),) * 3 + (Block(2, 1, 0, False),),
    "conv4_pooled": (Block(3, 1, 1, True),) * 4,
}
RESNET12_BLOCKS = 4
"""Each ends with 2x2 max-pooling."""


def image_shape(config: Sized) -> tuple[int, int, int]:
    """Return (channels, height, width) of the images of `config`."""
    return facts_of(config.dataset).image_shape


def resnet12_widths(channels: int) -> tuple[int, ...]:
    """Return the filters of the four residual blocks: 64, 160, 320 and 640 for 64 channels, else in proportion."""
    return channels, channels * 5 // 2, channels * 5, channels * 10


def mlp_widths(channels: int) -> tuple[int, ...]:
    """Return the units of the four hidden layers: 256, 128, 64 and 64 for 64 channels, else in proportion."""
    return channels * 4, channels * 2, channels, channels


def feature_count(config: Sized) -> int:
    """Return the number of features that an encoder that ships gives to the head; 0 if the images are too small."""
    if config.network == "mlp":
        return mlp_widths(config.channels)[-1]
    height, width = (_left(config.network, size) for size in image_shape(config)[1:])
    if config.network == "resnet12":
        return resnet12_widths(config.channels)[-1] if height and width else 0  # their mean over space
    return config.channels * height * width


def _left(network: str, size: int) -> int:
    """Return how many rows (or columns) the last map has, for images with `size` of them."""
    if network not in CONV4:
        return size // 2**RESNET12_BLOCKS
    for block in BLOCKS[network]:
        size = max(size + 2 * block.padding - block.kernel, -1) // block.stride + 1
        size = size // 2 if block.pool else size
    return size


def parameter_count(config: Sized) -> int:
    """Return the number of trained parameters of encoder and head, for an encoder that ships."""
    return _encoder_parameters(config) + config.ways * (feature_count(config) + config.head_bias)


def _encoder_parameters(config: Sized) -> int:
    """Return those of weights, biases, and batch norm's scale and shift."""
    inputs, height, width = image_shape(config)
    count = 0
    if config.network == "mlp":
        inputs *= height * width
        for units in mlp_widths(config.channels):
            count += units * (inputs + 3)
            inputs = units
    elif config.network == "resnet12":
        for filters in resnet12_widths(config.channels):  # three 3x3 convolutions and one 1x1, without biases
            count += filters * (9 * inputs + 2 * 9 * filters + inputs + 4 * 2)
            inputs = filters
    else:
        for block in BLOCKS[config.network]:
            count += config.channels * (inputs * block.kernel**2 + 3)
            inputs = config.channels
    return count
