"""A function's state as bytes and back, to the bit and without pickle: one line of JSON, then the raw arrays.

Plain values, lists, tuples and mappings become tagged JSON; the content of arrays, tensors and bytes follows the line.
"""

import json
import struct
import sys
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

from trainers.fields import shown

DEEPEST = 100
"""Levels of lists and mappings in each other."""
_SMALL = 2**53
"""From here on JSON's numbers may be read inexactly; larger ones are kept in hexadecimal."""
_ARRAYS = "biufcmMSU"
"""The kinds of numpy types whose bytes are all there is to them."""


_MALFORMED = (
    ValueError, TypeError, LookupError, AttributeError, RecursionError, OverflowError, RuntimeError, struct.error
)  # fmt: skip
"""What json, struct, numpy and torch raise for bytes that `encode` has not written."""


class UnsavableError(Exception):
    """A value that has no place in a state; `path` leads to it."""

    def __init__(self, path: str, why: str) -> None:
        super().__init__(f"{path} {why}")


def encode(state: Mapping[str, Any]) -> bytes:
    """Return `state` as bytes. Raises UnsavableError that names the place of what can't be kept."""
    blobs: list[bytes] = []
    tree = _tree(state, "state", blobs, 0)
    head = json.dumps({"sizes": [len(blob) for blob in blobs], "state": tree}, allow_nan=False)
    return b"".join([head.encode(), b"\n", *blobs])


def decode(content: bytes) -> dict[str, Any]:
    """Return the state that `encode` was given. Raises ValueError for what it did not write."""
    head, _, rest = content.partition(b"\n")
    try:
        found = json.loads(head)
        blobs, at = [], 0
        for size in found["sizes"]:
            if not isinstance(size, int) or not 0 <= size <= len(rest) - at:
                raise ValueError("a part of it is missing")
            blobs.append(rest[at : at + size])
            at += size
        if at != len(rest):
            raise ValueError("it is longer than its first line says")
        state = _value(found["state"], blobs, 0)
    except _MALFORMED as error:
        raise ValueError(f"not the state of a function ({error})") from None
    if not isinstance(state, dict):
        raise ValueError("not the state of a function (it is no mapping)")
    return state


def _tree(value: Any, path: str, blobs: list[bytes], level: int) -> Any:
    """Return `value` as tagged JSON, and put its bytes into `blobs`."""
    if level > DEEPEST:
        raise UnsavableError(path, f"is deeper than {DEEPEST} levels (or holds itself)")
    kind = type(value)
    if value is None or kind is bool or kind is str:
        return value
    if kind is int:
        return value if -_SMALL < value < _SMALL else {"int": hex(value)}
    if kind is float:
        return {"float": struct.pack("<d", value).hex()}
    if kind is bytes:
        return {"bytes": _put(blobs, value)}
    if kind is list:
        return [_tree(entry, f"{path}[{index}]", blobs, level + 1) for index, entry in enumerate(value)]
    if kind is tuple:
        return {"tuple": [_tree(entry, f"{path}[{index}]", blobs, level + 1) for index, entry in enumerate(value)]}
    if kind is dict or kind is OrderedDict:
        entries = [
            [_key(key, path), _tree(entry, f"{path}[{key!r}]", blobs, level + 1)] for key, entry in value.items()
        ]
        return {"dict" if kind is dict else "ordered": entries}
    special = _array(value, path, blobs) or _tensor(value, path, blobs)
    if special is None:
        raise UnsavableError(path, f"is {shown(value)}, of type {kind.__module__}.{kind.__qualname__}")
    return special


def _key(key: Any, path: str) -> Any:
    if type(key) is str:
        return key
    if type(key) is int:
        return {"int": hex(key)}
    raise UnsavableError(path, f"has the key {shown(key)}, of type {type(key).__name__}; a key is a text or an int")


def _put(blobs: list[bytes], content: bytes) -> int:
    blobs.append(content)
    return len(blobs) - 1


def _array(value: Any, path: str, blobs: list[bytes]) -> Any:
    numpy = sys.modules.get("numpy")
    if numpy is None or not (type(value) is numpy.ndarray or isinstance(value, numpy.generic)):
        return None
    if value.dtype.kind not in _ARRAYS:
        raise UnsavableError(path, f"is an array of {value.dtype}, which has more to it than its bytes")
    if isinstance(value, numpy.generic):
        return {"scalar": [value.dtype.str, value.tobytes().hex()]}
    if not value.dtype.itemsize:
        raise UnsavableError(path, f"is an array of {value.dtype}, whose entries have no bytes")
    by_columns = bool(value.flags.f_contiguous and not value.flags.c_contiguous)
    content = value.tobytes(order="F" if by_columns else "C")
    return {"array": [value.dtype.str, list(value.shape), by_columns, _put(blobs, content)]}


