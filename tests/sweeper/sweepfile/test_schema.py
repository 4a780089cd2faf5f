"""The JSON schema of sweep files: editors accept every shipped sweep by it, and mark what `plan` would refuse."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

from sweeper.sweepfile.begin import schema_text, template
from sweeper.sweepfile.schema import schema
from tests.places import ROOT
from tests.sweeper.played import command
from tests.sweeper.tiny import TINY

SWEEPS = sorted((ROOT / "sweeps").glob("*.yaml"))
MODELINE = "# yaml-language-server: $schema=sweep.schema.json"
CHECK = Draft202012Validator(schema())


def value_of(text: str) -> Any:
    return YAML(typ="safe", pure=True).load(text)


def faults(text: str) -> list[str]:
    """The paths and messages of what is wrong."""
    found = CHECK.iter_errors(value_of(text))
    return [f"{'.'.join(map(str, error.absolute_path))}: {error.message}" for error in found]


@pytest.mark.slow
def test_it_is_a_schema_and_the_command_prints_the_file_beside_the_sweeps() -> None:
    Draft202012Validator.check_schema(schema())
    printed = command("schema")
    assert printed.exit_code == 0 and json.loads(printed.stdout) == schema()
    assert printed.stdout == schema_text() == (ROOT / "sweeps" / "sweep.schema.json").read_text(encoding="utf-8"), (
        "run `sweeper schema > sweeps/sweep.schema.json`"
    )


@pytest.mark.parametrize("path", SWEEPS, ids=[path.stem for path in SWEEPS])
def test_a_shipped_sweep_names_it_in_its_first_line_and_fits(path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.splitlines()[0] == MODELINE
    assert faults(text) == []


def test_what_init_writes_names_it_too_and_fits() -> None:
    assert template().splitlines()[0] == MODELINE
    assert faults(template()) == []
    assert faults(TINY) == []


@pytest.mark.parametrize(
    ("old", "new", "at"),
    [
        ("version: 1", "version: 2", "version"),
        ("name: tiny", "name: Tiny one", "name"),
        ("seeds: 2", "seeds: 0", "seeds"),
        ("seeds: 2", "seeds: [0, -1]", "seeds"),
        ("seeds: 2", "sedes: 2", ""),
        ("  order: first", "  order: third", "fixed.order"),
        ("  order: first", "  ordre: first", "fixed"),
        ("  use: strokes", "  use: stroke", "fixed.use"),
        ("  ways: 3", "  ways: 1", "fixed.ways"),
        ("inner_steps: [1, 2]", "inner_steps: [1, two]", "matrix.inner_steps"),
        ("inner_steps: [1, 2]", "inner_steps: {logspac: [1, 2, 2]}", "matrix.inner_steps"),
        ("inner_steps: [1, 2]", "outer_steps: [1, 2]", "matrix.outer_steps"),
        ("inner_steps: [1, 2]", "mine: {one: {inner_step: 1}}", "matrix.mine.one"),
        ("metric: test_accuracy", "metric: accuracy", "endpoint.metric"),
        ("steps: inner_steps", "steps: outer_steps", "endpoint.steps"),
        ("at: last", "at: first", "endpoint.at"),
        ("kind: inner_steps", "kind: bars", "report.figures.0.kind"),
        ("columns: inner_steps", "colums: inner_steps", "report.tables.0"),
    ],
)
def test_a_mistake_is_marked_where_it_is(old, new, at) -> None:
    assert TINY.count(old) == 1
    assert at in [fault.partition(":")[0] for fault in faults(TINY.replace(old, new))]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("seeds: 2", "seeds: [0, 5]"),
        ("inner_steps: [1, 2]", "inner_steps: {range: [1, 3, 1]}"),
        ("inner_steps: [1, 2]", "mine: {none: {}, every step: {zero_head_every: 1}}"),
        ("at: last", "at: [2, 4]"),
        ("seeds: 2", "seeds: 2\nprofiles: {p: {matrix: {inner_steps: [1]}, fixed: {ways: 4}, seeds: 1}}"),
        ("seeds: 2", "seeds: 2\nexclude: [{inner_steps: 1, ways: 3}]"),
    ],
)
def test_what_plans_is_not_marked(old, new) -> None:
    assert faults(TINY.replace(old, new)) == []


def test_every_key_and_field_has_a_sentence() -> None:
    every = dict(properties(schema(), ""))
    assert len(every) > 100
    assert {path for path, facts in every.items() if "description" not in facts} == set()


def properties(part: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Every property with its path; one that refers to another has the sentence of that."""
    for key, inner in part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ():
        if key == "properties" and isinstance(inner, dict):
            for name, facts in inner.items():
                if not (isinstance(facts, dict) and facts.keys() == {"$ref"}):
                    yield f"{path}.{name}", facts
        yield from properties(inner, f"{path}.{key}")
