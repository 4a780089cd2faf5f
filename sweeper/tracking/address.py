"""The tracking store's address: its default, its checks, its masked form, and the command of its UI. Never connects."""

import os
import re
import sys
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from urllib.parse import unquote, urlsplit

from analysis.contract.store_schema import other_schema
from sweeper.errors import SweepError, TrackingError

DATABASES = ("sqlite", "postgresql", "mysql", "mssql")
SERVERS = ("http", "https")
SQLITE = "sqlite:///"
HIDDEN = "***"
ARTIFACTS = "artifacts"
"""The folder for artefacts in a results folder."""

CREDENTIALS = re.compile(r"(?P<before>[^:/?#]+://[^:/?#@]*):(?P<password>.*)@", re.DOTALL)
"""Matches up to the last @: an unescaped password may hold any character, and hiding too much is safer."""
SECRET_IN_QUERY = re.compile(r"([?&][^=&]*(?:passw|pwd|token|secret|odbc_connect)[^=&]*=)([^&#]+)", re.IGNORECASE)

REFUSAL = re.compile(r"failed with error code (\d{3})|too many (\d{3}) error responses")
STATUSES = frozenset(HTTPStatus)
MEANING: Mapping[int, str] = {
    401: ", so set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or correct them",
    403: ", so this user may not write there",
    404: ", so no MLflow server is at this address",
}

UI_ENVIRONMENT: Mapping[str, str] = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # a viewer runs no jobs of the server's own
}
"""Environment of a server that only shows a store; see `ui_environment`."""


def default_uri(results: Path) -> str:
    """Return the absolute URI of a results folder's sqlite store. Raises SweepError if no URI can hold its path."""
    if any(letter in str(results.absolute()) for letter in "?#%"):
        raise SweepError(
            f"the results folder {str(results.absolute())!r} has ?, # or % in its path, which the URI of a tracking "
            f"store can't hold; name another folder with --results"
        )
    return f"{SQLITE}{results.absolute() / 'mlflow.db'}"


def sqlite_path(uri: str) -> Path:
    """Return the path of the sqlite file at `uri`."""
    return Path(uri.removeprefix(SQLITE).partition("?")[0])


def default_artifact_root(results: Path) -> Path:
    """Return the folder for artefacts if the store is a database that this process writes itself."""
    return results.absolute() / ARTIFACTS


def artifact_folder(stored: str, uri: str, root: Path | None) -> Path | None:
    """Return the local folder of a run's artefacts, or None if they are remote. `stored` is the store's address for it.

    A results folder may be copied or moved, and the store then names the folder that it was. So artefacts that lie in a
    results folder are always taken to lie below `root`, the artefacts of the folder that is opened.
    """
    location = urlsplit(stored)
    if location.scheme not in ("", "file"):
        return None
    folder = Path(unquote(location.path) if location.scheme else stored)  # <root>/<experiment>/<run id>/artifacts
    if root is None and uri.startswith(SQLITE) and not folder.parent.parent.is_dir():
        root = default_artifact_root(sqlite_path(uri).parent)
    if root is None or len(folder.parents) < 4 or folder.parents[2].name != ARTIFACTS:
        return folder
    return root.joinpath(*folder.parts[-3:])


def given_uri(option: str) -> str:
    """Return the URI that the option's value names: itself, or the content of FILE if it is @FILE.

    Raises SweepError if there is no such text file, or if it is empty.
    """
    if not option.startswith("@"):
        return option
    file = Path(option[1:])
    try:
        uri = file.expanduser().read_text(encoding="utf-8").strip()
    except (OSError, RuntimeError, ValueError) as error:
        why = getattr(error, "strerror", None) or "it is not a text file"
        raise SweepError(f"--tracking-uri {option}: {why}; name a file that holds the URI of a store") from None
    if not uri:
        raise SweepError(f"--tracking-uri {option}: the file is empty; write the URI of a store into it")
    return uri


def holds_secret(uri: str) -> bool:
    """Return whether `uri` holds a password or another secret."""
    return masked(uri) != uri


