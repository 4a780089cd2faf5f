"""Asks a tracking store for something small, as MLflow would but without loading it, to learn whether it answers."""

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

from sweeper.errors import TrackingError
from sweeper.tracking.address import SQLITE, explain, is_server, masked, sqlite_path

TIMEOUT_S = 5.0
_SEARCH = "/api/2.0/mlflow/experiments/search?max_results=1"


def reach(uri: str) -> str:
    """Return what the store at `uri` answered. Raises TrackingError, which has no password in it."""
    if uri.startswith(SQLITE):
        return _open_sqlite(sqlite_path(uri))
    if is_server(uri):
        return _search(uri)
    _knock(uri)
    return _log_in(uri)


def _open_sqlite(path: Path) -> str:
    if not path.exists():
        return "not there yet, the first run makes it"
    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=TIMEOUT_S)
        try:
            (count,) = connection.execute("SELECT COUNT(*) FROM experiments").fetchone()
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise TrackingError(f"{path}: no MLflow store that can be read ({error}); move it away") from None
    return f"opened, {count} experiments"


def _search(uri: str) -> str:
    parts = urlsplit(uri)
    bare = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="")).rstrip("/")
    request = urllib.request.Request(f"{bare}{_SEARCH}")
    for header in _credentials(parts.username, parts.password).items():
        request.add_unredirected_header(*header)  # another host has no business with it
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
    """Return the header that MLflow would send: a token, or the URI's or the environment's user and password."""
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
        return "start it with this host's name in MLFLOW_SERVER_ALLOWED_HOSTS, or check what the user may do"
    return "check that the address is an MLflow server's"


_PORTS = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}


def _knock(uri: str) -> None:
    """Connect to a database's port, which an unreachable host tells sooner than its driver does."""
    parts = urlsplit(uri)
    try:
        place = (parts.hostname or "localhost", parts.port or _PORTS[parts.scheme.partition("+")[0]])
        socket.create_connection(place, timeout=TIMEOUT_S).close()
    except OSError as error:
        raise TrackingError(f"{masked(uri)} doesn't answer ({error})") from None
    except ValueError:  # whose text has a piece of the URI
        raise TrackingError(f"{masked(uri)} has no port that can be read") from None


def _log_in(uri: str) -> str:
    """Log in to a database and ask it something, by the driver that MLflow would use; it has `TIMEOUT_S` for that."""
    try:
        import sqlalchemy
    except ModuleNotFoundError:
        return "its port answers; that it lets us in was not tried, since MLflow isn't installed"
    told: list[str | Exception] = []

    def ask() -> None:
        try:
            with sqlalchemy.create_engine(uri, poolclass=sqlalchemy.NullPool).connect() as connection:
                connection.execute(sqlalchemy.text("SELECT 1"))
                begun = sqlalchemy.inspect(connection).has_table("experiments")
            told.append("asked, it answers" if begun else "asked, it answers; the first run makes its tables")
        except Exception as error:  # every driver has errors of its own
            told.append(error)

    thread = threading.Thread(target=ask, daemon=True)  # drivers differ in how they are told a timeout
    thread.start()
    thread.join(TIMEOUT_S)
    answer = told[0] if told else None
    if answer is None:
        raise TrackingError(f"{masked(uri)}: its port answers, but it let nobody in within {TIMEOUT_S:g} s")
    if isinstance(answer, ModuleNotFoundError):
        raise TrackingError(f"{masked(uri)} needs the Python package {answer.name}, which isn't installed")
    if isinstance(answer, Exception):
        raise explain(answer, uri)
    return answer
