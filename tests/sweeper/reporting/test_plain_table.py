"""A report's table in a terminal: numbers below each other, lines that fit, and every cell still there."""

import pytest

from analysis.pages.contents import TextTable
from sweeper.reporting.plain_table import plain_table

TABLE = TextTable(
    caption="Test accuracy in percent.",
    heads=("zeroing", "1", "10"),
    rows=(("none", "7.5", "60.1 ± 1.2 (2 of 3)"), ("every step", "57.7", "-")),
    numeric=(1, 2),
    over="inner steps",
    notes=("± is half the 95 % interval over seeds.",),
)


def test_columns_are_aligned_and_numbers_end_below_each_other():
    assert plain_table(TABLE) == "\n".join(
        [
            "Test accuracy in percent.",
            "",
            "            inner steps",
            "zeroing        1    10",
            "----------  ----  -------------------",
            "none         7.5  60.1 ± 1.2 (2 of 3)",
            "every step  57.7     -",
            "",
            "± is half the 95 % interval over seeds.",
        ]
    )


@pytest.mark.parametrize("width", [40, 60, 80])
def test_a_wide_table_becomes_blocks_that_fit_and_each_names_its_rows(width):
    heads = tuple(str(number) for number in range(30))
    rows = tuple(
        (name, *(f"{number + 10}.{row}" for number in range(30))) for row, name in enumerate(("first", "second"))
    )
    wide = TextTable(caption="A caption. " * 20, heads=("axis", *heads), rows=rows, numeric=tuple(range(1, 31)))
    lines = plain_table(wide, width).splitlines()
    assert max(map(len, lines)) <= width
    for row, name in enumerate(("first", "second")):
        values = [cell for line in lines if line.startswith(name) for cell in line.split()[1:]]
        assert values == [f"{number + 10}.{row}" for number in range(30)]


def test_a_table_of_text_alone_and_one_without_rows_are_printed_too():
    assert plain_table(TextTable(caption="Words.", heads=("a", "b"), rows=(("x", "yy"),))).splitlines()[2:] == [
        "a  b",
        "-  --",
        "x  yy",
    ]
    assert plain_table(TextTable(caption="None.", heads=("a",), rows=())) == "None.\n\na\n-"
