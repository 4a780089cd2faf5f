"""Shapes of the paper's two Conv-4 networks, by arithmetic, so that planning needs no torch."""

from typing import NamedTuple

from trainers.data.facts import facts_of
from trainers.maml.config import TrialConfig


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


def feature_count(config: TrialConfig) -> int:
    """Return the number of features that the encoder gives to the head."""
    size = facts_of(config.dataset).image_shape[1]
    for block in BLOCKS[config.network]:
        size = (size + 2 * block.padding - block.kernel) // block.stride + 1
        size = size // 2 if block.pool else size
    return config.channels * size * size


def parameter_count(config: TrialConfig) -> int:
    """Return the number of trained parameters: convolutions with bias, batch norm's scale and shift, and the head."""
    in_channels = facts_of(config.dataset).image_shape[0]
    count = config.ways * (feature_count(config) + config.head_bias)
    for block in BLOCKS[config.network]:
        count += config.channels * (in_channels * block.kernel**2 + 3)
        in_channels = config.channels
    return count
