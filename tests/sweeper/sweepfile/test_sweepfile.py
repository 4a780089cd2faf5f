"""A sweep file means what it says; what is refused, and in which words, is in test_bad_sweeps.py."""

from functools import partial
from pathlib import Path

import pytest

from analysis.contract import question
from sweeper.errors import SweepFileError
from sweeper.planning.expand import expand
from sweeper.sweepfile.sweep import load
from tests.analysis.endpoints import endpoint_of, read_otherwise
from tests.sweeper.sweepfile.bad_sweeps import GOOD


def _complaints(path: Path) -> list[str]:
    with pytest.raises(SweepFileError) as caught:
        expand(load(path))
    assert caught.value.exit_code == 2
    lines = str(caught.value).split("\n")
    assert all(line.startswith(f"{path}:") for line in lines)
    return [line.removeprefix(f"{path}:") for line in lines]


def test_all_faults_of_a_file_are_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    text = GOOD.replace("version: 1", "version: 2").replace("[1, 2]", "[1, 1]").replace("window: 5", "window: 0")
    path.write_text(text.replace("seeds: 2\n", "seeds: 2\nseeds: 3\n"), encoding="utf-8")
    places = [line.split(": ")[1] for line in _complaints(path)]
    assert places == ["version", "matrix.inner_steps[1]", "seeds", "endpoint.window"]


def test_scalars_are_those_of_yaml_1_2(tmp_path: Path) -> None:
    path = tmp_path / "good.yaml"
    text = GOOD.replace("use: omniglot", "use: omniglot, inner_lr: 1e-3, shots: 010, queries: 5, head_bias: false")
    path.write_text(text.replace("none: {}", "no: {}").replace("[none]", "[no]"), encoding="utf-8")
    spec = expand(load(path))[0]
    assert (spec.config.inner_lr, spec.config.shots, spec.config.head_bias) == (0.001, 10, False)
    assert spec.labels["zeroing"] == "no"
    path.write_text(GOOD.replace("name: good", "name: 1_000"), encoding="utf-8")
    assert load(path).name == "1_000"


def test_a_byte_order_mark_and_foreign_line_ends_change_nothing(tmp_path: Path) -> None:
    path = tmp_path / "good.yaml"
    path.write_text(GOOD, encoding="utf-8")
    planned = expand(load(path))
    path.write_bytes(GOOD.replace("\n", "\r\n").encode("utf-8-sig"))
    assert expand(load(path)) == planned


@pytest.mark.parametrize(
    ("field", "given", "labels"),
    [
        ("inner_steps", "{range: [1, 7, 3]}", ["1", "4", "7"]),
        ("inner_steps", "{range: [3, 1, -1]}", ["3", "2", "1"]),
        ("inner_lr", "{range: [0.1, 0.4, 0.1]}", ["0.1", "0.2", "0.3", "0.4"]),
        ("inner_lr", "{linspace: [1, 2, 3]}", ["1.0", "1.5", "2.0"]),
        ("channels", "{logspace: [4, 64, 5]}", ["4", "8", "16", "32", "64"]),
        ("inner_lr", "{logspace: [0.001, 1, 4]}", ["0.001", "0.01", "0.1", "1.0"]),
        ("eval_steps", "[null, 7]", ["null", "7"]),
        ("head_bias", "[true, false]", ["true", "false"]),
        ("algorithm", "[maml, anil]", ["maml", "anil"]),
    ],
)
def test_a_plain_axis_has_these_values_ends_included(tmp_path: Path, field: str, given: str, labels: list[str]) -> None:
    path = tmp_path / "good.yaml"
    head, tail = GOOD.split("matrix:", 1)
    endpoint = tail[tail.index("endpoint:") : tail.index("report:")]
    path.write_text(f"{head}matrix: {{{field}: {given}}}\nseeds: 1\n{endpoint}", encoding="utf-8")
    (axis,) = load(path).axes
    assert [value.label for value in axis.values] == labels
    assert axis.logarithmic is ("logspace" in given)