def resolve_uri(option: str | None, results: Path) -> str | None:
    """Return the store to use: `option`, else MLFLOW_TRACKING_URI, else the default; None if that is "none".

    Raises SweepError if it is neither a server nor a database, or an sqlite URI that names no file.
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
            f"http://host:port, a database such as sqlite:////folder/mlflow.db, or none; without it the store is "
            f"{default_uri(results)}"
        )
    if scheme == "sqlite":
        _refuse_no_file(given, place, source)
    return _absolute(given)


def _refuse_no_uri(given: str, source: str) -> None:
    found = CREDENTIALS.match(given)
    if found and any(letter in found["password"] for letter in "/?#"):
        raise SweepError(
            f"{source} is {masked(given)!r}, where the part between : and @ holds a /, ? or #; in a password write "
            f"them as %2F, %3F and %23, and outside one write @ as %40"
        )
    try:
        urlsplit(given)
    except ValueError as error:
        reason = _without_secrets(str(error), given)
        raise SweepError(
            f"{source} is {masked(given)!r}, which is not a URI ({reason}); give e.g. http://host:port"
        ) from None


def _refuse_no_file(given: str, place: str, source: str) -> None:
    path = place.removeprefix("/").partition("?")[0]
    if not place.startswith("/") or not path or Path(path).is_dir():
        raise SweepError(
            f"{source} is {masked(given)!r}, which names no file; give three slashes and a file's path, "
            f"e.g. {SQLITE}mlflow.db or {SQLITE}/folder/mlflow.db"
        )


def is_server(uri: str) -> bool:
    """Return whether `uri` is an MLflow server. A server decides itself where artefacts are stored."""
    return urlsplit(uri).scheme in SERVERS


def masked(uri: str) -> str:
    """Return `uri` with any password in it replaced by ***. `uri` may be malformed."""
    found = CREDENTIALS.match(uri)
    if found:
        uri = f"{found['before']}:{HIDDEN}@{uri[found.end() :]}"
    return SECRET_IN_QUERY.sub(rf"\1{HIDDEN}", uri)


def explain(error: Exception, uri: str, *, reading: bool = False) -> TrackingError:
    """Return an error that says in a sentence what went wrong with the store at `uri`, without its password.

    `reading` says that the store was only to be read, so no trial waits for it.
    """
    text = str(error)
    if "Invalid Host header" in text:
        return TrackingError(
            f"the tracking server refuses the host name {urlsplit(uri).netloc.rpartition('@')[2]!r} (403); start it "
            f"with that name in MLFLOW_SERVER_ALLOWED_HOSTS, or give --tracking-uri with a name it allows"
        )
    if other := other_schema(text):
        return TrackingError(
            f"the tracking store {masked(uri)} {other}; trials and their journals go on without it; then run "
            f"`sweeper sync FILE`"
        )
    reason = " ".join(_without_secrets(_answer(text) or _root_cause(error), uri).split())
    shortened = reason if len(reason) <= 300 else f"{reason[:297]}..."
    if reading:
        return TrackingError(
            f"the tracking store {masked(uri)} can't be read: {shortened}; start its server, or name another store "
            f"with --tracking-uri"
        )
    return TrackingError(
        f"the tracking store {masked(uri)} can't be written: {shortened}; trials and their journals go on "
        f"without it; run `sweeper sync FILE` when it answers again"
    )


def _answer(text: str) -> str | None:
    """Return what the server's unexpected answer means; None if `text` isn't about an answer."""
    if "not in a valid JSON format" in text or text.startswith("Failed to parse "):
        return "it answers, but not as an MLflow server does"
    found = REFUSAL.search(text)
    if found is None:
        return None
    code = int(found[1] or found[2])
    return f"it answers {code} {HTTPStatus(code).phrase if code in STATUSES else ''}".rstrip() + MEANING.get(code, "")


def _without_secrets(text: str, uri: str) -> str:
    """Return `text` without the passwords of `uri`, escaped or not."""
    text = text.replace(uri, masked(uri))
    found = CREDENTIALS.match(uri)
    secrets = ([found["password"]] if found else []) + [hit[2] for hit in SECRET_IN_QUERY.finditer(uri)]
    for secret in secrets:
        for spelling in (secret, unquote(secret)):
            text = text.replace(spelling, HIDDEN) if len(spelling) > 2 else text
    return text


def _root_cause(error: BaseException) -> str:
    """Return the operating system's message, if there is one, without what HTTP clients put around it."""
    message, inner = str(error), error.__cause__ or error.__context__
    while inner is not None:
        if isinstance(inner, OSError) and inner.strerror:
            message = inner.strerror
        inner = inner.__cause__ or inner.__context__
    return message


def ui_url(uri: str, port: int) -> str:
    """Return the address of the store's UI for a browser, with any password masked."""
    return masked(uri) if is_server(uri) else f"http://127.0.0.1:{port}"


def ui_command(uri: str, port: int) -> list[str]:
    """Return the command that serves the UI of `uri` on this machine only; empty for a server, which has a UI.

    Run it in `ui_environment`, which holds the URI: every user of the machine can read a command and a password in it.
    """
    if is_server(uri):
        return []
    server = [sys.executable, "-m", "mlflow", "server"]
    if uri.startswith(SQLITE):
        root = default_artifact_root(Path(uri.removeprefix(SQLITE)).parent)
        server += ["--default-artifact-root", str(root)]
    return [*server, "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]


def ui_environment(uri: str) -> dict[str, str]:
    """Return the variables that `ui_command` needs besides the caller's environment."""
    return {**UI_ENVIRONMENT, "MLFLOW_BACKEND_STORE_URI": uri}


def _absolute(uri: str) -> str:
    """Return `uri` with an absolute sqlite path, since a UI or a later sync may start in another folder."""
    if not uri.startswith(SQLITE):
        return uri
    return f"{SQLITE}{Path(uri.removeprefix(SQLITE)).absolute()}"
