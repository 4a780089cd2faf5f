"""Writes trials into an MLflow experiment, one run each; the one file of sweeper that imports mlflow.

The store is a view: whatever it holds can be made again from the journals, and every write can be repeated without
effect, so a push that was cut off is simply done again. No active run, no global URI, no default store.
"""

import importlib
import json
import logging
import os
import random
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import ModuleType

from analysis.contract.record import ARTIFACT, TrialRecord, passes
from sweeper.errors import TrackingError
from sweeper.tracking import run_contents as tracked
from sweeper.tracking.address import SQLITE, artifact_folder, explain, is_server, masked, sqlite_path
from sweeper.tracking.limits import LONGEST_NAME, LONGEST_PARAM, LONGEST_TAG, fitted, fitted_values
from sweeper.tracking.open_lock import only_opener
from sweeper.tracking.run_contents import RUN_STATUS, CellSummary, Point, Shown, TrackedTrial
from sweeper.tracking.run_lookup import Key, ShownRuns

METRICS_A_BATCH = 1000  # MLflow's limits, as is the next
LONGEST_DIGEST = 36
TRIES = 6
COLLISION = "IntegrityError"
"""MLflow looks before it inserts, so of two that write the same row at once one is told this by the database."""
LONGEST_PAUSE_S = 0.5


