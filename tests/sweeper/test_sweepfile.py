"""A sweep file means what it says or is refused, with every reason and its place."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sweeper import schema
from sweeper.errors import SweepFileError
from sweeper.plan import expand
from sweeper.sweepfile import load

GOOD = """\
version: 1
name: good
question: Does it fail well?
fixed: {use: omniglot, eval_steps: null}
matrix:
  inner_steps: [1, 2]
  zeroing:
    none: {}
    every step: {zero_head_every: 1}
exclude: []
seeds: 2
profiles:
  smoke: {fixed: {outer_steps: 20}, matrix: {zeroing: [none], inner_steps: [4]}, seeds: 1}
endpoint: {metric: test_accuracy, head: zeroed, steps: inner_steps, at: last, window: 5}
report:
  tables: [{rows: [zeroing], columns: inner_steps}]
  figures: [{kind: inner_steps, x: inner_steps, hue: zeroing}]
"""

AVERAGED = "name it, or they would be averaged"
BELOW_DEPTH = "[" * 15 + "1" + "]" * 15

BAD = [
    # The file itself.
    (GOOD, "", "1:1: empty; a sweep file begins with version: 1"),
    (GOOD, "# nothing\n", "1:1: empty; a sweep file begins with version: 1"),
    (GOOD, "- a\n", "1:1: must be a mapping, got a list of 1"),
    ("  inner_steps:", "\tinner_steps:", "6:1: a tab; indent with spaces"),
    ("question: Does", "question: [Does", "4:6: not YAML: expected ',' or ']', but got ':'"),
    ("question: Does", "question: \x07Does", "3:11: character U+0007 is not allowed in YAML; remove it"),
    ("name: good", "name: good\nname: worse", "3:1: name: duplicate key, first given on line 2; keep one"),
    (
        "columns: inner_steps}",
        "columns: inner_steps, columns: a}",
        "16:52: report.tables[0].columns: duplicate key, first given on line 16; keep one",
    ),
    ("seeds: 2\n", "seeds: &a 2\n", "11:8: anchors and aliases (& and *) are not used here; write the value out"),
    ("seeds: 2\n", "seeds: !!int 2\n", "11:8: tag tag:yaml.org,2002:int: tags are not used here; remove it"),
    ("hue: zeroing}]\n", "hue: zeroing}]\n---\na: 1\n", "18:1: a second document; one file is one sweep"),
    ("[1, 2]", BELOW_DEPTH, "6:27: nested deeper than 12 levels"),
    ("seeds: 2", f"seeds: {10**20}", "11:8: '100000000000000000000': a whole number beyond 64 bits"),
    # The form.
    ("version: 1", "version: 2", "1:10: version: must be 1, got 2"),
    ("name: good", "name: Good one", "2:7: name: must be 1 to 64 of a-z, 0-9, _ and -, got 'Good one'"),
    ("report:", "reports:", "15:1: reports: unknown key; did you mean 'report'?"),
    ("exclude: []", "shots: 2", "10:1: shots: a trial's field is given in fixed or in matrix, not at the top"),
    ("seeds: 2\n", "", "1:1: seeds: required and not given (a count, or a list of seeds)"),
    ("seeds: 2\n", "seeds: 0\n", "11:8: seeds: must be a count from 1, or a list of whole numbers from 0, got 0"),
    ("seeds: 2\n", "seeds: [1, 1]\n", "11:8: seeds: seed 1 is given twice; keep one"),
    ("head: zeroed, ", "", "14:1: endpoint.head: required and not given (trained or zeroed, there is no default)"),
    (
        "steps: inner_steps, at",
        "at",
        "14:1: endpoint.steps: required and not given (a number of inner steps or inner_steps, there is no default)",
    ),
    (
        "steps: inner_steps, at",
        "steps: inner_stps, at",
        "14:56: endpoint.steps: must be a number of inner steps from 0, or the word inner_steps, got 'inner_stps'",
    ),
    ("window: 5", "window: 0", "14:87: endpoint.window: must be at least 1, got 0"),
    (
        "at: last",
        "at: first",
        "14:73: endpoint.at: must be the word last, or a list of distinct outer steps from 1, got 'first'",
    ),
    # Fields.
    ("use: omniglot", "use: omniglt", "4:14: fixed.use: unknown protocol 'omniglt'; did you mean 'omniglot'?"),
    ("use: omniglot", "use: omniglot, shotz: 1", "4:24: fixed.shotz: unknown field; did you mean 'shots'?"),
    ("use: omniglot", "use: omniglot, shots: '1'", "4:31: fixed.shots: must be a whole number, got '1'"),
    ("use: omniglot", "use: omniglot, shots: 1.0", "4:31: fixed.shots: must be a whole number, got 1.0"),
    ("use: omniglot", "use: omniglot, shots: 0", "4:31: fixed.shots: must be at least 1, got 0"),
    ("use: omniglot", "use: omniglot, inner_lr: .inf", "4:34: fixed.inner_lr: must be finite, got inf"),
    (
        "use: omniglot",
        "use: omniglot, order: frist",
        "4:31: fixed.order: must be 'first' or 'second', got 'frist'; did you mean 'first'?",
    ),
    (
        "use: omniglot",
        "use: omniglot, seed: 1",
        "4:24: fixed.seed: seeds are no part of the grid; give them in seeds:",
    ),
    # Axes.
    ("[1, 2]", "[]", "6:16: matrix.inner_steps: an axis needs at least one value"),
    ("[1, 2]", "[1, 1]", "6:20: matrix.inner_steps[1]: value 1 is given twice; keep one"),
    ("[1, 2]", "[1, two]", "6:20: matrix.inner_steps[1]: must be a whole number, got 'two'"),
    (
        "[1, 2]",
        "3",
        "6:16: matrix.inner_steps: must be a list, or a mapping with range, linspace or logspace, got 3",
    ),
    ("[1, 2]", "{rnge: [1, 8, 2]}", "6:17: matrix.inner_steps.rnge: unknown key; did you mean 'range'?"),
    (
        "[1, 2]",
        "{range: [1, 8, 2]}",
        "6:24: matrix.inner_steps.range: steps of 2 don't lead from 1 to 8; both ends are included",
    ),
    (
        "[1, 2]",
        "{logspace: [1, 8, 3]}",
        "6:27: matrix.inner_steps.logspace: gives 2.82842712475, but the field takes whole numbers; list its values",
    ),
    (
        "[1, 2]",
        "{linspace: [1, 1000000000, 1000000000]}",
        "6:27: matrix.inner_steps.linspace: the number of values must be a whole number from 2 to 10000, got "
        "1000000000",
    ),
    ("inner_steps: [1, 2]", "inner_step: [1, 2]", "6:3: matrix.inner_step: unknown field; did you mean 'inner_steps'?"),
    ("inner_steps: [1, 2]", "seed: [1, 2]", "6:3: matrix.seed: seeds are no part of the grid; give them in seeds:"),
    (
        "inner_steps: [1, 2]",
        "outer_steps: [1, 2]",
        "6:3: matrix.outer_steps: a trial's length is no axis (the same trial goes on); name the steps to read in "
        "endpoint.at",
    ),
    (
        "none: {}",
        "none: {seed: 1}",
        "8:12: matrix.zeroing.none.seed: seeds are no part of the grid; give them in seeds:",
    ),
    *(
        (
            "  zeroing:",
            f"  {name!r}:",
            f"7:3: matrix.{name}: an axis name is unaccented letters, digits, spaces and _ - . : and, inside, single "
            f"/, got {name!r}",
        )
        for name in ("steps (inner)", "zéroing", "/zeroing", "a//b", "..")
    ),
    ("none: {}", "none:", "9:5: matrix.zeroing.none: must be a mapping of fields, got null"),
    (
        "none: {}",
        "none: {inner_steps: 1}",
        "7:3: matrix.zeroing: axis inner_steps sets inner_steps as well; only one axis can set a field",
    ),
    # Exclude and profiles.
    ("exclude: []", "exclude: [{}]", "10:11: exclude[0]: matches everything; name at least one axis or field"),
    ("exclude: []", "exclude: [{shotz: 3}]", "10:12: exclude[0].shotz: unknown field; did you mean 'shots'?"),
    (
        "exclude: []",
        "exclude: [{zeroing: nonne}]",
        "10:21: exclude[0].zeroing: axis zeroing has no value 'nonne'; did you mean 'none'?",
    ),
    (
        "exclude: []",
        "exclude: [{inner_steps: 3}]",
        "10:25: exclude[0].inner_steps: axis inner_steps has no value '3'; known are 1, 2",
    ),
    ("seeds: 1}", "seed: 1}", "13:82: profiles.smoke.seed: unknown key; did you mean 'seeds'?"),
    ("  smoke:", "  Smoke 1:", "13:3: profiles.Smoke 1: must be 1 to 64 of a-z, 0-9, _ and -, got 'Smoke 1'"),
    (
        "zeroing: [none], ",
        "zeroing: [non], ",
        "13:56: profiles.smoke.matrix.zeroing[0]: axis zeroing has no value 'non'; did you mean 'none'?",
    ),
    (
        "zeroing: [none], ",
        "zeroin: [none], ",
        "13:46: profiles.smoke.matrix.zeroin: unknown axis; did you mean 'zeroing'?",
    ),
    (
        "smoke: {fixed: {outer",
        "smoke: {fixed: {inner_steps: 1, outer",
        "13:19: profiles.smoke.fixed.inner_steps: is an axis; give its values in this profile's matrix",
    ),
    # Report.
    (
        "columns: inner_steps}",
        "columns: inner_stepz}",
        f"16:12: report.tables[0]: axis inner_steps has 2 values and is in neither rows nor columns; {AVERAGED}",
        "16:39: report.tables[0].columns: unknown axis 'inner_stepz'; did you mean 'inner_steps'?",
    ),
    (
        ", hue: zeroing",
        "",
        f"17:13: report.figures[0]: axis zeroing has 2 values and is in neither x, hue nor facets; {AVERAGED}",
    ),
    (
        "[zeroing]",
        "[zeroing, inner_steps]",
        "16:52: report.tables[0].columns: axis inner_steps is named twice; give it one role",
    ),
    # Combinations, judged when points are resolved.
    (
        "use: omniglot",
        "use: omniglot, shots: 10",
        "4:31: shots: shots + queries = 10 + 15 = 25, but omniglot has 20 images of a class; lower shots or queries "
        "(at omniglot · inner_steps 1 · zeroing none)",
    ),
    (
        "use: omniglot",
        "use: omniglot, queries: 20",
        "4:33: shots: shots + queries = 1 + 20 = 21, but omniglot has 20 images of a class; lower shots or queries "
        "(at omniglot · inner_steps 1 · zeroing none)",
    ),
    (
        "use: omniglot, ",
        "",
        "4:1: dataset: required and not given; name a protocol (use: omniglot) or a dataset "
        "(at no data set · inner_steps 1 · zeroing none)",
    ),
    ("exclude: []", "exclude: [{shots: 3}]", "10:11: exclude[0]: matches no point of the grid; correct or remove it"),
    ("exclude: []", "exclude: [{shots: 1}]", "10:1: exclude: no point is left; exclude less"),
    (
        "none: {}",
        "none: {zero_head_every: 1}",
        "9:5: omniglot · inner_steps 1 · zeroing none and omniglot · inner_steps 1 · zeroing every step are the same "
        "trial; let zeroing set what tells them apart",
    ),
    (
        "eval_steps: null",
        "eval_steps: 1",
        "14:56: endpoint.steps: asks for 2 inner steps, but eval_steps is 1 and 0 to 1 are scored "
        "(at omniglot · inner_steps 2 · zeroing none)",
    ),
    (
        "metric: test",
        "metric: val",
        "14:20: endpoint.metric: val_accuracy is never measured, because eval_split is test "
        "(at omniglot · inner_steps 1 · zeroing none)",
    ),
    ("at: last", "at: [100, 9000]", "14:73: endpoint.at: step 9000, but the longest trial ends at outer_steps 3000"),
]


def _complaints(path: Path) -> list[str]:
    with pytest.raises(SweepFileError) as caught:
        expand(load(path))
    assert caught.value.exit_code == 2
    lines = str(caught.value).split("\n")
    assert all(line.startswith(f"{path}:") for line in lines)
    return [line.removeprefix(f"{path}:") for line in lines]


@pytest.mark.parametrize("case", BAD, ids=[case[2] for case in BAD])
def test_each_fault_is_named_with_its_place_and_what_to_do(tmp_path: Path, case: tuple[str, ...]) -> None:
    old, new, *expected = case
    assert old in GOOD
    path = tmp_path / "bad.yaml"
    path.write_text(GOOD.replace(old, new, 1), encoding="utf-8")
    assert _complaints(path) == expected


def test_all_faults_of_a_file_are_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    text = GOOD.replace("version: 1", "version: 2").replace("[1, 2]", "[1, 1]").replace("window: 5", "window: 0")
    path.write_text(text.replace("seeds: 2\n", "seeds: 2\nseeds: 3\n"), encoding="utf-8")
    places = [line.split(": ")[1] for line in _complaints(path)]
    assert places == ["version", "matrix.inner_steps[1]", "seeds", "endpoint.window"]


def test_a_file_that_is_no_text_is_refused_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    assert _complaints(path) == ["1:1: no such file"]
    path.write_bytes(b"version: 1\nname: \xe9t\xe9\n")
    assert _complaints(path) == ["2:7: byte 0xe9 is not UTF-8; save the file as UTF-8"]
    path.write_bytes(b"#" * 1_000_001)
    assert _complaints(path) == ["1:1: larger than 1,000,000 bytes; a sweep file is a few kilobytes"]
    assert _complaints(tmp_path) == ["1:1: can't be read: Is a directory"]


def test_scalars_are_those_of_yaml_1_2(tmp_path: Path) -> None:
    path = tmp_path / "good.yaml"
    text = GOOD.replace("use: omniglot", "use: omniglot, inner_lr: 1e-3, shots: 010, queries: 5, head_bias: false")
    path.write_text(text.replace("none: {}", "no: {}").replace("[none]", "[no]"), encoding="utf-8")
    spec = expand(load(path))[0]
    assert (spec.config.inner_lr, spec.config.shots, spec.config.head_bias) == (0.001, 10, False)
    assert spec.labels["zeroing"] == "no"


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


def test_endpoint_and_report_are_read_as_the_tracked_contract_has_them(tmp_path: Path) -> None:
    path = tmp_path / "good.yaml"
    path.write_text(GOOD.replace("at: last", "at: [20, 300]"), encoding="utf-8")
    sweep = load(path)
    assert sweep.endpoint == schema.Endpoint(
        metric="test_accuracy", head="zeroed", steps="inner_steps", at=(20, 300), window=5
    )
    assert sweep.tables == (schema.TableSpec(rows=("zeroing",), columns="inner_steps"),)
    assert sweep.figures == (schema.FigureSpec(kind="inner_steps", x="inner_steps", hue="zeroing", facets=None),)


def test_an_axis_that_only_a_profile_widens_must_be_named_in_the_report(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    text = GOOD.replace("  zeroing:\n", "  ways: [5]\n  zeroing:\n").replace("inner_steps: [4]", "ways: [5, 10]")
    path.write_text(text, encoding="utf-8")
    assert [line.split(" and is")[0] for line in _complaints(path)] == [
        "17:12: report.tables[0]: axis ways has 2 values",
        "18:13: report.figures[0]: axis ways has 2 values",
    ]


_BITS = st.sampled_from(
    [*"abc:{}[]-,\n#&*!|>'\"%@`? \t\\~09.=<\x00\x85\ufeff\u2028é", "null", ".nan", "1e400", "%YAML 9.9\n"]
)
_EDITS = st.lists(st.tuples(st.integers(0, len(GOOD)), st.integers(0, 8), _BITS), min_size=1, max_size=4)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(max_size=60) | st.lists(_BITS, max_size=30).map("".join), edits=_EDITS, whole=st.booleans())
def test_no_text_makes_reading_end_in_anything_but_a_sweep_or_its_faults(
    tmp_path: Path, text: str, edits: list[tuple[int, int, str]], whole: bool
) -> None:
    if whole:
        text = GOOD
        for at, cut, put in edits:
            text = text[:at] + put + text[at + cut :]
    path = tmp_path / "fuzz.yaml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        expand(load(path))
    except SweepFileError as error:
        assert error.problems
