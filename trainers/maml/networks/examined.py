"""What is wrong with a network of one's own, found by calling it: one sentence, before anything is trained.

A network must be a function of its parameters and of the given images alone, with a gradient for each parameter. What
its code means is not read.
"""

from functools import lru_cache, partial

import torch
from torch import Tensor

from trainers.maml.config import TrialConfig
from trainers.maml.layout import image_shape
from trainers.maml.network_code import hash_of
from trainers.maml.network_names import short_name
from trainers.maml.networks import own
from trainers.maml.networks.normalisation import native_norm, reference_norm
from trainers.maml.networks.signature import Normalise, Params
from trainers.maml.networks.wrapped import Wrapped, why_in
from trainers.maml.rng import stream
from trainers.trainer import TrainerError

SUPPORT, ALL = 4, 6
"""How many images are a support set, and how many there are in all."""


def fault(config: TrialConfig) -> tuple[str, str]:
    """Return the field and a sentence for what is wrong with the network of `config`, two empty texts for nothing.

    `order: first` asks for no second derivative.
    """
    own.renew(config.network)
    order = config.order if config.inner_steps else "first"
    kept = {name: getattr(config, name) for name in _USED}
    return _fault(TrialConfig.model_construct(**kept, order=order), hash_of(config.network), image_shape(config))


def parameter_count(config: TrialConfig) -> int:
    """Return the number of parameters of encoder and head, 0 for a network that can't be made."""
    try:
        encoder = sum(value.numel() for value in own.parameters(config).values())
        return encoder + config.ways * (own.feature_count(config) + config.head_bias)
    except TrainerError:
        return 0


_USED = ("dataset", "network", "channels", "bn_eps", "batch_norm", "dtype")
"""The fields that it depends on what is wrong, besides the order."""


@lru_cache(maxsize=256)
def _fault(config: TrialConfig, stamp: str, shape: tuple[int, int, int]) -> tuple[str, str]:
    usual = TrialConfig.model_fields["channels"].default
    try:
        if config.channels != usual and not own.takes_channels(config.network):
            return "channels", (
                f"{config.channels} never reaches network {short_name(config.network)}; give its function a parameter "
                f"channels, or say channels: {usual}"
            )
        _examine(config)
    except TrainerError as error:
        return "network", str(error)
    return "", ""


def _examine(config: TrialConfig) -> None:
    label = short_name(config.network)
    params, again = own.parameters(config), own.parameters(config)
    if not all(torch.equal(again[name], value) for name, value in params.items()):
        raise TrainerError(
            f"{label}: begins with other parameters when it is made again for the same seed; draw them with the global "
            "random numbers of torch, numpy or Python, or from a fixed seed"
        )
    net, other = (own.skeleton(config, torch.device("cpu"), seed) for seed in (0, 1))
    drawn = stream(0, "examined").standard_normal((ALL, *image_shape(config)))
    images = torch.from_numpy(drawn).to(getattr(torch, config.dtype))
    norm = partial(native_norm, eps=config.bn_eps)
    with torch.no_grad():
        _examine_calls(label, (net, other), params, images, norm)
    _examine_gradients(label, net, params, images, norm, twice=config.order == "second")
    if config.batch_norm == "inductive":
        by_support = partial(reference_norm, eps=config.bn_eps, reference=SUPPORT)
        with torch.no_grad():
            _examine_inductive(label, net, params, images, by_support)


def _examine_calls(label: str, nets: tuple[Wrapped, Wrapped], params: Params, images: Tensor, norm: Normalise) -> None:
    """Look for what changes with a call. `nets` differ only in the seed of what is no parameter."""
    net, other = nets
    shown_images, buffers = images.clone(), {name: value.clone() for name, value in net.module.named_buffers()}
    features = net.encode(params, images, norm)
    if not features.isfinite().all():
        raise TrainerError(f"{label}: gives features that are not finite for images of random pixels")
    if not torch.equal(images, shown_images):
        raise TrainerError(f"{label}: changes the images that it is given; let it compute new ones (x = x - 0.5)")
    if not torch.equal(features, net.encode(params, images, norm)):
        raise TrainerError(
            f"{label}: gives other features for the same images at a second call; it may draw no random numbers and "
            "keep nothing between calls"
        )
    changed = [name for name, value in net.module.named_buffers() if not torch.equal(value, buffers[name])]
    if changed:
        raise TrainerError(
            f"{label}: its buffer {changed[0]} changes with each call, and would carry images of one episode into the "
            "next; keep nothing between calls"
        )
    if not torch.equal(features, other.encode(params, images, norm)):
        raise TrainerError(
            f"{label}: holds more that depends on the seed than its parameters, such as a buffer that is drawn at "
            "random; make it a parameter, or draw it from a fixed seed"
        )


def _examine_gradients(
    label: str, net: Wrapped, params: Params, images: Tensor, norm: Normalise, *, twice: bool
) -> None:
    leaves = {name: value.clone().requires_grad_() for name, value in params.items()}
    inputs = list(leaves.values())
    try:
        features = net.encode(leaves, images, norm)
        if not features.requires_grad:
            raise TrainerError(f"{label}: its features do not depend on its parameters, so it can't learn")
        gradient = torch.autograd.grad(features.square().sum(), inputs, create_graph=twice, allow_unused=True)
    except RuntimeError as error:
        raise TrainerError(f"{label}: has no gradient: {why_in(error)}") from error
    for name, slope in zip(leaves, gradient, strict=True):
        if slope is None:
            raise TrainerError(f"{label}: its parameter {name} has no effect on the features; leave it out")
        if not slope.isfinite().all():
            raise TrainerError(f"{label}: the gradient of its parameter {name} is not finite for random pixels")
    if not twice:
        return
    try:
        # Not by torch.autograd.grad, which does not reach the error of a function that is differentiable once
        torch.stack([slope.square().sum() for slope in gradient]).sum().backward()
    except RuntimeError as error:
        raise TrainerError(
            f"{label}: has no second derivative, which order: second needs: {why_in(error)}; say order: first, or take "
            "other layers"
        ) from error


def _examine_inductive(label: str, net: Wrapped, params: Params, images: Tensor, by_support: Normalise) -> None:
    fewer, more = (net.encode(params, images[:count], by_support)[SUPPORT] for count in (SUPPORT + 1, ALL))
    if not torch.allclose(fewer, more, rtol=1e-4, atol=1e-4 * float(more.abs().max())):
        raise TrainerError(
            f"{label}: the features of a query image depend on the other query images, against batch_norm: inductive; "
            "normalise over images in nn.BatchNorm layers alone, which take the statistics of the support set"
        )
