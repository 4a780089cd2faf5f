"""A network of the user's own: finds its function, and keeps what it makes as pure functions of its parameters.

A function takes the shape of an image, (channels, height, width), and returns a torch.nn.Module from images
(B, C, H, W) to features (B, D); with a parameter `channels` it gets that field of the config, too. Its module begins
with parameters that depend on the trial's seed alone. `trainers.maml.networks.examined` says what it may not do.
"""

import inspect
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from trainers.fields import shown
from trainers.maml.config import TrialConfig
from trainers.maml.layout import image_shape
from trainers.maml.network_code import hash_of
from trainers.maml.network_names import short_name
from trainers.maml.networks.signature import Normalise, Params
from trainers.maml.networks.wrapped import Wrapped, prepared, why_in
from trainers.maml.rng import stream
from trainers.plug_modules import module_of
from trainers.trainer import TrainerError

Factory = Callable[..., nn.Module]
IMAGES = 4
"""How many images a module is tried with, to see how many features it gives."""

_stamps: dict[str, str] = {}
"""The hash of the code with which this process computes, by network."""


def renew(network: str) -> None:
    """Let `network` be imported again if its code has changed since this process imported it."""
    _stamps[network] = hash_of(network)


def parameters(config: TrialConfig) -> Params:
    """Return the initial parameters of the encoder: those that its module has under the trial's seed."""
    module = made(config, config.seed).to(getattr(torch, config.dtype))
    return {name: value.detach() for name, value in module.named_parameters() if value.requires_grad}


def feature_count(config: TrialConfig) -> int:
    """Return the number of features that the encoder gives to the head."""
    return skeleton(config, torch.device("cpu")).features


def encode(config: TrialConfig, params: Params, images: Tensor, normalise: Normalise) -> Tensor:
    """Return the features (B, D) of `images` (B, C, H, W), normalised as one batch."""
    return skeleton(config, images.device).encode(params, images, normalise)


def skeleton(config: TrialConfig, device: torch.device, seed: int = 0) -> Wrapped:
    """Return the module of `config` as a function of its parameters. What else it holds must not depend on `seed`."""
    return _skeleton(_kind(config), seed, str(device))


def made(config: TrialConfig, seed: int) -> nn.Module:
    """Return a new module with the parameters of `seed`, on the CPU. Raises TrainerError."""
    return _made(_kind(config), seed)


def takes_channels(network: str) -> bool:
    """Return whether the function of `network` has a parameter `channels`."""
    try:
        return "channels" in inspect.signature(_factory(network, _stamp(network))).parameters
    except (TypeError, ValueError):  # a class that is not written in Python
        return False


class _Kind(NamedTuple):
    """All that a module depends on besides the seed."""

    network: str
    stamp: str
    shape: tuple[int, int, int]
    channels: int
    eps: float
    dtype: str


def _kind(config: TrialConfig) -> _Kind:
    network = config.network
    return _Kind(network, _stamp(network), image_shape(config), config.channels, config.bn_eps, config.dtype)


def _stamp(network: str) -> str:
    if network not in _stamps:
        renew(network)
    return _stamps[network]


@lru_cache(maxsize=64)
def _factory(network: str, stamp: str) -> Factory:
    """Return the function that `network` names. Raises TrainerError if it isn't there."""
    place, _, name = network.rpartition(":")
    label = short_name(network)
    with drawn_from(stream(0, "imported")):  # it may draw what its functions use
        module = module_of(label, str(Path(place).parent) if place.endswith(".py") else "", stamp)
    if not hasattr(module, name):
        own = [key for key, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__]
        offered = ", ".join(key for key in own if not key.startswith("_")) or "none"
        raise TrainerError(f"{label}: {label.rpartition(':')[0]} has no {name!r}; its functions and classes: {offered}")
    found = getattr(module, name)
    if isinstance(found, nn.Module):
        raise TrainerError(
            f"{label}: is a module already; name a function or a class that makes one, so that each seed has its own"
        )
    if not callable(found):
        raise TrainerError(f"{label}: must be a function that returns a torch.nn.Module, got {shown(found)}")
    return found


@lru_cache(maxsize=64)
def _skeleton(kind: _Kind, seed: int, device: str) -> Wrapped:
    dtype = getattr(torch, kind.dtype)
    images = torch.from_numpy(stream(0, "tried").standard_normal((IMAGES, *kind.shape))).to(dtype)
    return Wrapped(short_name(kind.network), _made(kind, seed).to(dtype), images, device)


def _made(kind: _Kind, seed: int) -> nn.Module:
    label = short_name(kind.network)
    more = {"channels": kind.channels} if takes_channels(kind.network) else {}
    with drawn_from(stream(seed, "encoder")):
        try:
            module = _factory(kind.network, kind.stamp)(kind.shape, **more)
        except Exception as error:
            said = ", ".join([str(kind.shape), *(f"{name}={value}" for name, value in more.items())])
            raise TrainerError(f"{label}: {label.rpartition(':')[2]}({said}) raised {why_in(error)}") from error
        return prepared(label, module, torch.zeros(IMAGES, *kind.shape), kind.eps)


@contextmanager
def drawn_from(draws: np.random.Generator) -> Iterator[None]:
    """Let all global random numbers of the block, of torch, numpy and Python, follow from `draws`; restore them."""
    seeds = draws.integers(0, 2**32, 3).tolist()
    before = torch.get_rng_state(), np.random.get_state(), random.getstate()
    try:
        torch.default_generator.manual_seed(seeds[0])  # torch.manual_seed would seed GPUs, too
        np.random.seed(seeds[1])
        random.seed(seeds[2])
        with torch.device("cpu"):
            yield
    finally:
        torch.set_rng_state(before[0])
        np.random.set_state(before[1])
        random.setstate(before[2])
