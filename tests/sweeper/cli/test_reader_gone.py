"""A reader of stdout or stderr that is gone changes neither what a command does nor what its exit code says."""

import os
import subprocess
import sys

import click
import pytest

from sweeper.cli.options import errors_shown
from sweeper.planning.expand import expand
from sweeper.results.fold import fold
from sweeper.results.paths import Results
from sweeper.sweepfile.sweep import load
from tests.budget import budget
from tests.forks import fork
from tests.sweeper.command import PROGRAM, environment
from tests.sweeper.tiny import TINY
from tests.waiting import HANG_S

RUN = ["run", "tiny.yaml", "--executor", "inline", "--device", "cpu", "--tracking-uri", "none", "--json"]
MAIN = [sys.executable, "-m", "sweeper"]


def without(stream, words, folder):
    """Run `sweeper WORDS` with a `stream` that is a pipe without a reader, or is closed; return exit code and rest."""
    name, how = stream
    if how == "closed":  # as Python finds it at its start, so in an interpreter of its own
        command = ["sh", "-c", f'exec "$@" {"1" if name == "stdout" else "2"}>&-', "sh", *MAIN, *words]
        ended = subprocess.run(
            command, cwd=folder, env=environment(), capture_output=True, text=True, timeout=HANG_S, check=False
        )
        return ended.returncode, ended.stdout or ended.stderr
    reader, writer = os.pipe()
    os.close(reader)
    try:
        process = fork(PROGRAM, words, cwd=folder, env=environment(), **{name: writer})
    finally:
        os.close(writer)
    out, err = process.communicate(timeout=HANG_S)
    return process.returncode, out or err


@pytest.fixture
def sweep(tmp_path):
    (tmp_path / "tiny.yaml").write_text(TINY.replace("seeds: 2", "seeds: 1"))
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize(
    "stream",
    budget(
        [("stdout", "unread"), ("stderr", "closed")],
        [(name, how) for name in ("stdout", "stderr") for how in ("unread", "closed")],
    ),
)
def test_a_run_trains_everything_and_a_plan_ends_quietly(sweep, stream):
    code, told = without(stream, RUN, sweep)
    assert code == 0, told
    assert "Traceback" not in told
    results, specs = Results.at(sweep / "results"), expand(load(sweep / "tiny.yaml"))
    records = [fold(path) for path in results.root.rglob("journal.jsonl")]
    assert [record["status"] for record in records] == ["done"] * len(specs)
    code, told = without(stream, ["plan", "tiny.yaml"], sweep)
    assert code == 0, told
    assert "Traceback" not in told


@pytest.mark.slow
@pytest.mark.parametrize("name", ["stdout", "stderr"])
def test_an_error_keeps_its_exit_code(tmp_path, name):
    assert without((name, "unread"), ["run", "absent.yaml"], tmp_path)[0] == 2


def test_a_broken_pipe_of_something_else_is_an_error_of_the_environment():
    with pytest.raises(click.ClickException) as raised, errors_shown():
        raise BrokenPipeError(32, "Broken pipe")
    assert raised.value.exit_code == 4
    assert "run the same command again" in raised.value.message
