"""Reads a pickle of plain values and numeric arrays without running any code that it names.

A pickle may name any importable callable. The few that numpy's arrays need are replaced by the stand-ins below, which
only store their arguments; every other name is an error.
"""

import io
import pickle
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from trainers.data.archives import DataError, damaged, unreadable
from trainers.regular_file import require_regular

_NUMERIC = re.compile(r"[<>|=]?([biuf][1248])")


def read(path: Path) -> Any:
    """Return the object in `path`; arrays, alone or inside dicts and lists, come back as numpy arrays.

    Raises DataError if the pickle is damaged or names anything but plain values and numeric arrays.
    """
    try:
        require_regular(path)
        with path.open("rb") as file:
            return _numpy(_PlainUnpickler(file, path).load())
    except OSError as error:
        raise unreadable(path, error) from None
    except (
        pickle.UnpicklingError,
        EOFError,
        ValueError,
        TypeError,
        AttributeError,
        LookupError,
        RecursionError,
        OverflowError,
        MemoryError,
    ) as error:
        raise damaged(path, f"not a readable pickle of plain arrays ({error})") from None


_BYTE_ORDERS: Mapping[str, Literal["<", ">", "=", "|"]] = {"<": "<", ">": ">", "=": "="}


class _Dtype:
    """Stands in for numpy.dtype: a boolean, integer or float of 1 to 8 bytes."""

    def __init__(self, code: str, *_: Any) -> None:
        numeric = _NUMERIC.fullmatch(code)
        if numeric is None:
            raise ValueError(f"dtype {code!r} is not numeric")
        self.numpy = np.dtype(numeric[1])

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.numpy = self.numpy.newbyteorder(_BYTE_ORDERS.get(state[1], "|"))


class _Array:
    """Stands in for numpy.ndarray and for what rebuilds one."""

    def __init__(self, *_: Any) -> None:
        self.numpy: NDArray[Any] = np.zeros(0)

    def __setstate__(self, state: tuple[Any, tuple[int, ...], _Dtype, bool, bytes | str]) -> None:
        _, shape, dtype, fortran, raw = state
        data = raw.encode("latin1") if isinstance(raw, str) else raw  # a str comes from Python 2
        self.numpy = np.frombuffer(data, dtype.numpy).reshape(shape, order="F" if fortran else "C")


def _from_buffer(buffer: bytes, dtype: _Dtype, shape: tuple[int, ...], order: str) -> _Array:
    array = _Array()
    array.__setstate__((1, shape, dtype, order == "F", buffer))
    return array


def _scalar(dtype: _Dtype, raw: bytes | str) -> int | float:
    data = raw.encode("latin1") if isinstance(raw, str) else raw
    return np.frombuffer(data, dtype.numpy)[0].item()


def _encode(text: str, encoding: str) -> bytes:
    if encoding != "latin1":  # how protocol 2 spells bytes
        raise ValueError(f"encoding {encoding!r}")
    return text.encode("latin1")


_STAND_INS: dict[tuple[str, str], Callable[..., Any]] = {
    ("numpy", "dtype"): _Dtype,
    ("numpy", "ndarray"): _Array,
    ("_codecs", "encode"): _encode,
    **{(f"numpy.{core}.multiarray", "_reconstruct"): _Array for core in ("core", "_core")},
    **{(f"numpy.{core}.multiarray", "scalar"): _scalar for core in ("core", "_core")},
    **{(f"numpy.{core}.numeric", "_frombuffer"): _from_buffer for core in ("core", "_core")},
}


class _PlainUnpickler(pickle.Unpickler):
    def __init__(self, file: io.BufferedIOBase, path: Path) -> None:
        super().__init__(file, encoding="latin1")
        self._path = path

    def find_class(self, module: str, name: str) -> Callable[..., Any]:
        if (module, name) not in _STAND_INS:
            raise DataError(
                f"{self._path}: this pickle asks to run {module}.{name}, which no array needs; nothing was run; get "
                "the file from a source that you trust"
            )
        return _STAND_INS[module, name]


def _numpy(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _numpy(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_numpy(inner) for inner in value]
    return value.numpy if isinstance(value, _Array) else value