def test_a_line_is_drawn_against_any_axis_and_along_the_logarithm_of_a_logspace(tmp_path: Path) -> None:
    path = tmp_path / "good.yaml"
    head, tail = GOOD.split("matrix:", 1)
    endpoint = tail[tail.index("endpoint:") : tail.index("report:")]
    axes = "{inner_lr: {logspace: [0.01, 1, 3]}, zeroing: {none: {}, every step: {zero_head_every: 1}}}"
    figures = "[{kind: line, x: inner_lr, hue: zeroing}, {kind: line, x: zeroing, hue: inner_lr}]"
    path.write_text(f"{head}matrix: {axes}\nseeds: 1\n{endpoint}report: {{figures: {figures}}}\n", encoding="utf-8")
    assert [(figure.kind, figure.x, figure.logarithmic) for figure in load(path).figures] == [
        ("line", "inner_lr", True),
        ("line", "zeroing", False),
    ]


def test_endpoint_and_report_are_read_as_the_tracked_contract_has_them(tmp_path: Path) -> None:
    path = tmp_path / "good.yaml"
    path.write_text(GOOD.replace("at: last", "at: [20, 300]"), encoding="utf-8")
    sweep = load(path)
    assert sweep.endpoint == endpoint_of("test_accuracy", head="zeroed", steps="inner_steps", at=(20, 300), window=5)
    assert sweep.tables == (question.TableSpec(rows=("zeroing",), columns="inner_steps"),)
    assert sweep.figures == (question.FigureSpec(kind="inner_steps", x="inner_steps", hue="zeroing", facets=()),)


def test_an_axis_that_only_a_profile_widens_must_be_named_in_the_report(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    text = GOOD.replace("  zeroing:\n", "  ways: [5]\n  zeroing:\n").replace("inner_steps: [4]", "ways: [5, 10]")
    path.write_text(text, encoding="utf-8")
    assert [line.split(" and is")[0] for line in _complaints(path)] == [
        "17:12: report.tables[0]: axis ways has 2 values",
        "18:13: report.figures[0]: axis ways has 2 values",
    ]


CLAIMS = """\
claims:
  - says: The zeroing trick lifts the accuracy.
    source: Fig. 4
    kind: effect
    of: {zeroing: every step}
    minus: {zeroing: none}
    where: {inner_steps: 4, at: [20]}
    expected: positive
  - says: With it, more inner steps no longer matter.
    source: Fig. 4
    kind: equivalence
    of: {inner_steps: 2}
    minus: {inner_steps: 1, test_head: trained}
    where: {zeroing: every step}
    reference: {zeroing: none}
    primary: false
  - says: Without it, they matter more than with it.
    source: Fig. 4
    kind: interaction
    of: {inner_steps: 2}
    minus: {inner_steps: 1}
    between: [{zeroing: none}, {zeroing: every step}]
    expected: positive
"""


def _side(endpoint: question.Endpoint, inner_steps: str, zeroing: str, **changed: object) -> question.Side:
    return question.Side(
        labels={"inner_steps": inner_steps, "zeroing": zeroing}, endpoint=read_otherwise(endpoint, **changed)
    )


def test_a_claim_is_two_cells_with_what_is_read_of_each(tmp_path: Path) -> None:
    path = tmp_path / "good.yaml"
    path.write_text(GOOD.replace("report:", f"paper: Fig. 4\n{CLAIMS}report:"), encoding="utf-8")
    sweep = load(path)
    effect, equivalence, interaction = sweep.claims
    side = partial(_side, sweep.endpoint)
    assert (effect.of, effect.minus) == (side("4", "every step", at=(20,)), side("4", "none", at=(20,)))
    assert (effect.less, effect.reference, effect.expected, effect.primary) == (None, None, "positive", True)
    assert equivalence.minus == side("1", "every step", head="trained")
    assert equivalence.reference == (side("2", "none"), side("1", "none", head="trained"))
    assert (equivalence.expected, equivalence.primary) == (None, False)
    assert (interaction.of, interaction.minus) == (side("2", "none"), side("1", "none"))
    assert interaction.less == (side("2", "every step"), side("1", "every step"))


def test_a_table_may_read_something_else_than_the_endpoint(tmp_path: Path) -> None:
    path = tmp_path / "good.yaml"
    path.write_text(
        GOOD.replace("columns: inner_steps}", "columns: inner_steps, head: trained, window: 1}"), encoding="utf-8"
    )
    sweep = load(path)
    (table,), (figure,) = sweep.tables, sweep.figures
    assert table.endpoint == read_otherwise(sweep.endpoint, head="trained", window=1)
    assert figure.endpoint is None