def _tensor(value: Any, path: str, blobs: list[bytes]) -> Any:
    torch = sys.modules.get("torch")
    if torch is None or type(value) not in (torch.Tensor, torch.nn.Parameter):
        return None
    if value.layout != torch.strided or value.is_quantized:
        raise UnsavableError(path, f"is a tensor of layout {value.layout}; keep it dense")
    plain = value.detach().cpu().resolve_conj().resolve_neg().contiguous()
    content = plain.reshape(-1).view(torch.uint8).numpy().tobytes() if plain.numel() else b""
    tag = "parameter" if type(value) is torch.nn.Parameter else "tensor"
    dtype = str(plain.dtype).removeprefix("torch.")
    return {tag: [dtype, list(plain.shape), bool(value.requires_grad), _put(blobs, content)]}


def _value(tree: Any, blobs: list[bytes], level: int) -> Any:
    if level > DEEPEST:
        raise ValueError("it is too deep")
    if isinstance(tree, list):
        return [_value(entry, blobs, level + 1) for entry in tree]
    if not isinstance(tree, dict):
        if isinstance(tree, float):
            raise ValueError("a float is not in hexadecimal")
        return tree
    ((tag, given),) = tree.items()
    return _READERS[tag](given, blobs, level + 1)


def _mapping(given: Any, blobs: list[bytes], level: int) -> dict[Any, Any]:
    found = {}
    for key, entry in given:
        name = int(key["int"], 16) if isinstance(key, dict) else key
        if not isinstance(name, str | int):
            raise ValueError("a key is neither a text nor an int")
        found[name] = _value(entry, blobs, level)
    return found


def _scalar(given: Any, blobs: list[bytes], level: int) -> Any:
    name, digits = given
    if _dtype(name).itemsize == 0:  # an empty text
        return _dtype(name).type()
    return _from_bytes(name, bytes.fromhex(digits))[0]


def _dtype(name: Any) -> Any:
    import numpy

    if not isinstance(name, str) or len(name) > 32:
        raise ValueError("a type of an array is unknown")
    dtype = numpy.dtype(name)
    if dtype.kind not in _ARRAYS:
        raise ValueError(f"an array of {dtype}")
    return dtype


def _from_bytes(name: Any, content: bytes) -> Any:
    import numpy

    return numpy.frombuffer(content, dtype=_dtype(name)).copy()


def _read_array(given: Any, blobs: list[bytes], level: int) -> Any:
    name, shape, by_columns, index = given
    return _from_bytes(name, blobs[_index(index)]).reshape(_shape(shape), order="F" if by_columns else "C")


def _read_tensor(given: Any, blobs: list[bytes], level: int) -> Any:
    import torch

    name, shape, requires_grad, index = given
    dtype = getattr(torch, name) if isinstance(name, str) else None
    if not isinstance(dtype, torch.dtype):
        raise ValueError("a type of a tensor is unknown")
    content = bytearray(blobs[_index(index)])
    flat = torch.frombuffer(content, dtype=torch.uint8).view(dtype) if content else torch.empty(0, dtype=dtype)
    found = flat.reshape(_shape(shape)).clone()
    return found.requires_grad_() if requires_grad else found


def _read_parameter(given: Any, blobs: list[bytes], level: int) -> Any:
    import torch

    found = _read_tensor([*given[:2], False, given[3]], blobs, level)
    return torch.nn.Parameter(found, requires_grad=bool(given[2]))


def _shape(shape: Any) -> tuple[int, ...]:
    if not isinstance(shape, list) or not all(type(extent) is int and extent >= 0 for extent in shape):
        raise ValueError("a shape is no list of counts")
    return tuple(shape)


def _index(index: Any) -> int:
    if type(index) is not int or index < 0:
        raise ValueError("a part of it is not where it should be")
    return index


def _float(given: Any, blobs: list[bytes], level: int) -> float:
    (value,) = struct.unpack("<d", bytes.fromhex(given))
    return float(value)


_READERS: Mapping[str, Callable[[Any, list[bytes], int], Any]] = {
    "int": lambda given, blobs, level: int(given, 16),
    "float": _float,
    "bytes": lambda given, blobs, level: blobs[_index(given)],
    "tuple": lambda given, blobs, level: tuple(_value(entry, blobs, level) for entry in given),
    "dict": _mapping,
    "ordered": lambda given, blobs, level: OrderedDict(_mapping(given, blobs, level)),
    "scalar": _scalar,
    "array": _read_array,
    "tensor": _read_tensor,
    "parameter": _read_parameter,
}
