"""Reads trial records from a tracking store. The only module that imports MLflow; it never writes or repairs a store.

`load` imports MLflow itself, because that takes two seconds: an absent store is refused before the import.
"""

import gzip
import json
import logging
import os
import tempfile
import zlib
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import unquote, urlsplit

from analysis.contract.record import ARTIFACT, SCHEMA_VERSION, TAG_KIND, TAG_SCHEMA, TAG_TRIAL_ID, TrialRecord
from analysis.contract.store_schema import LOGS_WHAT_IT_RAISES, other_schema
from analysis.errors import AnalysisError

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.store.entities.paged_list import PagedList
    from mlflow.tracking import MlflowClient

T = TypeVar("T")

QUERY = f"tags.`{TAG_KIND}` = 'trial'"
PAGE = 1000
SQLITE = "sqlite:///"
GZIPPED = b"\x1f\x8b"
"""First bytes of a gzipped file. An object store may declare the encoding; the HTTP client then unpacks the file."""
IMPATIENCE = {  # by default MLflow waits minutes for a server that is down, and downloads past it from the object store
    "MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """Records and run ids of the wanted trials by trial id. `unreadable`: run id -> trial id of runs without record.

    `damaged` says for some of the latter, by run id, what is wrong with their record and what to do.
    """

    records: dict[str, TrialRecord]
    run_ids: dict[str, str]
    unreadable: dict[str, str]
    damaged: dict[str, str] = field(default_factory=dict)


def load(tracking_uri: str, trial_ids: Collection[str], artifacts: Path | None = None) -> Loaded:
    """Return the records of the wanted trials from all experiments; a trial without a run is absent.

    If several experiments track a trial, the run with the highest outer step counts; of equal ones, the one with the
    most attempts, then the one in the newest experiment. `artifacts` is the folder of a results folder where local
    records are looked for first: the store may name the folder that this one was copied from. Raises AnalysisError if
    there is no store, if it doesn't answer, if a trial has two runs in one experiment, or if a record has another
    schema version.
    """
    _refuse_absent(tracking_uri)
    with _impatient():
        from mlflow.exceptions import MlflowException
        from mlflow.tracking import MlflowClient
        from sqlalchemy.exc import SQLAlchemyError

        logging.getLogger(LOGS_WHAT_IT_RAISES).setLevel(logging.CRITICAL)
        try:
            fetched = _fetch(MlflowClient(tracking_uri), tracking_uri, frozenset(trial_ids), artifacts)
        except (MlflowException, SQLAlchemyError, ImportError, OSError) as error:  # ImportError: a database's driver
            if other := other_schema(str(error)):
                raise AnalysisError(f"The tracking store {without_password(tracking_uri)} {other}") from error
            reason = _masked(str(error).partition("\n")[0], tracking_uri)
            raise AnalysisError(
                f"The tracking store {without_password(tracking_uri)} can't be read: {reason}; {_advice(reason)}, or "
                "name another store with --tracking-uri"
            ) from error
    best: dict[str, tuple[Run, TrialRecord]] = {}
    for run, record in sorted(fetched, key=lambda pair: _rank(*pair)):
        if not isinstance(record, str):
            best[record["trial_id"]] = (run, record)
    without = [(run, record) for run, record in fetched if isinstance(record, str)]
    return Loaded(
        records={trial_id: record for trial_id, (_, record) in best.items()},
        run_ids={trial_id: run.info.run_id for trial_id, (run, _) in best.items()},
        unreadable={run.info.run_id: run.data.tags[TAG_TRIAL_ID] for run, _ in without},
        damaged={run.info.run_id: trouble for run, trouble in without if trouble},
    )


def _rank(run: "Run", record: TrialRecord | str) -> tuple[int, int, int, str]:
    """Return what orders the runs of a trial: outer step, attempts, then experiments as the store numbered them."""
    number = run.info.experiment_id
    reached = (-1, 0) if isinstance(record, str) else (record["step"], len(record["attempts"]))
    return *reached, len(number), number


def _fetch(
    client: "MlflowClient", uri: str, wanted: frozenset[str], artifacts: Path | None
) -> "list[tuple[Run, TrialRecord | str]]":
    """Return the runs of the wanted trials, each with its record or what is wrong with that, "" if it has none."""
    runs = [run for run in _trial_runs(client) if run.data.tags.get(TAG_TRIAL_ID) in wanted]
    _refuse_duplicates(runs, uri)
    _refuse_other_schemas(runs, uri)
    return [(run, _record(client, run, uri, artifacts)) for run in runs]


def without_password(uri: str) -> str:
    """Return `uri` without user, password and query; the query may hold a database's password too."""
    host = urlsplit(uri).netloc
    bare = uri.replace(host, host.rpartition("@")[2], 1) if "@" in host else uri
    return bare.partition("?")[0]


def _masked(text: str, uri: str) -> str:
    credentials, query = urlsplit(uri).netloc.rpartition("@")[0], urlsplit(uri).query
    for secret in (f"{credentials}@" if credentials else "", f"?{query}" if query else ""):
        text = text.replace(secret, "") if secret else text
    return text


def _advice(reason: str) -> str:
    if "401" in reason:
        return "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD to a user and password that it accepts"
    return "check that the server runs (`sweeper ui`)"


def _refuse_absent(uri: str) -> None:
    if "://" not in uri and not uri.startswith("file:"):
        raise AnalysisError(
            f"There is no tracking store {uri!r}; name one with --tracking-uri, e.g. sqlite:////absolute/path.db or "
            "http://host:5000, and fill it with `sweeper sync`"
        )
    if not uri.startswith(SQLITE):
        return
    path = Path(uri.removeprefix(SQLITE).partition("?")[0])
    if not path.is_file():
        raise AnalysisError(
            f"There is no tracking store at {path}; run `sweeper run` or `sweeper sync` first, or name another with "
            "--results or --tracking-uri"
        )
    with path.open("rb") as file:
        if file.read(15) != b"SQLite format 3":
            raise AnalysisError(
                f"The tracking store {path} is not an SQLite database; name another with --tracking-uri"
            )


@contextmanager
def _impatient() -> Iterator[None]:
    """Set `IMPATIENCE` while reading; a variable that the user has set stays as it is."""
    added = [name for name in IMPATIENCE if name not in os.environ]
    os.environ.update({name: IMPATIENCE[name] for name in added})
    try:
        yield
    finally:
        for name in added:
            del os.environ[name]


def _trial_runs(client: "MlflowClient") -> "list[Run]":
    experiments = _every(lambda token: client.search_experiments(max_results=PAGE, page_token=token))
    ids = [experiment.experiment_id for experiment in experiments]
    return _every(lambda token: client.search_runs(ids, QUERY, max_results=PAGE, page_token=token)) if ids else []


def _every(page_at: "Callable[[str | None], PagedList[T]]") -> list[T]:
    """Return the entries of all pages; `page_at` fetches the page of a token, or the first page for None."""
    page = page_at(None)
    entries = list(page)
    while page.token:
        page = page_at(page.token)
        entries += page
    return entries


def _refuse_duplicates(runs: list["Run"], uri: str) -> None:
    seen: dict[tuple[str, str], list[str]] = {}
    for run in runs:
        seen.setdefault((run.info.experiment_id, run.data.tags[TAG_TRIAL_ID]), []).append(run.info.run_id)
    for (experiment, trial_id), run_ids in seen.items():
        if len(run_ids) > 1:
            raise AnalysisError(
                f"Trial {trial_id} has {len(run_ids)} runs in experiment {experiment} of {without_password(uri)}: "
                f"{', '.join(sorted(run_ids))}; run `sweeper sync`, which keeps one, or delete all but one"
            )


def _refuse_other_schemas(runs: list["Run"], uri: str) -> None:
    expected = str(SCHEMA_VERSION)
    versions = ((run.info.run_id, run.data.tags.get(TAG_SCHEMA, expected)) for run in runs)
    others = sorted(run_id for run_id, version in versions if version.isdecimal() and version != expected)
    if others:
        raise AnalysisError(
            f"{len(others)} runs in {without_password(uri)} don't have schema version {expected}: {', '.join(others)}; "
            "report on them with the version of sweeper that wrote them, or delete them and run `sweeper sync`"
        )


def _record(client: "MlflowClient", run: "Run", uri: str, artifacts: Path | None) -> TrialRecord | str:
    """Return the run's record, or what is wrong with it; "" if it has none yet."""
    location = urlsplit(run.info.artifact_uri)
    if location.scheme in ("", "file"):
        folder = Path(unquote(location.path) if location.scheme else run.info.artifact_uri)
        path = folder / ARTIFACT
        if artifacts is not None and (here := artifacts.joinpath(*folder.parts[-3:], ARTIFACT)).is_file():
            path = here
        if not path.is_file() and uri.startswith(SQLITE):
            path = _beside(client, run, uri)
        return _read(path, run) if path.is_file() else ""
    if ARTIFACT not in {artifact.path for artifact in client.list_artifacts(run.info.run_id)}:
        return ""
    with tempfile.TemporaryDirectory() as folder_for_it:
        return _read(Path(client.download_artifacts(run.info.run_id, ARTIFACT, folder_for_it)), run)


def _beside(client: "MlflowClient", run: "Run", uri: str) -> Path:
    """Return the record's path next to a store that was moved; MLflow still gives the old absolute path."""
    folder = Path(uri.removeprefix(SQLITE).partition("?")[0]).parent / "artifacts"
    named = folder.joinpath(*Path(unquote(urlsplit(run.info.artifact_uri).path)).parts[-3:], ARTIFACT)
    experiment = client.get_experiment(run.info.experiment_id).name
    return named if named.is_file() else folder / experiment / run.info.run_id / "artifacts" / ARTIFACT


def _read(path: Path, run: "Run") -> TrialRecord | str:
    trial_id = run.data.tags[TAG_TRIAL_ID]
    try:
        content = path.read_bytes()
        record = json.loads(gzip.decompress(content) if content.startswith(GZIPPED) else content)
        if record["trial_id"] == trial_id and record["schema"] == SCHEMA_VERSION:
            return record
        reason = f"it is of trial {record['trial_id']}, schema version {record['schema']}"
    except (EOFError, gzip.BadGzipFile, zlib.error, ValueError, LookupError, TypeError) as error:
        reason = str(error) or type(error).__name__
    return (
        f"the record {ARTIFACT} of trial {trial_id}, run {run.info.run_id}, is damaged or was sent in part ({reason}); "
        "the report goes on without it; `sweeper sync FILE` sends it again"
    )
