"""A shipped sweep is known by its name alone, in any folder and from an installed wheel."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import sweeper
from sweeper.errors import SweepFileError
from sweeper.sweepfile import shipped
from sweeper.sweepfile.sweep import load
from tests.places import ROOT
from tests.sweeper.played import command

NAMES = sorted(path.stem for path in (ROOT / "sweeps").glob("*.yaml"))


def test_every_sweep_of_the_repository_ships() -> None:
    assert list(shipped.names()) == NAMES and "quickstart" in NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_the_sweep_in_an_empty_folder(name, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load(Path(name)).name == name
    assert load(Path(name)).document.text == (ROOT / "sweeps" / f"{name}.yaml").read_text(encoding="utf-8")
    assert not list(tmp_path.iterdir())


def test_commands_and_notebooks_take_a_name(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    planned = command("plan", "quickstart")
    assert planned.exit_code == 0 and "8 trials: 8 new" in planned.output
    dry = command("run", "zeroing_vs_steps", "--profile", "smoke", "--dry-run", "--data-root", "none")
    assert "no such file" not in dry.output
    assert len(sweeper.plan("quickstart")) == 8
    with pytest.raises(sweeper.SweepError, match="There is no tracking store at"):
        sweeper.results("quickstart")


def test_a_file_of_the_user_comes_before_a_shipped_sweep(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "sweeps" / "quickstart.yaml").read_text(encoding="utf-8")
    Path("quickstart").write_text(text.replace("name: quickstart", "name: mine"))
    assert load(Path("quickstart")).name == "mine"


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("quickstrt", "quickstrt:1:1: no such file, and no shipped sweep has this name; did you mean 'quickstart'?"),
        ("sweeps/quickstart.yaml", "no such file; the shipped sweep has the name quickstart, without folder and .yaml"),
        ("mine", "mine:1:1: no such file; did you mean mine.yaml?"),
        ("other.yaml", "other.yaml:1:1: no such file"),
    ],
)
def test_what_is_neither_a_file_nor_a_name_is_told(given, says, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").touch()
    with pytest.raises(SweepFileError) as caught:
        load(Path(given))
    assert says in str(caught.value)


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("setuptools") is None, reason="a wheel is built by setuptools")
def test_a_wheel_has_every_sweep_the_schema_and_the_template(tmp_path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    cached = shutil.ignore_patterns("__pycache__", "evidence")
    for name in ("trainers", "sweeper", "analysis", "sweeps"):
        shutil.copytree(ROOT / name, source / name, symlinks=True, ignore=cached)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    built = [*pip, "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", str(tmp_path), str(source)]
    subprocess.run(built, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    shutil.unpack_archive(wheel, tmp_path / "installed", "zip")
    folder = tmp_path / "empty"
    folder.mkdir()
    alone = {**os.environ, "PYTHONPATH": str(tmp_path / "installed")}

    def sweeper_there(*words: str) -> str:
        program = [sys.executable, "-m", "sweeper", *words]
        return subprocess.run(program, check=True, capture_output=True, text=True, cwd=folder, env=alone).stdout

    where = "import sweeper; print(sweeper.__file__)"
    found = subprocess.run([sys.executable, "-c", where], capture_output=True, text=True, cwd=folder, env=alone)
    assert found.stdout.startswith(str(tmp_path))
    shipped_there = {path.name for path in (tmp_path / "installed" / "sweeper" / "sweeps").iterdir()}
    assert shipped_there == {*(f"{name}.yaml" for name in NAMES), "sweep.schema.json"}
    assert "8 trials: 8 new" in sweeper_there("plan", "quickstart")
    assert sweeper_there("init").split() == ["my_question.yaml", "sweep.schema.json"]
    assert "12 trials: 12 new" in sweeper_there("plan", "my_question.yaml")
