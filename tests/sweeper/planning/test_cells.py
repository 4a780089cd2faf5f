"""Axes that apply only with certain labels of others (`when:`), and single cells beside the grid (`include:`)."""

import pytest

from sweeper.errors import SweepFileError
from sweeper.planning.expand import expand
from sweeper.sweepfile.sweep import load
from tests.sweeper.tiny import TINY

GRID = """\
  zeroing: {none: {}, every step: {zero_head_every: 1}}
  zero_head_adam: [kept, reset]
"""
TABLE = "report: {tables: [{rows: [zeroing, zero_head_adam], columns: inner_steps}]}\n"


def write(folder, more: str = "", report: str = TABLE, grid: str = GRID):
    text = TINY.replace("  inner_steps: [1, 2]\n", f"  inner_steps: [1, 2]\n{grid}")
    path = folder / "cells.yaml"
    path.write_text(text[: text.index("report:")] + report + more)
    return path


def labels(specs) -> list[tuple[str, ...]]:
    return [tuple(spec.labels.values()) for spec in specs if spec.seed == 0]


def test_an_axis_applies_only_where_its_condition_holds(tmp_path) -> None:
    specs = expand(load(write(tmp_path, "when: {zero_head_adam: {zeroing: every step}}\n")))
    assert labels(specs) == [
        ("1", "none", "-"), ("1", "every step", "kept"), ("1", "every step", "reset"),
        ("2", "none", "-"), ("2", "every step", "kept"), ("2", "every step", "reset"),
    ]  # fmt: skip
    assert specs[0].name() == "strokes · inner_steps 1 · zeroing none · s0"


def test_a_condition_changes_no_id(tmp_path) -> None:
    """Each trial is the one of a grid in which the axis is not there, or is there."""
    plain = expand(load(write(tmp_path, grid="", report="report: {tables: [{rows: [], columns: inner_steps}]}\n")))
    specs = expand(load(write(tmp_path, "when: {zero_head_adam: {zeroing: every step}}\n")))
    assert {spec.trial_id for spec in plain} == {spec.trial_id for spec in specs if spec.labels["zeroing"] == "none"}


def test_a_condition_may_depend_on_an_axis_with_a_condition(tmp_path) -> None:
    grid = GRID + "  inner_lr: [0.1, 0.4]\n"
    more = "when: {inner_lr: {zero_head_adam: reset}, zero_head_adam: {zeroing: every step, inner_steps: [2]}}\n"
    report = "report: {tables: [{rows: [zeroing, zero_head_adam, inner_lr], columns: inner_steps}]}\n"
    assert labels(expand(load(write(tmp_path, more, report, grid)))) == [
        ("1", "none", "-", "-"), ("1", "every step", "-", "-"), ("2", "none", "-", "-"),
        ("2", "every step", "kept", "-"), ("2", "every step", "reset", "0.1"), ("2", "every step", "reset", "0.4"),
    ]  # fmt: skip


def test_a_claim_leaves_out_an_axis_that_does_not_apply(tmp_path) -> None:
    claim = (
        "claims: [{says: It helps., source: me, kind: effect, of: {zeroing: every step, zero_head_adam: kept}, "
        "minus: {zeroing: none}, where: {inner_steps: 1}, expected: positive}]\n"
    )
    condition = "when: {zero_head_adam: {zeroing: every step}}\n"
    (read,) = load(write(tmp_path, condition + claim)).claims
    assert read.minus.labels["zero_head_adam"] == "-"
    with pytest.raises(SweepFileError, match="axis zero_head_adam does not apply with zeroing none"):
        load(write(tmp_path, condition + claim.replace("{zeroing: none}", "{zeroing: none, zero_head_adam: kept}")))


def test_a_cell_beside_the_grid(tmp_path) -> None:
    more = (
        "when: {zero_head_adam: {zeroing: every step}}\n"
        "include: [{inner_steps: 5, zeroing: none}, "
        "{inner_steps: 1, zeroing: {rarely: {zero_head_every: 3}}}]\n"
        "profiles: {small: {matrix: {zeroing: [none]}, include: [{inner_steps: 3, zeroing: none}]}}\n"
    )
    sweep = load(write(tmp_path, more))
    assert labels(expand(sweep))[6:] == [("5", "none", "-"), ("1", "rarely", "-")]
    assert expand(sweep)[-1].field("zero_head_every") == 3
    assert labels(expand(sweep, "small")) == [("1", "none", "-"), ("2", "none", "-"), ("3", "none", "-")]


def test_an_exclusion_does_not_touch_a_cell_beside_the_grid(tmp_path) -> None:
    report = "report: {tables: [{rows: [], columns: inner_steps}]}\n"
    more = "exclude: [{inner_steps: 2}]\ninclude: [{inner_steps: 2}]\n"
    assert labels(expand(load(write(tmp_path, more, report, "")))) == [("1",), ("2",)]


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ("when: {zero_head: {zeroing: none}}", "when.zero_head: unknown axis; did you mean 'zero_head_adam'?"),
        ("when: {zeroing: {}}", "when.zeroing: names no axis; name the labels of another axis with which this one"),
        ("when: {zeroing: {zeroing: none}}", "when.zeroing.zeroing: an axis can't depend on itself; name another axis"),
        (
            "when: {zeroing: {zeroin: none}}",
            "when.zeroing.zeroin: unknown axis; choose from inner_steps, zero_head_adam",
        ),
        (
            "when: {zero_head_adam: {zeroing: [none, nine]}}",
            "when.zero_head_adam.zeroing[1]: axis zeroing has no value",
        ),
        ("when: {zero_head_adam: {zeroing: []}}", "is empty, so axis zero_head_adam would apply nowhere; name a label"),
        (
            "when: {zero_head_adam: {zeroing: none}, zeroing: {zero_head_adam: kept}}",
            "when.zero_head_adam: axes zero_head_adam, zeroing depend on each other; free one of them",
        ),
        ("include: [{}]", "include[0]: names no cell; give a value of each axis"),
        (
            "include: [{inner_steps: 3}]",
            "include[0]: gives no value of axis zeroing and zero_head_adam; a cell has one",
        ),
        ("include: [{inner_step: 3}]", "include[0].inner_step: unknown axis; did you mean 'inner_steps'?"),
        ("include: [{inner_steps: -1}]", "include[0].inner_steps: must be at least 0, got -1"),
        (
            "include: [{inner_steps: [1, 2]}]",
            "include[0].inner_steps: takes one value, got a list of 2; write an entry",
        ),
        ("include: [{zeroing: nine}]", "include[0].zeroing: axis zeroing has no value 'nine'; "),
        (
            "include: [{zeroing: {none: {}}}]",
            "include[0].zeroing.none: axis zeroing has this value; give its name alone",
        ),
        ("include: [{ways: 4}]", "include[0].ways: is not an axis; a cell is given by values of axes, and a bundled"),
        (
            "when: {zero_head_adam: {zeroing: every step}}\n"
            "include: [{inner_steps: 3, zeroing: none, zero_head_adam: kept}]",
            "include[0].zero_head_adam: axis zero_head_adam does not apply in this cell (see when); leave it out",
        ),
        (
            "when: {zero_head_adam: {zeroing: every step}}\ninclude: [{inner_steps: 2, zeroing: none}]",
            "2, none, - is a cell of this grid already; remove the entry",
        ),
    ],
)
def test_what_is_wrong_is_named(tmp_path, more, says) -> None:
    with pytest.raises(SweepFileError) as caught:
        expand(load(write(tmp_path, f"{more}\n")))
    assert says in str(caught.value)
