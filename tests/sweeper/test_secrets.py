"""A real MLflow server that wants a password: the wrong one gets nothing, and the right one is spread nowhere."""

import contextlib
import itertools
import os
import secrets
import signal
import sqlite3
import subprocess
import tempfile
import time
import zipfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest

from sweeper.tracking.address import UI_ENVIRONMENT
from tests.marked import marked
from tests.mlflow_server import start_server
from tests.sweeper.command import PROGRAM, pushing, start, sweeper, wait_for_pushes
from tests.sweeper.stores import free_port
from tests.sweeper.tiny import TINY, trained_in
from tests.waiting import HANG_S, wait_until

pytestmark = pytest.mark.slow

USER = "ada"
PASSWORD = secrets.token_hex(16)
WRONG = secrets.token_hex(16)
AUTH = """\
[mlflow]
default_permission = NO_PERMISSIONS
database_uri = sqlite:///{folder}/auth.db
admin_username = {user}
auth_cache_ttl_seconds = 60
authorization_function = mlflow.server.auth:authenticate_request_basic_auth
"""
LOCAL = ("--executor", "inline")


class Server(NamedTuple):
    """A server that wants a password: where it listens, where its files are, and its process."""

    port: int
    folder: Path
    pid: int

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def rows(self, table: str) -> int:
        with closing(sqlite3.connect(self.folder / "store.db")) as database:
            return database.execute(f"SELECT count(*) FROM {table}").fetchone()[0]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder, port = tmp_path_factory.mktemp("server"), free_port()
    (folder / "auth.ini").write_text(AUTH.format(folder=folder, user=USER))
    environment = {
        "MLFLOW_AUTH_CONFIG_PATH": str(folder / "auth.ini"),
        "MLFLOW_AUTH_ADMIN_PASSWORD": PASSWORD,
        "MLFLOW_FLASK_SERVER_SECRET_KEY": secrets.token_hex(16),
    }
    options = ["--backend-store-uri", f"sqlite:///{folder}/store.db", "--artifacts-destination", str(folder / "kept")]
    options += ["--app-name", "basic-auth", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    env = os.environ | UI_ENVIRONMENT | environment
    process = start_server(options, cwd=folder, env=env, log=folder / "server.log")
    try:
        wait_until(lambda: "200" in _answer(port) or process.poll() is not None, "the server")
        assert process.poll() is None, (folder / "server.log").read_text()
        yield Server(port, folder, process.pid)
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(HANG_S)


def _answer(port: int) -> str:
    command = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", f"http://127.0.0.1:{port}/health"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained_in(tmp_path_factory.mktemp("trained"))


@pytest.mark.parametrize(
    ("command", "given"),
    [("sync", "by the environment"), ("sync", "in the URI"), ("report", "in the URI"), ("report", "not at all")],
)
def test_a_wrong_password_reads_and_writes_nothing_and_the_message_says_so(server, trained, command, given):
    uri = f"http://{USER}:{WRONG}@127.0.0.1:{server.port}" if given == "in the URI" else server.uri
    named = {"MLFLOW_TRACKING_USERNAME": USER, "MLFLOW_TRACKING_PASSWORD": WRONG}
    extra = named if given == "by the environment" else {}
    before = {table: server.rows(table) for table in ("experiments", "runs", "tags", "params", "metrics")}
    ended = sweeper(command, "tiny.yaml", "--tracking-uri", uri, cwd=trained, **extra)
    assert ended.code not in (0, 1), ended
    assert "401" in ended.err, ended.err
    assert "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD" in " ".join(ended.err.split()), ended.err
    assert "Traceback" not in ended.err
    assert WRONG not in ended.out + ended.err
    assert {table: server.rows(table) for table in before} == before
    assert not (trained / "results" / "reports").exists()


def test_a_secret_is_in_no_log_id_tag_journal_message_report_or_export(server, tmp_path):
    (tmp_path / "tiny.yaml").write_text(TINY.replace("seeds: 2", "seeds: 1"))
    others = {name: secrets.token_hex(16) for name in ("AWS_SECRET_ACCESS_KEY", "RAY_AUTH_TOKEN", "PGPASSWORD")}
    known = {
        "MLFLOW_TRACKING_URI": f"http://{USER}:{PASSWORD}@127.0.0.1:{server.port}",
        "MLFLOW_TRACKING_USERNAME": USER,
        "MLFLOW_TRACKING_PASSWORD": PASSWORD,
    }
    before, said = server.rows("runs"), []
    for command in (
        ["run", "tiny.yaml", *LOCAL],
        ["sync", "tiny.yaml"],
        ["report", "tiny.yaml"],
        ["doctor"],
        ["export", "tiny.yaml", "--out", "all.zip"],
    ):
        ended = sweeper(*command, cwd=tmp_path, **known, **others)
        assert ended.code == 0 or command == ["doctor"], ended.err
        said.append(ended.out + ended.err)
    assert server.rows("runs") - before >= 2  # it was used, so there was something to spread
    places = {path: path.read_bytes() for path in [*tmp_path.rglob("*"), *server.folder.rglob("*")] if path.is_file()}
    with zipfile.ZipFile(tmp_path / "all.zip") as archive:
        places |= {Path("all.zip") / name: archive.read(name) for name in archive.namelist()}
    assert any(path.name == "journal.jsonl" for path in places)
    assert any(path.name == "report.html" for path in places)
    assert any(path.name == "trial.json.gz" for path in places)
    for secret in (PASSWORD, *others.values()):
        leaks = [str(path) for path, content in places.items() if secret.encode() in content or secret in str(path)]
        assert leaks == []
        assert [text for text in said if secret in text] == []


LATE = f"import sweeper.running.session as s; s.GRACE_S = 0; {PROGRAM}"
"""`sweeper` that leaves the last of the store to another process."""
MARK = "SWEEPER_TEST_OF_SECRETS"


def test_a_password_in_the_argument_reaches_no_other_command_line_and_no_file(server, tmp_path):
    """Not while the run lives, with Ray's daemons and workers and the process that sends the rest, and not after it."""
    (tmp_path / "tiny.yaml").write_text(TINY.replace("seeds: 2", "seeds: 1"))
    words = ["run", "tiny.yaml", "--workers", "1"]
    words += ["--tracking-uri", f"http://{USER}:{PASSWORD}@127.0.0.1:{server.port}"]
    with tempfile.TemporaryDirectory(prefix="s-", dir="/tmp", ignore_cleanup_errors=True) as short:  # Ray's sockets
        places, seen, leaks = (tmp_path, Path(short)), set[str](), set[str]()
        mark = {MARK: secrets.token_hex(8), "TMPDIR": short, "RAY_TMPDIR": short, "SPT_NOENV": "1"}
        process = start(words, tmp_path, program=LATE, fresh=True, **mark)
        for look in itertools.count():
            if process.poll() is not None and not pushing(tmp_path):
                break
            lines = marked(MARK, mark[MARK])
            own = lines.get(process.pid)  # a child has it too, between its fork and its program
            others = {pid: line for pid, line in lines.items() if pid != process.pid and line != own}
            seen |= {line.split(" ")[0].rpartition("/")[2] for line in others.values()}
            seen |= {"sender" for line in others.values() if " sweeper sync " in line}
            leaks |= {line for line in others.values() if PASSWORD in line}
            leaks |= _holding(PASSWORD, places) if look % 20 == 0 else set()
            time.sleep(0.05)
        out, err = process.communicate(timeout=HANG_S)
        wait_for_pushes(tmp_path)
        leaks |= _holding(PASSWORD, places)
        assert list(Path(short).rglob("raylet.out"))
    assert process.returncode == 0, err
    assert {"raylet", "gcs_server", "sender"} <= seen, seen
    assert leaks == set()
    assert PASSWORD not in out + err
    assert err.count("--tracking-uri has a password in it") == 1


def _holding(secret: str, places: tuple[Path, ...]) -> set[str]:
    """Return the files below `places` that hold `secret`."""
    found = set()
    for path in (path for place in places for path in place.rglob("*")):
        with contextlib.suppress(OSError):  # gone meanwhile
            if path.is_file() and secret.encode() in path.read_bytes():
                found.add(str(path))
    return found


@pytest.mark.parametrize("given", ["in the argument", "in a file", "by the environment"])
def test_only_a_password_in_the_argument_is_warned_of(server, trained, given):
    uri = f"http://{USER}:{PASSWORD}@127.0.0.1:{server.port}"
    (trained / "store").write_text(f"{uri}\n")
    words = {"in the argument": ["--tracking-uri", uri], "in a file": ["--tracking-uri", "@store"]}.get(given, [])
    extra = {"MLFLOW_TRACKING_URI": uri} if given == "by the environment" else {}
    ended = sweeper("sync", "tiny.yaml", *words, cwd=trained, **extra)
    assert ended.code == 0, ended.err
    assert ("has a password in it" in ended.err) == (given == "in the argument")
    assert PASSWORD not in ended.out + ended.err
