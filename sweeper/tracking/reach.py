"""Checks whether a tracking store answers, by a small request like MLflow's, without importing MLflow. Never writes."""

import base64
import json
import os
import socket
import sqlite3
import threading
import urllib.error
import urllib.request
from http.client import HTTPException
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from analysis.contract.store_schema import newer_than_installed
from sweeper.errors import TrackingError
from sweeper.tracking.address import SQLITE, explain, is_server, masked, sqlite_path

TIMEOUT_S = 5.0
_SEARCH = "/api/2.0/mlflow/experiments/search?max_results=1"


def reach(uri: str) -> str:
    """Return in a few words what the store at `uri` answered. Raises TrackingError, without any password."""
    if uri.startswith(SQLITE):
        return _open_sqlite(sqlite_path(uri))
    if is_server(uri):
        return _search(uri)
    _knock(uri)
    return _log_in(uri)


def _open_sqlite(path: Path) -> str:
    if not path.exists():
        return "doesn't exist yet, the first run creates it"
    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=TIMEOUT_S)
        try:
            (count,) = connection.execute("SELECT COUNT(*) FROM experiments").fetchone()
            (revision,) = connection.execute("SELECT version_num FROM alembic_version").fetchone() or ("",)
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise TrackingError(f"{path}: not a readable MLflow store ({error}); move it away") from None
    if revision and (newer := newer_than_installed(str(revision))):
        raise TrackingError(f"{path} {newer}")
    return f"opened, {count} experiments"


def _search(uri: str) -> str:
    parts = urlsplit(uri)
    bare = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="")).rstrip("/")
    request = urllib.request.Request(f"{bare}{_SEARCH}")
    for header in _credentials(parts.username, parts.password).items():
        request.add_unredirected_header(*header)  # a redirect must not send it to another host
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
            answer = json.load(answer)
    except urllib.error.HTTPError as error:
        error.close()
        raise TrackingError(f"{masked(uri)} answers {error.code} {error.reason}; {_meaning(error.code)}") from None
    except (OSError, HTTPException) as error:
        reason = getattr(error, "reason", error)
        raise TrackingError(f"{masked(uri)} doesn't answer ({reason})") from None
    except ValueError:
        raise TrackingError(f"{masked(uri)} answers, but not as an MLflow server does") from None
    if not isinstance(answer, dict):
        raise TrackingError(f"{masked(uri)} answers, but not as an MLflow server does")
    return "searched, it answers"


def _credentials(user: str | None, password: str | None) -> dict[str, str]:
    """Return the header that MLflow would send: a token, or user and password from the URI or the environment."""
    if token := os.environ.get("MLFLOW_TRACKING_TOKEN"):
        return {"Authorization": f"Bearer {token}"}
    user = unquote(user) if user else os.environ.get("MLFLOW_TRACKING_USERNAME")
    password = unquote(password) if password else os.environ.get("MLFLOW_TRACKING_PASSWORD", "")
    if not user:
        return {}
    return {"Authorization": f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"}


def _meaning(code: int) -> str:
    if code == 401:
        return "give a user and password in MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
    if code == 403:
        return "start it with this host's name in MLFLOW_SERVER_ALLOWED_HOSTS, or check the user's permissions"
    return "check that an MLflow server is at this address"


_PORTS = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}


def _knock(uri: str) -> None:
    """Connect to a database's port: this reports an unreachable host sooner than the database's driver."""
    parts = urlsplit(uri)
    try:
        place = (parts.hostname or "localhost", parts.port or _PORTS[parts.scheme.partition("+")[0]])
        socket.create_connection(place, timeout=TIMEOUT_S).close()
    except OSError as error:
        raise TrackingError(f"{masked(uri)} doesn't answer ({error})") from None
    except ValueError:  # its text quotes a part of the URI
        raise TrackingError(f"{masked(uri)} has no valid port") from None


def _log_in(uri: str) -> str:
    """Log in to a database and query it, with the driver that MLflow would use, within `TIMEOUT_S` seconds."""
    try:
        import sqlalchemy
    except ModuleNotFoundError:
        return "its port answers; a login was not tried, since MLflow isn't installed"
    answers: list[str | Exception] = []

    def ask() -> None:
        try:
            with sqlalchemy.create_engine(uri, poolclass=sqlalchemy.NullPool).connect() as connection:
                connection.execute(sqlalchemy.text("SELECT 1"))
                begun = sqlalchemy.inspect(connection).has_table("experiments")
                revisions = sqlalchemy.text("SELECT version_num FROM alembic_version")
                revision = connection.execute(revisions).scalar() if begun else None
            if revision and (newer := newer_than_installed(str(revision))):
                raise TrackingError(f"{masked(uri)} {newer}")
            answers.append("queried, it answers" if begun else "queried, it answers; the first run creates its tables")
        except Exception as error:  # every driver has its own errors
            answers.append(error)

    thread = threading.Thread(target=ask, daemon=True)  # drivers take a timeout in different ways
    thread.start()
    thread.join(TIMEOUT_S)
    answer = answers[0] if answers else None
    if answer is None:
        raise TrackingError(f"{masked(uri)}: its port answers, but no login succeeded within {TIMEOUT_S:g} s")
    if isinstance(answer, TrackingError):
        raise answer
    if isinstance(answer, ModuleNotFoundError):
        raise TrackingError(f"{masked(uri)} needs the Python package {answer.name}, which isn't installed")
    if isinstance(answer, Exception):
        raise explain(answer, uri)
    return answer
