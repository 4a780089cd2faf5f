import csv
import io

import pytest

from analysis.pages.contents import Section, TextTable, split_number
from analysis.pages.markup import csv_table, markdown_section, markdown_table
from tests.analysis.pages.sample_tables import ACCURACIES


@pytest.mark.parametrize(
    ("text", "number", "rest"),
    [
        ("83.4 ± 1.2 (2 of 3)", "83.4", " ± 1.2 (2 of 3)"),
        ("+3.1 ± 0.8 (n = 4)", "+3.1", " ± 0.8 (n = 4)"),
        ("−3.1", "−3.1", ""),
        ("17,500", "17,500", ""),
        ("5.4 %", "5.4", " %"),
        ("- (n = 0)", "-", " (n = 0)"),
        ("-", "-", ""),
        ("", "", ""),
        ("<0.001", "", "<0.001"),
        ("1e-05", "", "1e-05"),
        ("5-way", "", "5-way"),
        ("1, 2", "", "1, 2"),
        ("2026-11-23", "", "2026-11-23"),
        ("-ish", "", "-ish"),
    ],
)
def test_a_cell_splits_after_the_number_it_begins_with(text: str, number: str, rest: str) -> None:
    assert split_number(text) == (number, rest)


def test_a_title_over_columns_is_said_in_each_head_of_markdown() -> None:
    assert markdown_table(ACCURACIES).splitlines()[2:4] == [
        "| task | zeroing | inner steps 1 | inner steps 5 |",
        "| --- | --- | ---: | ---: |",
    ]


def test_a_section_is_paragraphs_then_items_then_tables() -> None:
    table = TextTable(caption="Cap.", heads=("a",), rows=(("1|2",),))
    section = Section(title="T", paragraphs=("P <b>.",), items=("one", "two"), tables=(table,))
    assert markdown_section(section) == ("## T\n\nP \\<b>.\n\n- one\n- two\n\nCap.\n\n| a |\n| --- |\n| 1\\|2 |\n")


def test_no_cell_of_a_text_table_starts_a_formula() -> None:
    table = TextTable(caption="", heads=("=h", "d"), rows=(("=cmd", "-3.1"), ("@x", "+3.1 ± 0.8"), ("-", "")))
    assert list(csv.reader(io.StringIO(csv_table(table)))) == [
        ["'=h", "d"],
        ["'=cmd", "-3.1"],
        ["'@x", "'+3.1 ± 0.8"],
        ["'-", ""],
    ]


@pytest.mark.parametrize("first", list("=+-@\t\r"))
def test_no_cell_starts_a_formula_and_numbers_stay_numbers(first: str) -> None:
    numbers = ["-0.5", "+0.5", "-1e-05", "-3"]
    table = TextTable(
        caption="",
        heads=(f"{first}h",),
        rows=((f"{first}cmd|' /C calc'!A0",), (f"x\r{first}cmd",), *((n,) for n in numbers)),
    )
    head, cell, second, *rest = csv.reader(io.StringIO(csv_table(table), newline=""))
    assert (head[0][0], cell[0][0]) == ("'", "'")
    assert second[0].startswith("x ")
    assert [row[0] for row in rest] == numbers
