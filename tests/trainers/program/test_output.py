"""Lines of a program: put together from pieces, and told apart."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainers.program.output import LONGEST_LINE, Lines, step_line


@given(st.lists(st.binary(max_size=20), max_size=10))
def test_pieces_become_the_lines_of_the_whole(pieces):
    lines = Lines()
    found = [line for piece in pieces for line in lines.feed(piece)]
    assert [*found, lines.rest()] == b"".join(pieces).split(b"\n")


def test_a_line_of_megabytes_is_cut():
    lines = Lines()
    found = [line for _ in range(40) for line in lines.feed(b"x" * 100_000)]
    found += lines.feed(b"\nnext\n")
    assert found == [b"x" * LONGEST_LINE + f" ... ({4_000_000 - LONGEST_LINE} more bytes)".encode(), b"next"]


def test_a_json_line_says_its_step_and_values():
    assert step_line(b' {"step": 3, "loss": 0.5, "checkpoint": "3"}\r') == (3, {"loss": 0.5}, "3", False)
    assert step_line(b'{"step": "x", "diverged": "why"}') == ("x", {}, None, "why")
    assert math.isnan(step_line(b'{"step": 1, "loss": NaN}').values["loss"])


@pytest.mark.parametrize(
    "line",
    [b"", b"epoch 3", b"{}", b"[1]", b'{"loss": 1}', b'{"step": 1', b"{'step': 1}", b"{" * 10_000 + b"}" * 10_000,
     b'{"step": 1} {"step": 2}', b'\xff{"step": 1}', b'{"step": \xff}'],
)  # fmt: skip
def test_any_other_line_is_text(line):
    assert step_line(line) is None


@given(st.dictionaries(st.text(max_size=5), st.none() | st.integers() | st.text(max_size=3)), st.integers())
def test_any_mapping_with_a_step_is_a_json_line(values, step):
    found = step_line(json.dumps({**values, "step": step}).encode())
    assert found.step == step
