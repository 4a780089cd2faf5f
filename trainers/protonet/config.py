"""The complete description of one training of a prototypical network: fields, bounds and impossible combinations.

Loads no torch. Every field but `outer_steps` is part of a trial's identity, defaults included.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from trainers.data.catalog import OmniglotSplit
from trainers.data.known_name import KnownName
from trainers.fields import resolve as resolve_fields
from trainers.maml.config import NetOrder, Positive, Rate, TrialConfig
from trainers.maml.config import resolve as resolve_maml
from trainers.maml.network_names import DESCRIPTION, ORDERED, NetworkName, short_name
from trainers.trainer import ConfigError, Problem

Ways = Annotated[int, Field(ge=2)]


class ProtonetConfig(BaseModel):
    """One trial, fully resolved. The fields that MAML has too mean the same."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    dataset: KnownName = Field(description="the data set")
    omniglot_split: OmniglotSplit = Field("1200/423", description="classes for train/test, or train/val/test")
    network: NetworkName = Field("conv4_strided", description=DESCRIPTION)
    channels: Positive = Field(
        64, description="filters of each convolution of Conv-4; the others have multiples of it (docs/own_network.md)"
    )
    net_order: NetOrder = Field("bn_relu", description="batch norm before ReLU as in Snell et al., or after it")
    bn_eps: Rate = Field(1e-5, description="added to the variance in batch norm, which takes the statistics of a set")

    ways: Ways = Field(5, description="classes per training episode")
    shots: Positive = Field(1, description="support images per class of a training episode")
    queries: Positive = Field(15, description="query images per class of a training episode")
    rotations: bool = Field(
        False, description="training classes rotated by 90, 180 and 270 degrees are additional classes"
    )
    episodes: Positive = Field(1, description="training episodes per step")
    lr: Rate = Field(0.001, description="step size of Adam")
    lr_halved_every: Annotated[int, Field(ge=0)] = Field(
        2000, description="steps after which the step size is halved, again and again; 0: never"
    )
    outer_steps: Positive = Field(
        1000, description="total steps; may grow later, because it is not part of the identity"
    )

    eval_split: Literal["val", "test", "both"] = Field(
        "test", description="classes that evaluations draw from; both: each evaluation scores val and test"
    )
    eval_every: Positive = Field(100, description="steps between evaluations; there is none at other steps")
    eval_episodes: Positive = Field(400, description="episodes of the fixed list that every evaluation scores")
    eval_ways: Ways | None = Field(None, description="classes per evaluation episode; null: as in training")
    eval_shots: Positive | None = Field(
        None, description="support images per class at evaluation; null: as in training"
    )
    eval_queries: Positive | None = Field(
        None, description="query images per class at evaluation; null: as in training"
    )
    dtype: Literal["float32", "float64"] = Field("float32", description="of parameters and images")
    seed: Annotated[int, Field(ge=0)] = Field(0, description="root of every random stream")


def resolve(values: Mapping[str, Any]) -> ProtonetConfig:
    """Return the config of `values`. Raises ConfigError with every fault, those of its episodes included."""
    config = resolve_fields(ProtonetConfig, values)
    assert isinstance(config, ProtonetConfig)
    if config.network not in ORDERED and config.net_order != ProtonetConfig.model_fields["net_order"].default:
        why = (
            f"{config.net_order} has no meaning for network {short_name(config.network)}, which has an order of its own"
        )
        raise ConfigError((Problem("net_order", f"{why}; leave it out"),))
    training_episodes(config)
    evaluation_episodes(config)
    return config


def training_episodes(config: ProtonetConfig) -> TrialConfig:
    """Return the config by which MAML draws the same training episodes. Raises ConfigError for impossible ones."""
    return _episodes(
        config,
        ways=config.ways,
        shots=config.shots,
        queries=config.queries,
        rotations=config.rotations,
        meta_batch_size=config.episodes,
    )


def evaluation_episodes(config: ProtonetConfig) -> TrialConfig:
    """Return the config by which MAML scores the same evaluation episodes. Raises ConfigError for impossible ones."""
    return _episodes(
        config,
        ways=config.eval_ways or config.ways,
        shots=config.eval_shots or config.shots,
        queries=config.eval_queries or config.queries,
    )


def _episodes(config: ProtonetConfig, **more: Any) -> TrialConfig:
    same = ["dataset", "omniglot_split", "network", "channels", "bn_eps", "eval_split", "dtype", "seed"]
    same += ["net_order"] if config.network in ORDERED else []
    return resolve_maml({name: getattr(config, name) for name in same} | {"order": "first"} | more)
