"""`sweeper init`: a sweep file that plans as it is, and never one that was there before."""

from pathlib import Path

import pytest

from sweeper.planning.expand import expand
from sweeper.sweepfile.sweep import load
from tests.sweeper.played import command


@pytest.fixture(autouse=True)
def empty(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("words", "name"), [((), "my_question"), (("inner-lr_2",), "inner-lr_2"), (("mine.yaml",), "mine")]
)
def test_the_file_plans_as_it_is_under_each_profile(words, name, empty) -> None:
    ended = command("init", *words)
    assert ended.exit_code == 0, ended.output
    assert ended.stdout.splitlines() == [f"{name}.yaml", "sweep.schema.json"]
    assert f"`sweeper plan {name}.yaml`" in ended.stderr
    sweep = load(Path(f"{name}.yaml"))
    assert sweep.name == name and len(expand(sweep)) == 12
    assert sweep.profiles.keys() == {"smoke"} and len(expand(sweep, "smoke")) == 4
    assert f"sweeper run {name}.yaml " in Path(f"{name}.yaml").read_text()
    assert {path.name for path in empty.iterdir()} == {f"{name}.yaml", "sweep.schema.json"}


def test_a_file_that_exists_is_not_changed() -> None:
    Path("mine.yaml").write_text("precious")
    ended = command("init", "mine")
    assert (ended.exit_code, ended.output) == (
        *(2, "mine.yaml exists and was not changed; give another name, or remove the file\n"),
    )
    assert Path("mine.yaml").read_text() == "precious" and not Path("sweep.schema.json").exists()


@pytest.mark.parametrize("name", ["Mine", "my question", "a/b", "", "x" * 65])
def test_a_name_that_no_sweep_can_have_is_told(name, empty) -> None:
    ended = command("init", name)
    assert ended.exit_code == 2 and "a sweep's name is 1 to 64 of a-z, 0-9, _ and -, got" in ended.output
    assert not list(empty.iterdir())


def test_a_second_sweep_keeps_one_schema_up_to_date(empty) -> None:
    Path("sweep.schema.json").write_text("{}")
    assert command("init", "one").exit_code == 0 and command("init", "two").exit_code == 0
    assert {path.name for path in empty.iterdir()} == {"one.yaml", "two.yaml", "sweep.schema.json"}
    assert '"$schema"' in Path("sweep.schema.json").read_text()
