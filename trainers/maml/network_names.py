"""The names that `network:` takes: of the networks that ship, or of a function of one's own. Imports no code.

A function is `file.py:FUNCTION`, in a file beside the sweep file, or `package.module:FUNCTION`.
"""

import difflib
import re
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import AfterValidator, BaseModel, WithJsonSchema

CONV4 = ("conv4_strided", "conv4_pooled")
SHIPPED = (*CONV4, "resnet12", "mlp")
ORDERED = (*CONV4, "mlp")
"""The networks in which `net_order` says whether batch norm or the ReLU comes first."""

_OWN = "one of your own is `file.py:FUNCTION` beside the sweep file, or `package.module:FUNCTION`"
_MODULE = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")
_LONGEST = 250

Config = TypeVar("Config", bound=BaseModel)


def is_own(network: str) -> bool:
    """Return whether `network` names a function of the user's own."""
    return ":" in network


def checked_name(network: str) -> str:
    """Return `network` if it is the name of a network or of a function. Raises ValueError."""
    if network in SHIPPED:
        return network
    place, colon, function = network.rpartition(":")
    if not colon:
        near = difflib.get_close_matches(network, SHIPPED, n=1, cutoff=0.6)
        hint = f"did you mean {near[0]!r}?" if near else f"choose from {', '.join(SHIPPED)}"
        if network.endswith(".py"):
            hint = f"name the function in it, as in {network}:FUNCTION"
        raise ValueError(f"unknown network {network!r}; {hint} ({_OWN})")
    if not function.isidentifier():
        raise ValueError(f"network {network!r}: {function!r} is no name of a function; {_OWN}")
    is_file = place.endswith(".py") and place.isprintable() and place == place.strip()
    if not (is_file or _MODULE.fullmatch(place)):
        raise ValueError(f"network {network!r}: {place!r} is neither a Python file nor a module; {_OWN}")
    if len(network) > _LONGEST:
        raise ValueError(f"network {network[:40]!r}...: has {len(network)} characters; at most {_LONGEST} are allowed")
    return network


def short_name(network: str) -> str:
    """Return `network` without the folders of its file."""
    place, _, function = network.rpartition(":")
    return f"{Path(place).name}:{function}" if place.endswith(".py") else network


NetworkName = Annotated[
    str,
    AfterValidator(checked_name),
    WithJsonSchema({"anyOf": [{"enum": list(SHIPPED)}, {"type": "string", "pattern": r"^.+:[^\W\d]\w*$"}]}),
]
DESCRIPTION = (
    "Conv-4 with strides (Omniglot) or with 2x2 max-pooling (mini-ImageNet), ResNet-12, a multilayer perceptron, or a "
    "function of your own: file.py:FUNCTION or package.module:FUNCTION"
)


def located(config: Config, folder: str) -> Config:
    """Return `config` with the path of its network's file, seen from `folder`, if that file is the user's own."""
    network: str = getattr(config, "network")  # noqa: B009, two models have this field
    place, colon, function = network.rpartition(":")
    if not colon or not folder or not place.endswith(".py"):
        return config
    return config.model_copy(update={"network": f"{Path(folder, place)}:{function}"})
