"""The reason why Ray did not start is found in the logs of its processes."""

import pytest

from sweeper.executors.ray.start_logs import reason_in, session_logs

QUIET = "[2026-11-27 14:46:52,437 I 11286 11286] (raylet) accessor.cc:475: Received address, IsAlive = 1\n"


@pytest.mark.parametrize(
    ("file", "text", "reason"),
    [
        ("raylet.err", "raylet: error while loading shared libraries: libx.so: cannot open shared object file\n",
         "raylet: raylet: error while loading shared libraries: libx.so: cannot open shared object file"),
        ("runtime_env_agent.err", "Traceback:\n  File ...\nModuleNotFoundError: No module named 'a'\n",
         "runtime_env_agent: ModuleNotFoundError: No module named 'a'"),
        ("gcs_server.out", f"{QUIET}[2026-11-27 14:46:52,437 E 1 2] (gcs_server) a.cc:1: Port 6379 is in use\n{QUIET}",
         "gcs_server: (gcs_server) a.cc:1: Port 6379 is in use"),
        ("raylet.out", QUIET * 3, ""),
    ],
)  # fmt: skip
def test_the_last_line_with_trouble_is_the_reason(tmp_path, file, text, reason):
    (tmp_path / file).write_text(text)
    assert reason_in(tmp_path) == reason


def test_every_process_in_trouble_is_named_in_the_order_of_their_start(tmp_path):
    (tmp_path / "dashboard_agent.err").write_text("ImportError: x")
    (tmp_path / "gcs_server.err").write_bytes(b"OSError: \xff" + b"y" * 1000)
    first, second = reason_in(tmp_path).split("; ")
    assert first.startswith("gcs_server: OSError: ") and len(first) < 330
    assert second == "dashboard_agent: ImportError: x"


def test_no_logs_have_no_reason(tmp_path, monkeypatch):
    assert reason_in(tmp_path / "none") == ""
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    assert session_logs(12) is None
    (tmp_path / "ray/session_2026-11-27_14-46-45_175109_12/logs").mkdir(parents=True)
    (tmp_path / "ray/session_2026-11-27_14-46-45_175109_112/logs").mkdir(parents=True)
    assert session_logs(12).parent.name.endswith("_175109_12")
