"""A program's trainer as a sweep file gives it: command, placeholders, fields; and the hash of its files."""

import pytest

from trainers.program.command import read_command, spelled
from trainers.program.trainer import from_mapping
from trainers.registry import checked, find
from trainers.trainer import ConfigError, Reference, TrainerError

GIVEN = {
    "command": ["python", "train.py", "--lr", "{lr}", "--n={steps}", "--seed", "{seed}"],
    "fields": {"lr": {"type": "float", "gt": 0}, "steps": {"type": "int", "default": 10}},
    "metrics": {"accuracy": {"better": "higher"}},
    "length": "steps",
}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "train.py").write_text("import tools\n", encoding="utf-8")
    (tmp_path / "tools.py").write_text("", encoding="utf-8")
    return tmp_path


def test_a_mapping_is_a_trainer(folder):
    trainer = checked(from_mapping(GIVEN, folder), "a command")
    assert trainer.name == "python train.py --lr {lr} --n={steps} --seed {seed}"
    assert (trainer.length, trainer.resumes, trainer.grace_s) == ("steps", False, 30.0)
    assert list(trainer.config.model_fields) == ["lr", "steps", "seed"]
    config = trainer.resolve({"lr": 1, "seed": 3})
    assert trainer.command.filled(vars(config)) == ["python", "train.py", "--lr", "1.0", "--n=10", "--seed", "3"]
    assert find(Reference(GIVEN, str(folder))).name == trainer.name


def test_a_text_is_split_as_by_a_shell_and_seen_by_none():
    command = read_command("""sh -c 'echo "$HOME" > {out}' {{literal}} "{a} {b}" ; rm""")
    assert command.filled({"out": "x; y", "a": 1, "b": True}) == [
        "sh", "-c", 'echo "$HOME" > x; y', "{literal}", "1 true", ";", "rm",
    ]  # fmt: skip
    assert read_command(command.text) == command


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.1, "0.1"), (1e-5, "1e-05"), (1.0, "1.0"), (3, "3"), (True, "true"), (None, "null"), ("a b", "a b"), ("", "")],
)
def test_a_value_is_spelled_as_in_json_and_a_text_as_it_is(value, text):
    assert spelled(value) == text


@pytest.mark.parametrize(
    ("changed", "place", "message"),
    [
        ({"command": None}, (), "command is required and not given (the program and its arguments)"),
        ({"command": []}, ("command",), "command must be a list of 1 to 1000 arguments or one text, got []"),
        ({"command": ""}, ("command",), "command must be a list of 1 to 1000 arguments or one text, got ''"),
        ({"command": 3}, ("command",), "command must be a list"),
        ({"command": [""]}, ("command",), "command begins with an empty argument"),
        ({"command": ["x", 0.5]}, ("command",), "command has the argument 0.5; write it in quotes"),
        ({"command": ["x", True]}, ("command",), "command has the argument True; write it in quotes"),
        ({"command": ["x", "a\0"]}, ("command",), "command has characters that can't be printed, in 'a\\x00'"),
        ({"command": "x 'a"}, ("command",), "command can't be split into arguments (No closing quotation)"),
        ({"command": "x {lr"}, ("command",), "command has a single brace in '{lr'; write {name} for a field, and {{"),
        ({"command": "x {}"}, ("command",), "command has the placeholder '{}'; write {name}"),
        ({"command": "x {lr.real}"}, ("command",), "command has the placeholder '{lr.real}'"),
        ({"command": "x {lr:.2f}"}, ("command",), "command rounds or converts {lr} in '{lr:.2f}'"),
        ({"command": "x {lr!r}"}, ("command",), "command rounds or converts {lr}"),
        ({"command": "x {lr} {seed} {rate}"}, ("command",), "command has the placeholder {rate}, which is no field;"),
        ({"command": "x {seed}"}, ("command",), "command has no placeholder {lr}, so that its value has no effect"),
        (
            {"command": "x {lr}"},
            ("command",),
            "command has no placeholder {seed}, so that all seeds of a cell",
        ),
        ({"command": "x " + "y" * 10_001}, ("command",), "command has 10003 characters"),
        (
            {"command": "python absent.py {lr} {seed}"},
            ("command",),
            "command names absent.py, and there is no such",
        ),
        ({"fields": 3}, ("fields",), "fields must be a mapping"),
        ({"fields": {"lr": "floot"}}, ("fields",), "field lr: type must be int, float, str, bool"),
        ({"fields": {"lr": "float", "seed": "str"}}, ("fields",), "its config needs a field seed of type int"),
        ({"length": "lr"}, ("length",), "length names 'lr', which is no field of type int"),
        ({"length": 3}, ("length",), "length must be the name of a field, got 3"),
        ({"metrics": None}, ("metrics",), "metrics is required and not given (what the program prints)"),
        ({"metrics": {"step": None}}, ("metrics", "step"), "a metric may not be called step"),
        ({"metrics": {"loss": {"better": "up"}}}, ("metrics",), "metric loss: better must be higher or lower"),
        ({"resumes": "yes"}, ("resumes",), "resumes must be true or false, got 'yes'"),
        ({"grace_s": -1}, ("grace_s",), "grace_s must be 0 to 3600 seconds, got -1"),
        ({"grace_s": float("nan")}, ("grace_s",), "grace_s must be 0 to 3600 seconds, got nan"),
        ({"shell": True}, ("shell",), "unknown key 'shell'; known are command, fields, metrics"),
    ],
)
def test_a_fault_is_told_with_its_place(folder, changed, place, message):
    with pytest.raises(TrainerError) as caught:
        from_mapping(GIVEN | changed, folder)
    assert str(caught.value).startswith(message)
    assert caught.value.place == place


def test_the_length_may_be_unused(folder):
    trainer = from_mapping(GIVEN | {"command": "python train.py {lr} {seed}"}, folder)
    assert trainer.target(trainer.resolve({"lr": 1})) == 10


def test_a_text_that_no_program_can_be_given_is_a_fault_of_its_field(folder):
    trainer = from_mapping(GIVEN | {"fields": {"lr": "str", "steps": "int"}}, folder)
    with pytest.raises(ConfigError, match="lr: has a NUL character"):
        trainer.resolve({"lr": "a\0b", "steps": 3})


def test_the_code_is_the_files_that_the_command_names(folder):
    trainer = from_mapping(GIVEN, folder)
    before = trainer.code()
    assert len(before) == 16
    (folder / "other.py").write_text("", encoding="utf-8")
    assert trainer.code() == before
    (folder / "tools.py").write_text("x = 1\n", encoding="utf-8")
    changed = trainer.code()
    assert changed != before
    as_module = from_mapping(GIVEN | {"command": "python -m train {lr} {seed}"}, folder)
    assert as_module.code() == changed
    assert from_mapping(GIVEN | {"command": "train {lr} {seed}"}, folder).code() == ""
    (folder / "net.yaml").write_text("a", encoding="utf-8")
    with_file = from_mapping(GIVEN | {"command": "train net.yaml {lr} {seed}"}, folder)
    first = with_file.code()
    (folder / "net.yaml").write_text("b", encoding="utf-8")
    assert with_file.code() != first != ""
