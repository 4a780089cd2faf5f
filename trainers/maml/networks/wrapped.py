"""A torch.nn.Module as a pure function of its parameters, with batch norm by the statistics of the given images.

Its batch norm layers become layers of one parameter for scale and one for shift, under the same names, that call the
normalisation of the moment. Runs no inner loop. `examined` looks for what a module keeps or draws between calls.
"""

import traceback
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd
from torch.nn.parameter import is_lazy

from trainers.fields import shown
from trainers.maml.networks.normalisation import native_norm, normalised
from trainers.maml.networks.signature import Normalise, Params
from trainers.trainer import TrainerError

_PLAIN = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)
_OWN_FORWARDS = frozenset(kind.forward for kind in _PLAIN)
_PLACES = (Path(str(torch.__file__)).parent, Path(__file__).parents[2])
HEAD = "head"
"""The layer that every network gets; an encoder may have none of this name."""


class _Now:
    """What the layers of one module normalise with at this moment."""

    normalise: Normalise | None = None


class GivenNorm(nn.Module):
    """Stands in for a batch norm: normalises by the statistics of the given images, or as the caller says."""

    weight: nn.Parameter | None
    bias: nn.Parameter | None

    def __init__(self, layer: _BatchNorm) -> None:
        super().__init__()
        self.channels = layer.num_features
        self.eps = layer.eps
        self.register_parameter("weight", layer.weight)
        self.register_parameter("bias", layer.bias)
        self.now = _Now()

    def forward(self, x: Tensor) -> Tensor:
        scale = x.new_ones(self.channels) if self.weight is None else self.weight
        shift = x.new_zeros(self.channels) if self.bias is None else self.bias
        normalise = self.now.normalise or self._alone
        return normalise(x, scale, shift) if x.dim() == 4 else normalised(normalise, x, scale, shift)

    def _alone(self, x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        return native_norm(x, scale, shift, eps=self.eps)


def prepared(label: str, module: Any, images: Tensor, eps: float) -> nn.Module:
    """Return `module` with its batch norms replaced, after a look at each of its layers.

    A lazy layer gets its shape from `images`. Raises TrainerError for what is no module, or can't be a function.
    """
    if not isinstance(module, nn.Module):
        raise TrainerError(f"{label}: must return a torch.nn.Module, got {shown(module)}")
    if any(is_lazy(value) for value in [*module.parameters(), *module.buffers()]):
        with torch.no_grad():
            called(label, module, images)
    for name, layer in module.named_modules():
        if isinstance(layer, _DropoutNd) and layer.p > 0:
            raise TrainerError(
                f"{label}: its layer {name or 'itself'} is {type(layer).__name__}, which draws random numbers at each "
                "call, so that inner steps have no loss in common; leave it out"
            )
    module, now = _without_running_statistics(module), _Now()
    for name, layer in module.named_modules():
        if isinstance(layer, GivenNorm):
            layer.now = now
            if layer.eps != eps:
                raise TrainerError(
                    f"{label}: its batch norm {name or 'itself'} has eps {layer.eps:g}, and bn_eps is {eps:g}; give "
                    "both the same value"
                )
    taken = [name for name, _ in module.named_parameters() if name.partition(".")[0] == HEAD]
    if taken:
        raise TrainerError(
            f"{label}: its parameter {taken[0]} has the name of the linear head that every network gets; give the "
            "layer another name, or leave it out if it is a classifier"
        )
    if not any(value.requires_grad for value in module.parameters()):
        raise TrainerError(f"{label}: its module has no parameters that are trained, so there is no encoder to learn")
    return module.train()


def _without_running_statistics(module: nn.Module) -> nn.Module:
    made: dict[int, GivenNorm] = {}

    def given(layer: nn.Module) -> nn.Module:
        if not (isinstance(layer, _PLAIN) and type(layer).forward in _OWN_FORWARDS):
            return layer
        return made.setdefault(id(layer), GivenNorm(layer))

    for parent in list(module.modules()):
        for name, child in parent._modules.items():  # named_children leaves out a layer that has two names
            if child is not None:
                parent._modules[name] = given(child)
    return given(module)


def called(label: str, module: nn.Module, images: Tensor) -> Any:
    """Return what `module` gives for `images`. Raises TrainerError with what it raises."""
    try:
        return module(images)
    except Exception as error:
        raise TrainerError(f"{label}: it fails on {_described(images)}: {why_in(error)}") from error


def _described(images: Tensor) -> str:
    count, *shape = images.shape
    return f"{count} images of {' x '.join(map(str, shape))}"


class Wrapped:
    """A prepared module as a function; `features` is D, `names` are the parameters that it is a function of."""

    def __init__(self, label: str, module: nn.Module, images: Tensor, device: str) -> None:
        """Try `module` on `images`. Raises TrainerError if it does not give features (B, D)."""
        self.names = tuple(name for name, value in module.named_parameters() if value.requires_grad)
        self.module = module
        self._now = next((layer.now for layer in module.modules() if isinstance(layer, GivenNorm)), _Now())
        with torch.no_grad():
            given = called(label, module, images.clone())
        self.features = _feature_count(label, given, images)
        self.module.to(device)

    def encode(self, params: Params, images: Tensor, normalise: Normalise) -> Tensor:
        """Return the features (B, D) of `images` (B, C, H, W) under `params`, normalised as one batch."""
        own = {name: params[name] for name in self.names}
        self._now.normalise = normalise
        try:
            return functional_call(self.module, own, (images,))
        finally:
            self._now.normalise = None


def _feature_count(label: str, given: Any, images: Tensor) -> int:
    count = len(images)
    wanted = f"{label}: must give features of shape (images, features) for {_described(images)}"
    if not isinstance(given, Tensor):
        raise TrainerError(f"{wanted}, got {shown(given)}")
    if given.dim() != 2 or given.shape[0] != count or not given.shape[1]:
        hint = "; end it with nn.Flatten()" if given.dim() > 2 and given.shape[0] == count else ""
        raise TrainerError(f"{wanted}, got the shape {tuple(given.shape)}{hint}")
    if given.dtype != images.dtype:
        raise TrainerError(f"{wanted} and dtype {images.dtype}, got {given.dtype}; convert nothing to another dtype")
    if not given.isfinite().all():
        raise TrainerError(f"{label}: gives features that are not finite for {_described(images)} of random pixels")
    return given.shape[1]


def why_in(error: BaseException) -> str:
    """Return an error in one line, with the last line of code that it comes from, outside torch and this project."""
    frames = traceback.extract_tb(error.__traceback__)
    outside = [frame for frame in frames if not any(Path(frame.filename).is_relative_to(place) for place in _PLACES)]
    at = "".join(f" ({Path(frame.filename).name}, line {frame.lineno})" for frame in (outside or frames)[-1:])
    text = " ".join(str(error).split())
    return f"{type(error).__name__}{f': {text}' if text else ''}{at}"
