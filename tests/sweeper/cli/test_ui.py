"""`sweeper ui` shows the store it was asked for, and its password to nobody."""

import os
from pathlib import Path

import pytest

from tests.sweeper.command import start
from tests.sweeper.played import command
from tests.sweeper.stores import free_port
from tests.waiting import HANG_S, wait_until

PASSWORD = "hunter2-is-secret"
URI = f"postgresql://ada:{PASSWORD}@127.0.0.1:9/mlflow"


def test_the_server_gets_the_store_by_its_environment_and_argv_has_no_password(tmp_path, monkeypatch):
    started = []
    monkeypatch.setattr(os, "execvpe", lambda *given: started.append(given))
    ended = command("ui", "--results", tmp_path, "--tracking-uri", URI, "--port", free_port())
    assert ended.exit_code == 0, ended.output
    ((_, argv, environment),) = started
    assert environment["MLFLOW_BACKEND_STORE_URI"] == URI
    assert argv[1:4] == ["-m", "mlflow", "server"]
    assert PASSWORD not in " ".join(argv) + ended.output


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="command lines are read from /proc")
def test_no_password_is_in_the_command_line_that_others_may_read(tmp_path):
    process = start(["ui", "--port", str(free_port())], tmp_path, MLFLOW_TRACKING_URI=URI)
    try:
        line = Path(f"/proc/{process.pid}/cmdline")
        wait_until(lambda: b"mlflow\0server" in line.read_bytes() or process.poll() is not None, "mlflow server")
        assert process.poll() is None
        assert PASSWORD.encode() not in line.read_bytes()
    finally:
        process.kill()
        out, err = process.communicate(timeout=HANG_S)
    assert PASSWORD not in out + err
