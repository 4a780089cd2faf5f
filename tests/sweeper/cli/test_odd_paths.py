"""Paths that a shell lets through, given to every command: one sentence, no traceback, no endless wait."""

import os

import pytest

from sweeper.cli import _COMMANDS
from tests.budget import budget
from tests.sweeper.command import PROGRAM, sweeper
from tests.sweeper.played import command
from tests.sweeper.tiny import TINY

slow = pytest.mark.slow

INLINE = ("--executor", "inline", "--device", "cpu")
WORDS = {
    "data": [
        "data list --data-root PATH",
        "data verify omniglot --data-root PATH",
        "data get omniglot --data-root PATH",
    ],
    "doctor": [
        "doctor --tracking-uri none --results PATH",
        "doctor --tracking-uri none --data-root PATH",
        "doctor --tracking-uri sqlite:///PATH/mlflow.db",
    ],
    "export": ["export PATH", "export tiny.yaml --results PATH", "export tiny.yaml --out PATH --force"],
    "import": ["import PATH", "import tiny.yaml --results PATH"],
    "init": ["init PATH/name"],
    "logs": ["logs a --results PATH"],
    "plan": ["plan PATH", "plan tiny.yaml --results PATH"],
    "report": ["report PATH", "report tiny.yaml --results PATH", "report tiny.yaml --compare-authors PATH"],
    "run": [
        "run PATH",
        "run tiny.yaml --executor inline --device cpu --tracking-uri none --results PATH",
        "run omniglot.yaml --executor inline --device cpu --tracking-uri none --data-root PATH",
    ],
    "schema": [],
    "status": ["status PATH", "status tiny.yaml --results PATH"],
    "stop": ["stop --results PATH"],
    "sync": ["sync PATH", "sync tiny.yaml --results PATH"],
    "theory": ["theory --data PATH"],
    "ui": ["ui --results PATH"],
}
NOT_REFUSED = ("plan tiny.yaml", "status tiny.yaml", "data list", "sync tiny.yaml")
"""What an empty results folder or missing data is no error for, and so a path to nowhere is none."""
ODD = ("file/below", "loop", "pipe", "nowhere")
TRIED = [
    pytest.param(words, path, marks=slow if path in ODD else ())
    for number, words in enumerate(words for each in WORDS.values() for words in each)
    for place, path in enumerate(("x" * 300, *ODD))
    if path not in ODD or budget((number + place) % 2 == 0, True)
]
"""The words of each command with each path; every day every second pair of those that are not too long."""
GONE = f"import os; os.mkdir('gone'); os.chdir('gone'); os.rmdir('../gone'); {PROGRAM}"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Return the current folder: it has a sweep, a file, a named pipe, a link to itself and a link to nowhere."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.yaml").write_text(TINY)
    (tmp_path / "omniglot.yaml").write_text(TINY.replace("use: strokes", "use: omniglot"))
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "nowhere").symlink_to("absent")
    return tmp_path


def test_every_command_is_tried():
    assert WORDS.keys() == _COMMANDS.keys()


@pytest.mark.slow
@pytest.mark.parametrize(("words", "path"), TRIED, ids=lambda word: word[:60])
def test_a_path_that_can_be_nothing_is_one_sentence(folder, monkeypatch, words, path):
    monkeypatch.setenv("SWEEPER_CACHE", str(folder / "cache"))
    ended = command(*(word.replace("PATH", path) for word in words.split()))
    assert_no_traceback(ended)
    refused = (1, 2, 4) if words.startswith(("doctor", "data verify")) else (2, 4)
    makes_it = path == "nowhere" and "--results" in words  # a results folder is made where its link leads
    allowed = (0, *refused) if makes_it or words.startswith((*NOT_REFUSED, "doctor")) else refused
    assert ended.exit_code in allowed, (ended.exit_code, ended.stderr)
    assert makes_it or not (folder / "absent").exists()


