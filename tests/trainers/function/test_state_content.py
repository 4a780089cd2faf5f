"""A function's state survives as bytes, to the bit, and nothing else than plain data is let in or out."""

import collections
import datetime
import json
import math
import random
import struct
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from trainers.function.state_content import UnsavableError, decode, encode


def same(a, b):
    """Whether two values are of one type and have the same bits."""
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return (
            list(a) == list(b)
            and [type(key) for key in a] == [type(key) for key in b]
            and same([*a.values()], [*b.values()])
        )
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, np.ndarray):
        flags = (a.flags.c_contiguous, a.flags.f_contiguous) == (b.flags.c_contiguous, b.flags.f_contiguous)
        return (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes()) and flags
    if isinstance(a, np.generic):
        return (a.dtype, a.tobytes()) == (b.dtype, b.tobytes())
    if isinstance(a, float):
        return struct.pack("<d", a) == struct.pack("<d", b)
    return a == b


PLAIN = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(2**200), 2**200)
    | st.floats()
    | st.text(st.characters(), max_size=8)
    | st.binary(max_size=8)
    | arrays.arrays(arrays.scalar_dtypes(), arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3))
    | arrays.from_dtype(np.dtype("f4"))
    | arrays.from_dtype(np.dtype("i8"))
)
STATES = st.dictionaries(
    st.text(max_size=5),
    st.recursive(
        PLAIN,
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.lists(inner, max_size=3).map(tuple)
            | st.dictionaries(st.text(max_size=5) | st.integers(), inner, max_size=3)
        ),
        max_leaves=6,
    ),
    max_size=4,
)


@settings(max_examples=60, deadline=None)
@given(STATES)
def test_any_state_comes_back_to_the_bit(state):
    content = encode(state)
    assert same(decode(content), state)
    assert encode(decode(content)) == content


@pytest.mark.parametrize(
    "value",
    [
        math.nan,
        -0.0,
        -math.inf,
        5e-324,
        10**5000,
        -(2**63),
        2**53 + 1,
        "\ud800\x00é",
        {1: "one", -5: "five"},
        collections.OrderedDict(b=1, a=2),
        random.Random(3).getstate(),
        np.random.default_rng(3).bit_generator.state,
        np.random.RandomState(3).get_state(),
        np.float32("nan"),
        np.str_("text"),
        np.bytes_(b""),
        np.datetime64("2026-01-02", "s"),
        np.array(["2026-01-02"], dtype="M8[D]"),
        np.array(["a", "long"]),
        np.array([1, 2], dtype=">i4"),
        np.arange(6.0).reshape(2, 3).T,
        np.zeros((0, 3)),
        np.array(1.5),
        np.arange(10)[::3],
    ],
    ids=lambda value: f"{type(value).__name__} {str(value)[:20] if not isinstance(value, int) else ''}",
)
def test_special_values_come_back_to_the_bit(value):
    found = decode(encode({"value": value}))["value"]
    assert same(
        found, np.ascontiguousarray(value) if isinstance(value, np.ndarray) and value.strides == (24,) else value
    )


def test_tensors_come_back_to_the_bit():
    torch = pytest.importorskip("torch")
    linear = torch.nn.Linear(2, 3)
    tensors = [
        torch.randn(2, 3).t(),
        torch.tensor(1.5, dtype=torch.bfloat16),
        torch.tensor([True, False]),
        torch.zeros(0, 2),
        torch.randn(2, dtype=torch.complex64),
        torch.randn(2, dtype=torch.complex64).conj(),
        torch.get_rng_state(),
        torch.randn(2, requires_grad=True),
        torch.nn.Parameter(torch.randn(2)),
        linear(torch.ones(2)),
    ]
    optimizer = torch.optim.Adam(linear.parameters())
    linear(torch.ones(2)).sum().backward()
    optimizer.step()
    state = {"tensors": tensors, "model": linear.state_dict(), "optimizer": optimizer.state_dict()}
    found = decode(encode(state))
    for a, b in zip(tensors, found["tensors"], strict=True):
        assert type(a) is type(b)
        assert (a.dtype, a.shape, a.requires_grad) == (b.dtype, b.shape, b.requires_grad)
        assert torch.equal(a.detach(), b.detach())
    linear.load_state_dict(found["model"])
    optimizer.load_state_dict(found["optimizer"])
    assert encode(state) == encode({**found, "tensors": tensors})


def test_arrays_that_come_back_can_be_changed():
    found = decode(encode({"w": np.zeros(3)}))
    found["w"] += 1
    assert found["w"].sum() == 3


class Weights(dict):
    pass


