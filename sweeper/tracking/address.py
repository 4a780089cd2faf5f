"""Where the tracking store is: the default, what a user may name, how it is quoted, and the command that shows it."""

import os
import re
import sys
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from urllib.parse import unquote, urlsplit

from sweeper.errors import SweepError, TrackingError

DATABASES = ("sqlite", "postgresql", "mysql", "mssql")
SERVERS = ("http", "https")
SQLITE = "sqlite:///"
HIDDEN = "***"

CREDENTIALS = re.compile(r"(?P<before>[^:/?#]+://[^:/?#@]*):(?P<password>.*)@", re.DOTALL)
"""Up to the last @: a password that nobody escaped may hold any letter, and too much hidden is better than too little.
"""
SECRET_IN_QUERY = re.compile(r"([?&][^=&]*(?:passw|pwd|token|secret|odbc_connect)[^=&]*=)([^&#]+)", re.IGNORECASE)

REFUSAL = re.compile(r"failed with error code (\d{3})|too many (\d{3}) error responses")
STATUSES = frozenset(HTTPStatus)
MEANING: Mapping[int, str] = {
    401: ", so it wants MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or others than these",
    403: ", so this user may not write there",
    404: ", so it is no MLflow server, or not at this address",
}

UI_ENVIRONMENT: Mapping[str, str] = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # runs jobs of the server's own; a viewer has none
}
"""For a server that only shows a store; see `ui_environment`."""


def default_uri(results: Path) -> str:
    """Return the sqlite store of a results folder, as an absolute URI; SweepError for a path that no URI can hold."""
    if any(letter in str(results.absolute()) for letter in "?#%"):
        raise SweepError(
            f"the results folder {str(results.absolute())!r} has ?, # or % in its path, which the URI of a tracking "
            f"store can't hold; use another --results"
        )
    return f"{SQLITE}{results.absolute() / 'mlflow.db'}"


def sqlite_path(uri: str) -> Path:
    """Return the file of the sqlite store at `uri`."""
    return Path(uri.removeprefix(SQLITE).partition("?")[0])


def default_artifact_root(results: Path) -> Path:
    """Return where artefacts go while the store is a database that this process writes itself."""
    return results.absolute() / "artifacts"


def artifact_folder(stored: str, uri: str, experiment: str) -> Path | None:
    """Return the local folder of a run's artefacts, None if they are not local; `stored` is where the store says.

    Where the folder that the store knows for its experiment is gone, as when the results were moved, it is beside
    the sqlite file.
    """
    location = urlsplit(stored)
    if location.scheme not in ("", "file"):
        return None
    folder = Path(unquote(location.path) if location.scheme else stored)  # <experiment's folder>/<run id>/artifacts
    if folder.parent.parent.is_dir() or not uri.startswith(SQLITE):
        return folder
    beside = default_artifact_root(Path(uri.removeprefix(SQLITE)).parent)
    return beside.joinpath(experiment, *folder.parts[-2:])


def resolve_uri(option: str | None, results: Path) -> str | None:
    """Return the store to use: `option`, else MLFLOW_TRACKING_URI, else the default; None when that says "none".

    Raises SweepError when it is no server and no database, or an sqlite path that can be no file.
    """
    given = option or os.environ.get("MLFLOW_TRACKING_URI")
    if not given:
        return default_uri(results)
    if given == "none":
        return None
    source = "--tracking-uri" if option else "MLFLOW_TRACKING_URI"
    _refuse_no_uri(given, source)
    kind, separator, place = given.partition("://")
    scheme = kind.partition("+")[0] if separator else ""
    if scheme not in DATABASES + SERVERS:
        raise SweepError(
            f"{source} is {masked(given)!r}, and MLflow no longer supports a folder as tracking store; give "
            f"http://host:port, sqlite:////folder/mlflow.db or another database, or none, or leave it out for "
            f"{default_uri(results)}"
        )
    if scheme == "sqlite":
        _refuse_no_file(given, place, source)
    return _absolute(given)


def _refuse_no_uri(given: str, source: str) -> None:
    found = CREDENTIALS.match(given)
    if found and any(letter in found["password"] for letter in "/?#"):
        raise SweepError(
            f"{source} is {masked(given)!r}, where what stands between : and @ holds a /, ? or #; write them as %2F, "
            f"%3F and %23 in a password, and an @ that ends no password as %40"
        )
    try:
        urlsplit(given)
    except ValueError as error:
        reason = _without_secrets(str(error), given)
        raise SweepError(
            f"{source} is {masked(given)!r}, which is no URI ({reason}); give e.g. http://host:port"
        ) from None


