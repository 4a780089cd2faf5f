"""What the shell completes: files, profiles, axes and their values, trial ids; nothing that trains is loaded."""

import os
import shutil
import subprocess
import sys

import pytest
from click.testing import CliRunner

from sweeper.cli import main
from sweeper.cli.completion import register
from tests.sweeper.command import PROGRAM, environment

SWEEP = """
version: 1
name: asked
question: Is it?
fixed: {use: strokes, order: first, outer_steps: 4, eval_every: 2, eval_episodes: 3}
matrix:
  inner_steps: [1, 3]
  zeroing:
    none: {}
    every step: {zero_head_every: 1}
seeds: 3
endpoint: {metric: test_accuracy, head: zeroed, steps: inner_steps, at: last, window: 1}
profiles:
  smoke: {fixed: {outer_steps: 2}}
  small: {seeds: 2}
  large: {seeds: 9}
"""
IDS = ("3fa4c1d2aaaaaaaa", "3fa4c1d2bbbbbbbb", "77aa000000000000")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "asked.yaml").write_text(SWEEP)
    for name in IDS:
        (tmp_path / "results/trials" / name).mkdir(parents=True)
    return tmp_path


def asking(*words, shell="bash"):
    """Return what a shell sets to ask for completions of `sweeper WORDS`, the last of which is begun."""
    return {
        "_SWEEPER_COMPLETE": f"{shell}_complete",
        "COMP_WORDS": "\n".join(("sweeper", *words)),
        "COMP_CWORD": str(len(words)),
    }


def completed(*words, shell="bash"):
    """Return what `sweeper WORDS`, the last of which is begun, completes to; bash's words end at `=`."""
    register()
    done = CliRunner(env=asking(*words, shell=shell)).invoke(main, prog_name="sweeper")
    assert (done.exit_code, done.stderr) == (0, "")
    return [line.partition(",")[2] for line in done.stdout.splitlines() if line.startswith("plain,")], done.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("ru",), ["run"]),
        (("run", "asked.yaml", "--profile", "s"), ["smoke", "small"]),
        (("run", "asked.yaml", "--only", ""), ["inner_steps=", "zeroing=", "seed=", *IDS]),
        (("run", "asked.yaml", "--only", "zeroing", "="), ["none", r"every\\ step"]),
        (("run", "asked.yaml", "--only", "zeroing", "=", "ev"), [r"every\\ step"]),
        (("run", "asked.yaml", "--only", "zeroing", "=", "none,in"), ["none,inner_steps="]),
        (("plan", "asked.yaml", "--only", "zeroing", "=", "none,seed", "="), ["0", "1", "2"]),
        (("run", "asked.yaml", "--rerun", "3fa4c1d2a"), [IDS[0]]),
        (("logs", "3f"), list(IDS[:2])),
        (("stop", "--results", "results", "7"), [IDS[2]]),
        (("logs", "--results", "nowhere", ""), []),
        (("run", "nowhere.yaml", "--profile", ""), []),
    ],
)
def test_what_bash_offers(folder, words, offered):
    assert completed(*words)[0] == offered


@pytest.mark.slow
def test_sweep_files_and_folders_are_left_to_the_shell(folder):
    assert completed("run", "as")[1] == "file,as\n"
    assert completed("run", "asked.yaml", "--results", "r")[1] == "dir,r\n"


@pytest.mark.slow
def test_a_completion_loads_nothing_that_trains_or_tracks(folder):
    heavy = "torch ray mlflow numba pandas scipy matplotlib seaborn rich"
    program = f"""
import atexit, sys
atexit.register(lambda: print([name for name in {heavy.split()} if name in sys.modules]))
{PROGRAM.replace("main()", "main(prog_name='sweeper')")}
"""
    asked = environment(**asking("run", "asked.yaml", "--only", "zeroing", "="))
    done = subprocess.run([sys.executable, "-c", program], cwd=folder, env=asked, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    *offered, loaded = done.stdout.splitlines()
    assert offered == ["plain,none", r"plain,every\\ step"] and loaded == "[]"


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_itself_puts_the_value_behind_the_axis(folder):
    command = folder / "bin/sweeper"
    command.parent.mkdir()
    command.write_text(f"#!{sys.executable}\n{PROGRAM.replace('main()', 'main(prog_name=' + repr('sweeper') + ')')}\n")
    command.chmod(0o755)
    script = """
eval "$(_SWEEPER_COMPLETE=bash_source sweeper)"
COMP_WORDS=(sweeper run asked.yaml --only zeroing = ev) COMP_CWORD=6
_sweeper_completion sweeper ev =
printf '%s\n' "${COMPREPLY[@]}"
"""
    env = environment(PATH=f"{command.parent}:{os.environ['PATH']}")
    done = subprocess.run(["bash", "-c", script], cwd=folder, env=env, capture_output=True, text=True)
    assert done.stdout.splitlines() == ["every\\ step"], done.stderr