class Whole(int):
    pass


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"seen": {1, 2}}, r"state\['seen'\] is \{1, 2\}, of type builtins\.set"),
        ({"a": [0, {"b": (object,)}]}, r"state\['a'\]\[1\]\['b'\]\[0\] is <class 'object'>, of type builtins\.type"),
        ({"rng": random.Random(1)}, r"state\['rng'\] is <random\.Random .*>, of type random\.Random"),
        ({"at": datetime.date(2026, 1, 2)}, r"state\['at'\] is datetime\.date\(2026, 1, 2\), of type datetime\.date"),
        ({"w": Weights()}, r"state\['w'\] is \{\}, of type .*Weights"),
        ({"n": Whole(3)}, r"state\['n'\] is 3, of type .*Whole"),
        ({"z": 1j}, r"state\['z'\] is 1j, of type builtins\.complex"),
        ({(1, 2): 0}, r"state has the key \(1, 2\), of type tuple; a key is a text or an int"),
        ({"a": {True: 0}}, r"state\['a'\] has the key True, of type bool"),
        ({"a": np.array([object()])}, r"state\['a'\] is an array of object, which has more to it than its bytes"),
        ({"a": np.zeros(2, dtype=[("x", "f4")])}, r"state\['a'\] is an array of \[\('x', '<f4'\)\]"),
        ({"a": np.ma.masked_array([1.0])}, r"state\['a'\] is .*MaskedArray"),
    ],
)
def test_what_can_not_be_kept_is_told_with_its_place(state, message):
    with pytest.raises(UnsavableError, match=message):
        encode(state)


def test_a_state_that_holds_itself_is_told():
    state: dict = {}
    state["me"] = [state]
    with pytest.raises(UnsavableError, match=r"is deeper than 100 levels \(or holds itself\)"):
        encode(state)


def head(tree, *sizes):
    return json.dumps({"sizes": sizes, "state": tree}).encode() + b"\n"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]\n",
        b"\x80\x04.",
        b"[" * 100_000,
        head([]),
        head({"dict": []}) + b"x",
        head({"dict": [["a", {"bytes": 0}]]}, 10) + b"x",
        head({"dict": [["a", {"bytes": 1}]]}, 1) + b"x",
        head({"dict": [["a", {"bytes": -1}]]}, 1) + b"x",
        head({"dict": [["a", {"bytes": True}]]}, 1) + b"x",
        head({"dict": [["a", {"exec": "1"}]]}),
        head({"dict": [["a", {"int": "1", "float": ""}]]}),
        head({"dict": [["a", {"int": "x"}]]}),
        head({"dict": [["a", {"float": "00"}]]}),
        head({"dict": [["a", 1.5]]}),
        head({"dict": [[1.5, 1]]}),
        head({"dict": [[["a"], 1]]}),
        head({"dict": 3}),
        head({"dict": [["a", {"array": ["|O", [1], False, 0]}]]}, 8) + b"12345678",
        head({"dict": [["a", {"array": ["<f8", [2], False, 0]}]]}, 8) + b"12345678",
        head({"dict": [["a", {"array": ["<f8", [-1], False, 0]}]]}, 8) + b"12345678",
        head({"dict": [["a", {"array": ["f8,f8", [1], False, 0]}]]}, 16) + b"1234567812345678",
        head({"dict": [["a", {"array": ["<f8", [1], False]}]]}, 8) + b"12345678",
        head({"dict": [["a", {"scalar": ["|O", "00"]}]]}),
        head({"dict": [["a", {"tensor": ["nn", [1], False, 0]}]]}, 1) + b"1",
        head({"dict": [["a", {"tensor": ["float32", [1], False, 0]}]]}, 3) + b"123",
        head({"dict": [["a", {"tensor": ["int32", [1], True, 0]}]]}, 4) + b"1234",
        head({"dict": []}, "1"),
        head({"dict": []}, -1),
        head({"dict": [["a", {"array": ["<M8[zz]", [1], False, 0]}]]}, 8) + b"12345678",
        head({"dict": [["a", {"array": ["<f8", [2**40, 2**40], False, 0]}]]}, 8) + b"12345678",
    ],
)
def test_bytes_of_another_form_are_refused(content):
    with pytest.raises(ValueError, match="not the state of a function"):
        decode(content)


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=60) | STATES.map(encode).flatmap(lambda content: st.integers(0, len(content) - 1).map(
    lambda at: content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])))  # fmt: skip
def test_any_other_bytes_are_refused_or_understood(content):
    try:
        found = decode(content)
    except ValueError as error:
        assert str(error).startswith("not the state of a function")
    else:
        assert isinstance(found, dict)


def test_no_library_is_loaded_for_plain_values():
    assert "trainers.function.state_content" in sys.modules
    import subprocess

    program = (
        "import sys; from trainers.function.state_content import decode, encode; decode(encode({'a': [1, 2.5]}));"
        "assert not {'numpy', 'torch'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