def assert_no_traceback(ended):
    """No error but the one that exits was raised, and none is shown."""
    assert ended.exception is None or isinstance(ended.exception, SystemExit), ended.exception
    assert "Traceback" not in ended.output, ended.output


@slow
@pytest.mark.parametrize("name", ["x" * 300, "file/below", "~nobody-of-this-name/data"], ids=["long", "below", "home"])
@pytest.mark.parametrize("variable", ["SWEEPER_CACHE", "SWEEPER_DATA"])
def test_a_folder_that_a_variable_names_and_can_be_none_is_one_sentence(folder, monkeypatch, variable, name):
    sweep = "tiny.yaml" if variable == "SWEEPER_CACHE" else "omniglot.yaml"
    monkeypatch.setenv("SWEEPER_CACHE", str(folder / "cache"))
    monkeypatch.setenv(variable, name)
    ended = command("run", sweep, *INLINE)
    assert_no_traceback(ended)
    assert ended.exit_code == 2, ended.stderr
    assert name in ended.stderr


def test_a_pipe_and_a_device_are_no_sweep_file(folder):
    assert "pipe:1:1: can't be read: a named pipe, not a file" in command("plan", "pipe").stderr
    assert "can't be read: a device, not a file" in command("plan", "/dev/zero").stderr


@slow
@pytest.mark.parametrize("words", [words for each in WORDS.values() for words in each[:1]])
def test_a_current_folder_that_is_gone_is_said(folder, words):
    ended = sweeper(*words.replace("PATH", str(folder / "tiny.yaml")).split(), cwd=folder, program=GONE)
    assert (ended.code, ended.out) == (2, ""), ended.err
    assert "the current folder is gone" in ended.err and "Traceback" not in ended.err


@slow
@pytest.mark.parametrize("words", ["plan tiny.yaml", "status tiny.yaml", "--help", "plan --help", "data list"])
def test_standard_output_that_is_full_ends_a_command_with_4(folder, words):
    program = f"import os; os.dup2(os.open('/dev/full', os.O_WRONLY), 1); {PROGRAM}"
    ended = sweeper(*words.split(), cwd=folder, program=program)
    assert ended.code == 4, ended.err
    assert "standard output can't be written (No space left on device)" in ended.err and "Traceback" not in ended.err


@slow
def test_standard_error_that_is_full_changes_no_exit_code(folder):
    program = f"import os; os.dup2(os.open('/dev/full', os.O_WRONLY), 2); {PROGRAM}"
    assert sweeper("plan", cwd=folder, program=program).code == 2
    assert sweeper("plan", "absent.yaml", cwd=folder, program=program).code == 2


def test_a_device_is_not_replaced_by_an_archive(folder):
    ended = command("export", "tiny.yaml", "--out", "pipe", "--force")
    assert ended.exit_code == 2 and "pipe: is not a file" in ended.stderr


@slow
@pytest.mark.parametrize(
    "name", ["a\u202eb.yaml", "a\x1b[2Jb.yaml", "a\udcffb.yaml"], ids=["direction", "escape", "byte"]
)
def test_a_message_shows_what_is_not_seen_in_a_path(folder, name):
    for words in (("plan", name), ("plan", "tiny.yaml", name), ("plan", "tiny.yaml", "--show", name)):
        ended = command(*words)
        assert_no_traceback(ended)
        assert ended.exit_code == 2
        assert not {"\u202e", "\x1b", "\udcff"} & set(ended.stderr), ended.stderr


@slow
def test_a_sweep_whose_name_is_not_utf8_is_exported(folder):
    name = os.fsdecode(b"tiny-\xff.yaml")
    (folder / name).write_text(TINY.replace("seeds: 2", "seeds: 1"))
    assert sweeper("run", name, *INLINE, "--tracking-uri", "none", cwd=folder).code == 0
    ended = sweeper("export", name, cwd=folder)
    assert (ended.code, ended.out) == (0, "tiny.zip\n"), ended.err
    assert sweeper("import", "tiny.zip", "--results", "other", cwd=folder).code == 0
