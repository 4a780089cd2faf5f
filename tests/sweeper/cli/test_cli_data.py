"""`sweeper data` as its user meets it: what is printed where, and the exit code."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from sweeper.cli.data import data
from trainers.data.catalog import CATALOG


@pytest.fixture
def sweeper_data(tmp_path, monkeypatch, drawn_before):
    """Return a function that runs `sweeper data` with a cache of its own and an empty data root."""
    monkeypatch.setenv("SWEEPER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("SWEEPER_DATA", str(tmp_path / "data"))

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(data, arguments)

    return run


def test_list_names_every_set_and_calls_strokes_synthetic(sweeper_data):
    result = sweeper_data("list")
    lines = {line.split()[0]: line for line in result.stdout.splitlines()}
    assert result.exit_code == 0
    assert set(lines) == set(CATALOG)
    assert lines["strokes"].endswith("made when used, synthetic")
    assert lines["omniglot"].endswith("missing")
    assert "put them there, or name their folder with --data-root" in result.stderr


def test_list_json_is_json_and_nothing_else(sweeper_data, tmp_path):
    found = {entry["name"]: entry for entry in json.loads(sweeper_data("list", "--json").stdout)}
    assert found["mini_imagenet"]["splits"] == {"train": 64, "val": 16, "test": 20}
    assert found["mini_imagenet"]["image_shape"] == [3, 84, 84]
    assert str(tmp_path / "data") in found["omniglot"]["trouble"]


def test_get_strokes_prints_the_path_of_the_array_alone(sweeper_data, tmp_path):
    result = sweeper_data("get", "strokes")
    assert result.exit_code == 0
    assert Path(result.stdout.strip()).parent == tmp_path / "cache"
    assert "checking and converting it, once" in result.stderr
    assert "converting" not in sweeper_data("get", "strokes").stderr


def test_get_mini_imagenet_says_how_to_put_it_there_with_exit_code_2(sweeper_data, tmp_path):
    result = sweeper_data("get", "mini_imagenet")
    assert result.exit_code == 2
    assert str(tmp_path / "data" / "miniimagenet") in result.stderr
    assert "there is no download" in result.stderr and "https://image-net.org" in result.stderr
    assert "trying" not in result.stderr
    assert result.stdout == ""


def test_the_option_wins_over_the_environment(sweeper_data, tmp_path):
    assert str(tmp_path / "other") in sweeper_data("list", "--data-root", str(tmp_path / "other")).stderr


def test_verify_without_a_name_checks_what_is_there(sweeper_data):
    result = sweeper_data("verify")
    assert (result.exit_code, result.stdout) == (0, "strokes: good\n")
    assert "omniglot: not found, so not checked" in result.stderr


def test_verify_of_a_damaged_archive_ends_with_1_and_says_which(sweeper_data, tmp_path):
    (tmp_path / "data").mkdir()
    for half in ("background", "evaluation"):
        (tmp_path / "data" / f"images_{half}.zip").write_bytes(b"PK and no more")
    result = sweeper_data("verify", "omniglot", "--json")
    assert result.exit_code == 1
    (finding,) = json.loads(result.stdout)["omniglot"]
    assert finding.startswith(f"{tmp_path / 'data' / 'images_background.zip'}: not a whole zip archive")


def test_verify_of_a_missing_set_that_is_named_ends_with_1(sweeper_data):
    assert sweeper_data("verify", "mini_imagenet").exit_code == 1


def test_an_unknown_name_ends_with_2(sweeper_data):
    result = sweeper_data("get", "cifar")
    assert result.exit_code == 2
    assert "'omniglot', 'strokes', 'mini_imagenet'" in result.stderr


@pytest.mark.parametrize("command", ["list", "get", "verify"])
def test_every_command_has_an_example_in_its_help(sweeper_data, command):
    assert f"  sweeper data {command}" in sweeper_data(command, "--help").stdout


def test_the_help_loads_neither_torch_nor_numpy():
    program = (
        "import sys; from sweeper.cli.data import data; data(['--help'], standalone_mode=False); "
        "sys.exit(' '.join({'torch', 'numpy', 'PIL'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
