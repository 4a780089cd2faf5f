"""The doctor asks a tracking store whatever it is, gives up in time, and shows no password."""

import http.server
import socket
import sqlite3
import sys
import threading

import pytest

from analysis.contract.store_schema import known_revisions
from sweeper.errors import TrackingError
from sweeper.health import checks as doctor
from sweeper.tracking import reach

PASSWORD = "hunter2-is-secret"


class Answering(http.server.BaseHTTPRequestHandler):
    """Answers every request with the server's `answer` (status, text) and keeps what it was asked."""

    def do_GET(self):
        self.server.asked.append((self.path, self.headers.get("Authorization")))
        status, text = self.server.answer
        self.send_response(status)
        if status == 302:
            self.send_header("Location", f"http://localhost:{self.server.server_port}/elsewhere")
            self.server.answer = (200, "{}")
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server():
    with http.server.HTTPServer(("127.0.0.1", 0), Answering) as served:
        served.asked, served.answer = [], (200, '{"experiments": []}')
        thread = threading.Thread(target=served.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield served
        served.shutdown()
        thread.join()


def test_a_server_is_asked_for_its_experiments_with_the_password_and_shown_without(server, tmp_path):
    address = f"127.0.0.1:{server.server_port}"
    check = doctor.tracking(tmp_path, f"http://me:{PASSWORD}@{address}")
    assert check == ("tracking", "ok", f"http://me:***@{address}: searched, it answers", "")
    path, credentials = server.asked[0]
    assert path == "/api/2.0/mlflow/experiments/search?max_results=1"
    assert credentials == "Basic bWU6aHVudGVyMi1pcy1zZWNyZXQ="


def test_a_redirect_is_followed_without_the_password(server):
    server.answer = (302, "")
    reach.reach(f"http://me:{PASSWORD}@127.0.0.1:{server.server_port}")
    assert server.asked[1] == ("/elsewhere", None)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((401, ""), "401 Unauthorized; give a user and password"),
        ((403, ""), "MLFLOW_SERVER_ALLOWED_HOSTS"),
        ((404, ""), "check that an MLflow server is at this address"),
        ((200, "<html>"), "not as an MLflow server does"),
        ((200, "[]"), "not as an MLflow server does"),
    ],
)
def test_a_server_that_answers_amiss_is_bad_and_its_password_is_not_shown(server, tmp_path, answer, said):
    server.answer = answer
    check = doctor.tracking(tmp_path, f"http://me:{PASSWORD}@127.0.0.1:{server.server_port}")
    assert check.verdict == "bad"
    assert said in check.found
    assert PASSWORD not in "".join(check)


def test_a_server_that_never_answers_is_given_up(server, tmp_path, monkeypatch):
    monkeypatch.setattr(reach, "TIMEOUT_S", 0.2)
    release = threading.Event()
    monkeypatch.setattr(Answering, "do_GET", lambda handler: release.wait(10))
    try:
        check = doctor.tracking(tmp_path, f"http://127.0.0.1:{server.server_port}")
    finally:
        release.set()
    assert check.verdict == "bad"
    assert "timed out" in check.found


def test_a_sqlite_store_is_opened_and_not_made(tmp_path):
    place = tmp_path / "mlflow.db"
    check = doctor.tracking(tmp_path, None)
    assert (check.verdict, check.found.endswith("doesn't exist yet, the first run creates it")) == ("ok", True)
    assert not place.exists()
    with sqlite3.connect(place) as store:
        store.execute("CREATE TABLE experiments (name TEXT)")
        store.execute("INSERT INTO experiments VALUES ('tiny')")
        store.execute("CREATE TABLE alembic_version (version_num TEXT)")
        store.execute("INSERT INTO alembic_version VALUES (?)", (min(known_revisions()),))
    store.close()
    assert doctor.tracking(tmp_path, None).found.endswith("opened, 1 experiments")
    place.write_text("no database")
    assert doctor.tracking(tmp_path, None).verdict == "bad"
    assert place.read_text() == "no database"


def test_no_store_and_no_such_store_are_said(tmp_path):
    assert doctor.tracking(tmp_path, "none").verdict == "ok"
    assert doctor.tracking(tmp_path, "mlruns").verdict == "bad"
    with pytest.raises(TrackingError, match=r"postgresql://me:\*\*\*@127.0.0.1:9/x doesn't answer"):
        reach.reach(f"postgresql://me:{PASSWORD}@127.0.0.1:9/x")


DATABASE = f"postgresql://me:{PASSWORD}@127.0.0.1"


@pytest.fixture
def database(monkeypatch):
    """Return a setter of what SQLAlchemy's engine does, behind a port that answers; and the database's URI."""
    import sqlalchemy

    listening = socket.create_server(("127.0.0.1", 0))

    def behave(make) -> str:
        monkeypatch.setattr(sqlalchemy, "create_engine", lambda uri, **how: make(uri))
        return f"{DATABASE}:{listening.getsockname()[1]}/mlflow"

    yield behave
    listening.close()


def test_a_database_is_logged_in_to_and_asked(database, tmp_path):
    from sqlalchemy import create_engine, text
    from sqlalchemy.pool import StaticPool

    engine = create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})
    asked = []
    uri = database(lambda uri: asked.append(uri) or engine)
    assert reach.reach(uri) == "queried, it answers; the first run creates its tables"
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE experiments (name TEXT)"))
        connection.execute(text("CREATE TABLE alembic_version (version_num TEXT)"))
        connection.execute(text("INSERT INTO alembic_version VALUES (:known)"), {"known": min(known_revisions())})
    check = doctor.tracking(tmp_path, uri)
    assert (check.verdict, check.found.endswith(": queried, it answers")) == ("ok", True)
    assert asked == [uri, uri]
    assert PASSWORD not in "".join(check)
    engine.dispose()


def test_a_database_that_lets_nobody_in_is_bad_and_its_password_is_not_shown(database, tmp_path):
    def refuse(uri):
        raise ValueError(f"no password {PASSWORD} for {uri}")

    check = doctor.tracking(tmp_path, database(refuse))
    assert check.verdict == "bad"
    assert "no password *** for postgresql://me:***@" in check.found
    assert PASSWORD not in "".join(check)


def test_a_database_without_its_driver_says_which(database, tmp_path):
    def lack(uri):
        raise ModuleNotFoundError("No module named 'adriver'", name="adriver")

    check = doctor.tracking(tmp_path, database(lack))
    assert (check.verdict, check.found.endswith("needs the Python package adriver, which isn't installed")) == (
        "bad",
        True,
    )


def test_a_database_that_never_answers_is_given_up(database, tmp_path, monkeypatch):
    monkeypatch.setattr(reach, "TIMEOUT_S", 0.2)
    release = threading.Event()

    def hang(uri):
        release.wait(10)
        raise ValueError("late")

    check = doctor.tracking(tmp_path, database(hang))
    release.set()
    assert check.verdict == "bad"
    assert "no login succeeded within 0.2 s" in check.found


def test_without_sqlalchemy_only_the_port_is_tried_and_that_is_said(database, tmp_path, monkeypatch):
    uri = database(lambda uri: pytest.fail("it was asked"))
    monkeypatch.setitem(sys.modules, "sqlalchemy", None)
    check = doctor.tracking(tmp_path, uri)
    assert (check.verdict, "was not tried, since MLflow isn't installed" in check.found) == ("ok", True)
