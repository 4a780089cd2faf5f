"""`python -m trainers CONFIG.yaml` trains with no orchestrator, and says what is wrong with a config."""

import json
import subprocess
import sys

import pytest

from tests.waiting import HANG_S
from trainers.__main__ import main

CONFIG = """\
use: strokes
channels: 4
ways: 3
queries: 3
meta_batch_size: 2
outer_steps: 3
eval_every: 0
eval_episodes: 2
"""

# A finder that refuses to import any orchestrator, so that the run proves that none is needed.
PROGRAM = """\
import runpy, sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("ray", "mlflow", "click", "rich", "pandas", "sweeper", "analysis"):
            raise ImportError(f"{name} is not installed")
sys.meta_path.insert(0, Refuse())
sys.argv = ["trainers", *sys.argv[1:]]
runpy.run_module("trainers", run_name="__main__")
"""


@pytest.mark.slow
def test_it_prints_what_is_measured_as_json_lines_with_no_orchestrator_installed(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(CONFIG)
    command = [sys.executable, "-c", PROGRAM, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=HANG_S)
    assert done.returncode == 0, done.stderr
    records = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(record["step"], record["key"]) for record in records] == [
        (1, "training"),
        (3, "evaluation"),
        (3, "scores"),
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("use: omniglt\n", "config.yaml: use: 'omniglt' is not a protocol; known are mini_imagenet, omniglot, strokes"),
        ("use: strokes\narithmetic: tf32\n", "arithmetic tf32 needs --device cuda; a CPU does not support it"),
        ("use: strokes\nways: 1\nshotz: 2\n", "config.yaml: shotz: unknown field"),
        ("- a list\n", "config.yaml: a config maps field names to values"),
        ("a: [1\n", "config.yaml: "),
        ("ways: 5\nways: 6\n", 'found duplicate key "ways"'),
    ],
)
def test_a_wrong_config_is_one_line_and_exit_2(tmp_path, capsys, text, words):
    path = tmp_path / "config.yaml"
    path.write_text(text)
    assert main([str(path)]) == 2
    printed, said = capsys.readouterr()
    assert words in said
    assert printed == ""


def test_a_missing_data_set_says_where_it_was_looked_for(tmp_path, capsys):
    path = tmp_path / "config.yaml"
    path.write_text("use: omniglot\n")
    assert main([str(path), "--data-root", str(tmp_path / "nothing")]) == 2
    assert str(tmp_path / "nothing") in capsys.readouterr().err
