"""`sweeper ui` shows the store it was asked for, and its password to nobody."""

import os
import re
import socket
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from sweeper.cli.terminal import browser
from sweeper.planning.expand import expand
from sweeper.results.paths import Results
from sweeper.sweepfile.sweep import load
from tests.sweeper.command import start
from tests.sweeper.played import command, finish
from tests.sweeper.stores import free_port
from tests.sweeper.tiny import write_tiny
from tests.waiting import HANG_S, wait_until

PASSWORD = "hunter2-is-secret"
URI = f"postgresql://ada:{PASSWORD}@127.0.0.1:9/mlflow"


@pytest.fixture
def started(monkeypatch) -> list[tuple[Any, ...]]:
    """What would have taken the place of this process."""
    found: list[tuple[Any, ...]] = []
    monkeypatch.setattr(os, "execvpe", lambda *given: found.append(given))
    monkeypatch.setattr("sweeper.cli.ui.join_streams", lambda: None)
    return found


@pytest.mark.slow
def test_the_server_gets_the_store_by_its_environment_and_argv_has_no_password(tmp_path, started):
    ended = command("ui", "--results", tmp_path, "--tracking-uri", URI, "--port", free_port())
    assert ended.exit_code == 0, ended.output
    ((_, argv, environment),) = started
    assert environment["MLFLOW_BACKEND_STORE_URI"] == URI
    assert argv[1:4] == ["-m", "mlflow", "server"]
    assert PASSWORD not in " ".join(argv) + ended.output


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="command lines are read from /proc")
def test_others_may_read_no_password_in_the_command_line_and_the_server_needs_no_reader_of_stdout(tmp_path):
    process = start(["ui", "--port", str(free_port())], tmp_path, MLFLOW_TRACKING_URI=URI)
    try:
        line = Path(f"/proc/{process.pid}/cmdline")
        wait_until(lambda: b"mlflow\0server" in line.read_bytes() or process.poll() is not None, "mlflow server")
        assert process.poll() is None
        assert PASSWORD.encode() not in line.read_bytes()
        assert Path(f"/proc/{process.pid}/fd/1").readlink() == Path(f"/proc/{process.pid}/fd/2").readlink()
    finally:
        process.kill()
        out, err = process.communicate(timeout=HANG_S)
    assert PASSWORD not in out + err


def test_a_server_that_does_not_answer_is_one_sentence_without_a_link(tmp_path):
    uri = f"http://ada:secret@127.0.0.1:{free_port()}"
    ended = command("ui", "--results", tmp_path / "results", "--tracking-uri", uri)
    said = ended.output.splitlines()[-1]
    assert ended.exit_code != 0 and "secret" not in said and "MLflow:" not in ended.output
    why = "can't be read: Connection refused; start its server, or name another store with --tracking-uri"
    assert re.fullmatch(rf"the tracking store http://ada:\*\*\*@127.0.0.1:\d+ {why}", said)


@pytest.mark.slow
def test_a_link_to_the_table_of_each_sweep_is_printed_and_the_newest_is_opened(tmp_path, monkeypatch, started):
    opened = []
    monkeypatch.setattr("sweeper.cli.ui.open_later", lambda *given: opened.append(given))
    results = Results.at(tmp_path / "results")
    path = write_tiny(tmp_path)
    for spec in expand(load(path)):
        finish(results, spec)
    assert command("sync", path, "--results", results.root).exit_code == 0
    port = free_port()
    ended = command("ui", "--results", results.root, "--port", port)
    address = f"http://127.0.0.1:{port}/#/experiments/1/runs?workflowType=machine_learning&viewStateShareKey=sweeper"
    assert ended.exit_code == 0 and f"tiny: {address}" in ended.output
    assert f"MLflow: http://127.0.0.1:{port} (answers in a few seconds; Ctrl-C stops it)" in ended.output
    assert "earlier version" not in ended.output and opened == []  # no terminal
    with closing(sqlite3.connect(results.root / "mlflow.db")) as store, store:
        store.execute("DELETE FROM experiment_tags")
    ended = command("ui", "--results", results.root, "--port", port, "--open")
    assert "workflowType=machine_learning\n" in ended.output and "`sweeper sync FILE`" in ended.output
    assert opened == [(port, address.removesuffix("&viewStateShareKey=sweeper"))]


def test_the_browser_opens_once_the_server_answers_and_never_after_its_end(monkeypatch):
    opened = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    with socket.create_server(("127.0.0.1", 0)) as server:
        browser.main(server.getsockname()[1], "http://here", os.getppid())
        assert opened == ["http://here"]
        browser.main(server.getsockname()[1], "http://there", os.getpid())  # our parent is another process: it ended
    assert opened == ["http://here"]