class MlflowTracker:
    """One experiment of one store; for one thread at a time."""

    def __init__(self, uri: str, experiment: str, artifact_root: Path | None) -> None:
        """Open the store, create its tables if it is new, and load what the experiment shows.

        `artifact_root` is where artefacts go when this process writes the database itself; a server decides for
        itself. Raises TrackingError.
        """
        self.uri, self.experiment = uri, experiment
        self._mlflow = _load_mlflow()
        with self._explaining():
            with only_opener(uri):
                if uri.startswith(SQLITE):
                    self._make(sqlite_path(uri))
                self._client = self._mlflow.MlflowClient(tracking_uri=uri)
                self._experiment_id = self._open_experiment(artifact_root)
            self._runs = ShownRuns(self._mlflow, self._client, self._experiment_id)

    def _make(self, database: Path) -> None:
        """Make a new database whole or not at all: half of MLflow's tables could be neither used nor made again."""
        if database.exists() and database.stat().st_size:
            return
        for half in database.parent.glob(f".{database.name}.*"):  # of one who was killed here, since we hold the lock
            half.unlink()
        fresh = database.with_name(f".{database.name}.{os.getpid()}")
        self._mlflow.MlflowClient(tracking_uri=f"{SQLITE}{fresh}").search_experiments(max_results=1)
        fresh.replace(database)

    @property
    def deleted(self) -> list[str]:
        """Trials whose run was deleted by hand: they stay deleted."""
        return [identity for kind, identity in self._runs.deleted if kind == "trial"]

    def push(self, record: TrialRecord, trial: TrackedTrial) -> None:
        """Bring the trial's run up to `record`, creating it if need be; does nothing for one that was deleted.

        Raises TrackingError; pushing this record or a newer one later makes up for it.
        """
        with self._explaining():
            tags = fitted_values(tracked.tags(record, trial), LONGEST_TAG)
            start_ms, name = tracked.first_time_ms(record), fitted(trial.name, LONGEST_NAME)
            self._show(("trial", trial.trial_id), name, start_ms, lambda run: self._push(run, record, trial, tags))

    def _push(self, run: Shown, record: TrialRecord, trial: TrackedTrial, tags: Mapping[str, str]) -> None:
        if run.is_whole(tags) and not self._lost_artifact(run):
            return
        self._describe_data(run, record, tags[tracked.TAG_DATA_DIGEST])
        self._archive(run, record)
        name = fitted(trial.name, LONGEST_NAME)
        self._set_state(run, name, RUN_STATUS[record["status"]], tracked.last_time_ms(record))
        unsent = [point for point in tracked.points(record) if (point.key, point.step) not in run.sent]
        self._write(run, unsent, tracked.params(record, trial), tags)
        if record["status"] != "running":
            run.sent.clear()  # spares memory; a trial that grows sends again, and the store drops what it has

    def push_cells(self, cells: Iterable[CellSummary]) -> None:
        """Bring one summary run a cell up to date, creating those that are new. Raises TrackingError."""
        now_ms = time.time_ns() // 1_000_000
        for cell in cells:
            with self._explaining():
                self._show(("cell", cell.cell), cell.name, now_ms, partial(self._push_cell, cell, now_ms))

    def _push_cell(self, cell: CellSummary, now_ms: int, run: Shown) -> None:
        tags = fitted_values(cell.tags(self.experiment), LONGEST_TAG)
        if not run.is_whole(tags):
            self._set_state(run, fitted(cell.name, LONGEST_NAME), "FINISHED", now_ms)
            self._write(run, cell.points(now_ms), cell.labels, tags)

    @contextmanager
    def _explaining(self) -> Iterator[None]:
        """Turn what MLflow and the way to its store raise into a TrackingError."""
        told = (
            self._mlflow.MlflowException,
            importlib.import_module("sqlalchemy.exc").SQLAlchemyError,  # a file that is no database
            importlib.import_module("google.protobuf.json_format").ParseError,  # an answer of another shape
            OSError,  # of requests, and of the disk
            ImportError,  # a database's driver
            ValueError,  # a variable MLFLOW_... with something else in it, an address that is none
        )
        try:
            yield
        except told as error:
            raise explain(error, self.uri) from error

    def _show(self, key: Key, name: str, start_ms: int | None, write: Callable[[Shown], None]) -> None:
        """Call `write` with the run of a trial or cell.

        Again where another process was in the way: it has set that run aside, or written the same rows at once.
        """
        for tried in range(TRIES):
            run = self._runs.open(key, name, start_ms)
            if run is None:
                return
            try:
                write(run)
            except self._mlflow.MlflowException as error:
                collided = COLLISION in str(error)
                if tried + 1 == TRIES or not (collided or self._runs.was_deleted(key, run, error.error_code)):
                    raise
                if collided:
                    time.sleep(random.uniform(0.0, LONGEST_PAUSE_S))
            else:
                return

    def _open_experiment(self, artifact_root: Path | None) -> str:
        found = self._client.get_experiment_by_name(self.experiment)
        if found is None:
            location = None
            if artifact_root is not None and not is_server(self.uri):
                location = str(artifact_root / self.experiment)
                Path(location).mkdir(parents=True, exist_ok=True)  # its absence later says that the results were moved
            try:
                return self._client.create_experiment(self.experiment, artifact_location=location)
            except self._mlflow.MlflowException as error:
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
                found = self._client.get_experiment_by_name(self.experiment)  # another process was faster
        if not found.experiment_id:
            raise explain(ValueError("it answers, but not as an MLflow server does"), self.uri)
        if found.lifecycle_stage == "deleted":
            raise TrackingError(
                f"experiment {self.experiment!r} was deleted from the tracking store; bring it back with "
                f"`MLFLOW_TRACKING_URI={masked(self.uri)} mlflow experiments restore -x {found.experiment_id}`, "
                f"or give another --tracking-uri"
            )
        return found.experiment_id

    def _describe_data(self, run: Shown, record: TrialRecord, digest: str) -> None:
        if tracked.TAG_DATA_DIGEST in run.tags:
            return
        entities, name = self._mlflow.entities, record["config"]["dataset"]
        dataset = entities.Dataset(name, digest[:LONGEST_DIGEST], "trainers.catalog", json.dumps({"name": name}))
        context = entities.InputTag("mlflow.data.context", "training")
        self._client.log_inputs(run.run_id, datasets=[entities.DatasetInput(dataset, [context])])

    def _archive(self, run: Shown, record: TrialRecord) -> None:
        """Write the artefact, if an evaluation came or the trial ended since this process wrote it."""
        ended_at = 0 if record["status"] == "running" else record["step"]
        stage = (len(passes(record)), record["status"], ended_at)
        if run.archived == stage:
            return
        folder = artifact_folder(run.artifact_uri, self.uri, self.experiment)
        with tempfile.TemporaryDirectory() as outbox:
            path = Path(outbox) / ARTIFACT
            path.write_bytes(tracked.artifact(record))
            if folder is None:
                self._client.log_artifact(run.run_id, str(path))
            else:
                folder.mkdir(parents=True, exist_ok=True)  # not by MLflow, which knows only where it once was
                shutil.copy(path, folder)
        run.archived = stage

    def _lost_artifact(self, run: Shown) -> bool:
        folder = artifact_folder(run.artifact_uri, self.uri, self.experiment)
        return folder is not None and not (folder / ARTIFACT).is_file()

    def _set_state(self, run: Shown, name: str, status: str, end_ms: int | None) -> None:
        if status != "RUNNING":
            self._client.set_terminated(run.run_id, status, end_ms)
        if (run.status, run.name) != (status, name):
            self._client.update_run(run.run_id, status, name)
        run.status, run.name = status, name

    def _write(self, run: Shown, unsent: list[Point], params: Mapping[str, str], tags: Mapping[str, str]) -> None:
        """Send points, new params and changed tags; the tags last, since one of them says that all is there.

        A param can't be changed in MLflow: an axis value that was renamed keeps its first name here.
        """
        entities, run_id = self._mlflow.entities, run.run_id
        for start in range(0, len(unsent), METRICS_A_BATCH):
            batch = unsent[start : start + METRICS_A_BATCH]
            self._client.log_batch(run_id, [entities.Metric(p.key, p.value, p.time_ms, p.step) for p in batch])
            run.sent.update((point.key, point.step) for point in batch)
        new_params = {key: fitted(value, LONGEST_PARAM) for key, value in params.items() if key not in run.params}
        new_tags = {key: value for key, value in tags.items() if run.tags.get(key, "") != value}
        if new_params or new_tags:
            as_params = [entities.Param(*pair) for pair in new_params.items()]
            self._client.log_batch(run_id, (), as_params, [entities.RunTag(*pair) for pair in new_tags.items()])
            run.params.update(new_params)
            run.tags.update(new_tags)


def _load_mlflow() -> ModuleType:
    """Import MLflow with its habits set: no telemetry, no silent cutting, no minutes spent on a dead server."""
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    os.environ["MLFLOW_TRUNCATE_LONG_VALUES"] = "false"
    os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"
    os.environ["MLFLOW_ENABLE_ASYNC_LOGGING"] = "false"  # a write that returns has been written
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
    try:
        mlflow = importlib.import_module("mlflow")
    except ModuleNotFoundError as error:
        raise TrackingError(
            f"MLflow can't be loaded ({error}); install it with `pip install mlflow`, or give --tracking-uri none and "
            f"send the journals later with `sweeper sync FILE`"
        ) from None
    for chatty in ("alembic", "mlflow"):  # MLflow sets these when it is imported
        logging.getLogger(chatty).setLevel(logging.WARNING)
    logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)  # it tells of every try that failed
    return mlflow