def _refuse_no_file(given: str, place: str, source: str) -> None:
    path = place.removeprefix("/").partition("?")[0]
    if not place.startswith("/") or not path or Path(path).is_dir():
        raise SweepError(
            f"{source} is {masked(given)!r}, which names no file; give three slashes and the path of one, "
            f"e.g. {SQLITE}mlflow.db or {SQLITE}/folder/mlflow.db"
        )


def is_server(uri: str) -> bool:
    """Return whether `uri` is an MLflow server, which then decides where artefacts lie."""
    return urlsplit(uri).scheme in SERVERS


def masked(uri: str) -> str:
    """Return `uri`, which may be none that can be read, with any password in it replaced by ***."""
    found = CREDENTIALS.match(uri)
    if found:
        uri = f"{found['before']}:{HIDDEN}@{uri[found.end() :]}"
    return SECRET_IN_QUERY.sub(rf"\1{HIDDEN}", uri)


def explain(error: Exception, uri: str) -> TrackingError:
    """Return the sentence for what went wrong with the store at `uri`, without its password."""
    told = str(error)
    if "Invalid Host header" in told:
        return TrackingError(
            f"the tracking server refuses to be called {urlsplit(uri).netloc.rpartition('@')[2]!r} (403); start it "
            f"with that name in MLFLOW_SERVER_ALLOWED_HOSTS, or give --tracking-uri with a name it allows"
        )
    reason = " ".join(_without_secrets(_answer(told) or _root_cause(error), uri).split())
    shortened = reason if len(reason) <= 300 else f"{reason[:297]}..."
    return TrackingError(
        f"the tracking store {masked(uri)} can't be written: {shortened}; trials and their journals go on "
        f"without it, so run `sweeper sync FILE` once it answers"
    )


def _answer(told: str) -> str | None:
    """Return what a server answered instead of what it was asked for; None if that isn't the trouble."""
    if "not in a valid JSON format" in told or told.startswith("Failed to parse "):
        return "it answers, but not as an MLflow server does"
    found = REFUSAL.search(told)
    if found is None:
        return None
    code = int(found[1] or found[2])
    return f"it answers {code} {HTTPStatus(code).phrase if code in STATUSES else ''}".rstrip() + MEANING.get(code, "")


def _without_secrets(text: str, uri: str) -> str:
    """Return `text` without the passwords of `uri`, however whoever wrote it spelt them."""
    text = text.replace(uri, masked(uri))
    found = CREDENTIALS.match(uri)
    secrets = ([found["password"]] if found else []) + [hit[2] for hit in SECRET_IN_QUERY.finditer(uri)]
    for secret in secrets:
        for spelt in (secret, unquote(secret)):
            text = text.replace(spelt, HIDDEN) if len(spelt) > 2 else text
    return text


def _root_cause(error: BaseException) -> str:
    """Return what the system said, if it did, rather than the wrappings that HTTP clients put around it."""
    told, inner = str(error), error.__cause__ or error.__context__
    while inner is not None:
        if isinstance(inner, OSError) and inner.strerror:
            told = inner.strerror
        inner = inner.__cause__ or inner.__context__
    return told


def ui_url(uri: str, port: int) -> str:
    """Return where a browser finds the store's UI, to be shown."""
    return masked(uri) if is_server(uri) else f"http://127.0.0.1:{port}"


def ui_command(uri: str, port: int) -> list[str]:
    """Return the command that serves the UI of `uri` on this machine alone; empty for a server, which has one.

    It runs in `ui_environment`. The URI isn't in it: everybody on the machine may read a command and its password.
    """
    if is_server(uri):
        return []
    server = [sys.executable, "-m", "mlflow", "server"]
    if uri.startswith(SQLITE):
        root = default_artifact_root(Path(uri.removeprefix(SQLITE)).parent)
        server += ["--default-artifact-root", str(root)]
    return [*server, "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]


def ui_environment(uri: str) -> dict[str, str]:
    """Return what to set for `ui_command`, beside the caller's environment."""
    return {**UI_ENVIRONMENT, "MLFLOW_BACKEND_STORE_URI": uri}


def _absolute(uri: str) -> str:
    """Return a relative sqlite path as an absolute one, since a UI or a later sync may start elsewhere."""
    if not uri.startswith(SQLITE):
        return uri
    return f"{SQLITE}{Path(uri.removeprefix(SQLITE)).absolute()}"
