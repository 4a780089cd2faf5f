"""A line for the log: printable, without escapes, and cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainers.log_line import log_line


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("plain\r", "plain"),
        ("10 %\r20 %\r30 %", "30 %"),
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x00\x07\x7f", "\ufffd\ufffd\ufffd"),
        ("a\tb", "a\tb"),
        ("é", "é"),
        ("x" * 3000, "x" * 2000 + "... (3000 characters)"),
        ("  \n", ""),
    ],
)
def test_a_line_for_the_log_is_printable(line, text):
    assert log_line(line) == text


@given(st.text())
def test_any_text_is_a_line_for_the_log(line):
    assert all(character.isprintable() or character == "\t" for character in log_line(line))
