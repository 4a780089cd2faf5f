"""Whatever a file holds, reading and planning it ends in trials or in SweepFileError, with places inside the file."""

import json
import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sweeper.errors import SweepError, SweepFileError
from sweeper.planning.expand import expand
from sweeper.planning.trial_spec import TrialSpec
from sweeper.sweepfile.sweep import load
from sweeper.sweepfile.yaml_source import LARGEST_FILE
from tests.budget import budget
from tests.sweeper.sweepfile.bad_sweeps import GOOD, MISTAKES
from trainers.maml import protocols
from trainers.maml.config import TrialConfig

pytestmark = pytest.mark.slow

LONGEST = 20.0  # seconds of CPU for a file of a few kilobytes, far more than any machine takes

# The same examples in every run: a failure belongs to the change that made it.
fuzzed = settings(
    max_examples=budget(50, 300),
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.fixture
def judge(tmp_path: Path) -> Callable[..., tuple[TrialSpec, ...]]:
    """Return a reader of a file's bytes that checks how it ends: with trials, or none and places inside the file."""
    path = tmp_path / "fuzz.yaml"

    def read(content: bytes | str, profile: str | None = None) -> tuple[TrialSpec, ...]:
        path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass"))
        start = time.process_time()
        try:
            specs = expand(load(path), profile)
        except SweepFileError as error:
            specs = ()
            _check(error, path.read_bytes())
        except SweepError as error:
            specs = ()
            assert "unknown profile" in str(error)
        assert time.process_time() - start < LONGEST
        return specs

    return read


def _check(error: SweepFileError, content: bytes) -> None:
    assert error.problems
    str(error).encode("utf-8")  # can be printed
    # Every kind of line end that YAML has ever had; an end of file may be reported on the line after the last.
    lines = content.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n")
    count = 1 + sum(lines.count(end) for end in "\n\x85\u2028\u2029")
    for position, message in error.problems:
        assert 1 <= position.line <= count and position.column >= 1, (position, message)
        assert message.strip() and "\n" not in message


BITS = [
    *"abc:{}[]-,\n#&*!|>'\"%@`? \t\\~09.=<\x00\x85\ufeff\u2028é",
    "null", ".nan", "1e400", "-_", "0x", "0o8", "%YAML 9.9\n", "%TAG ! x\n", "---\n", "...\n", "<<: ", "!!set ", "&a ",
    "*a", '"\\ud800"', '"\\UFFFFFFFF"', '"\\x"', "|9\n", "? ", "- ", "\r\n", "\ud800", "9" * 30,
]  # fmt: skip
text_of_bits = st.lists(st.sampled_from(BITS), max_size=40).map("".join)


@fuzzed
@given(text=st.text(max_size=80) | text_of_bits)
def test_any_text(judge, text: str) -> None:
    judge(text)


@fuzzed
@given(content=st.binary(max_size=80), at=st.integers(0, len(GOOD)))
def test_any_bytes_alone_and_within_a_good_file(judge, content: bytes, at: int) -> None:
    judge(content)
    judge(GOOD[:at].encode() + content + GOOD[at:].encode())


@fuzzed
@given(edits=st.lists(st.tuples(st.integers(0, len(GOOD)), st.integers(0, 8), st.sampled_from(BITS)), max_size=4))
def test_a_good_file_with_letters_lost_and_put_in(judge, edits: list[tuple[int, int, str]]) -> None:
    text = GOOD
    for at, cut, put in edits:
        text = text[:at] + put + text[at + cut :]
    judge(text)


LINES = GOOD.splitlines()
WORDS = [found.span() for found in re.finditer(r"\w+( \w+)*|\[[^]]*\]", GOOD)]
line_edits = st.tuples(
    st.sampled_from(["delete", "double", "swap", "indent", "outdent", "halve"]),
    st.integers(0, len(LINES) - 1),
    st.integers(0, len(LINES) - 1),
)


@fuzzed
@given(edits=st.lists(line_edits, min_size=1, max_size=4))
def test_a_good_file_with_lines_lost_doubled_swapped_and_shifted(judge, edits: list[tuple[str, int, int]]) -> None:
    lines = list(LINES)
    for how, first, second in edits:
        match how:
            case "delete":
                lines[first] = ""
            case "double":
                lines[first] += "\n" + lines[second]
            case "swap":
                lines[first], lines[second] = lines[second], lines[first]
            case "indent":
                lines[first] = "  " + lines[first]
            case "outdent":
                lines[first] = lines[first].removeprefix("  ")
            case "halve":
                lines[first] = lines[first][: len(lines[first]) // 2]
    judge("\n".join(lines))


# Documents near the schema, as the text of values in flow style.
FIELDS = [*TrialConfig.model_fields, "use", "shotz", "", "zero head"]
ODD = ["null", "true", "yes", "''", "-1", "0", "1.5", "1e-3", ".inf", ".nan", "1e400", "'1'", "[]", "{}", "'\\0'", "?"]
numbers = st.sampled_from(["0", "1", "2", "3", "7", "-1", "0.5", "1.0e+308", "5.0e-324", "1e9", "9223372036854775807"])
words = st.sampled_from([*protocols.names(), "maml", "contrastive", "first", "second", "head", "last", "inner_steps"])
scalar = st.sampled_from(ODD) | numbers | words


def listed(values: st.SearchStrategy[str], most: int = 4) -> st.SearchStrategy[str]:
    return st.lists(values, max_size=most).map(lambda parts: f"[{', '.join(parts)}]")


def mapped(keys: st.SearchStrategy[str], values: st.SearchStrategy[str], most: int = 4) -> st.SearchStrategy[str]:
    pairs = st.lists(st.tuples(keys, values), max_size=most, unique_by=lambda pair: pair[0])
    return pairs.map(lambda found: "{" + ", ".join(f"{key!r}: {value}" for key, value in found) + "}")


fields = mapped(st.sampled_from(FIELDS), scalar)
labels = st.sampled_from(["none", "every step", "1", "", "é", "a" * 70])
generator = mapped(st.sampled_from(["range", "linspace", "logspace", "rnge"]), listed(numbers, 3) | scalar, 2)
axis = listed(scalar) | generator | mapped(labels, fields | scalar) | scalar
axis_names = st.sampled_from(["zeroing", "task", "a//b", *FIELDS])
matrix = mapped(axis_names, axis) | scalar
seeds = listed(scalar) | scalar
profile = mapped(st.sampled_from(["fixed", "matrix", "seeds", "sedes"]), fields | matrix | seeds) | scalar
endpoint = (
    mapped(st.sampled_from(["metric", "head", "steps", "at", "window", "x"]), scalar | listed(scalar), 6) | scalar
)
roles = mapped(st.sampled_from(["rows", "columns", "kind", "x", "hue", "facets"]), listed(axis_names) | axis_names, 4)
SECTIONS = {
    "version": scalar,
    "name": scalar,
    "question": scalar,
    "fixed": fields,
    "matrix": matrix,
    "exclude": listed(fields | mapped(axis_names, scalar)) | scalar,
    "seeds": seeds,
    "profiles": mapped(st.sampled_from(["smoke", "Smoke", ""]), profile),
    "endpoint": endpoint,
    "report": mapped(st.sampled_from(["tables", "figures", "table"]), listed(roles | scalar) | scalar),
}
KEPT = {
    "version": "1",
    "name": "near",
    "question": "Is it near?",
    "fixed": "{use: omniglot, eval_steps: null}",
    "matrix": "{inner_steps: [1, 2], zeroing: {none: {}, every step: {zero_head_every: 1}}}",
    "seeds": "2",
    "endpoint": "{metric: test_accuracy, head: zeroed, steps: inner_steps, at: last, window: 5}",
}


odd_values = scalar | st.sampled_from(BITS) | axis | st.text(max_size=8).map(json.dumps)
odd_places = st.lists(st.tuples(st.sampled_from(WORDS), odd_values), min_size=1, max_size=3)


@fuzzed
@given(put=odd_places)
def test_a_good_file_with_odd_values_and_keys(judge, put: list[tuple[tuple[int, int], str]]) -> None:
    text = GOOD
    for (start, end), value in sorted(put, reverse=True):  # from the end, so that the places before stay where they are
        text = text[:start] + value + text[end:]
    judge(text)


@fuzzed
@given(changed=st.lists(st.sampled_from(sorted(SECTIONS)), min_size=1, max_size=3, unique=True), data=st.data())
def test_a_document_near_the_schema(judge, changed: list[str], data: st.DataObject) -> None:
    sections = KEPT | {name: data.draw(SECTIONS[name], label=name) for name in changed}
    text = "".join(f"{name}: {value}\n" for name, value in sections.items())
    judge(text)
    judge(text, "smoke")


@fuzzed
@given(data=st.data())
def test_two_mistakes_at_once(judge, data: st.DataObject) -> None:
    changes = [mistake.change for mistake in MISTAKES if mistake.change]
    text = GOOD
    for change in data.draw(st.lists(st.sampled_from(changes), min_size=2, max_size=3)):
        for old, new in change.items():
            text = text.replace(old, new, 1)
    if "10000" not in text:  # a large grid is no small input
        judge(text)


BROKE_PARSERS = {
    "thousands of digits": "a: " + "9" * 5000,
    "brackets": GOOD.replace("[1, 2]", "[" * 10_000),
    "braces": GOOD.replace("[1, 2]", "{" * 10_000),
    "dashes": "- " * 10_000,
    "question marks": "? " * 10_000,
    "colons": ":" * 10_000,
    "anchors": "&a " * 5_000,
    "a billion laughs": "a: &k0 [x, x]\n" + "".join(f"k{n}: &k{n} [*k{n - 1}, *k{n - 1}]\n" for n in range(1, 40)),
    "a version beyond any": "%YAML 1.99999999999999999\n---\na: 1\n",
    "a character beyond any": 'a: "\\UFFFFFFFF"\n',
    "a key of half a character": GOOD + '"\\ud800": 1\n',
    "a whole number from a linspace": GOOD.replace("[1, 2]", "{linspace: [1, 1.0e+300, 4]}"),
}


@pytest.mark.parametrize("text", BROKE_PARSERS.values(), ids=BROKE_PARSERS)
def test_what_breaks_parsers(judge, text: str) -> None:
    assert judge(text) == ()


def test_a_file_as_large_as_is_read_is_refused_without_a_crash(tmp_path: Path) -> None:
    path = tmp_path / "large.yaml"
    path.write_text("[" * LARGEST_FILE, encoding="utf-8")
    with pytest.raises(SweepFileError, match="nested deeper than 12 levels"):
        load(path)
