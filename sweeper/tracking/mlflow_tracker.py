"""Writes trials into an MLflow experiment, one run each. The only file of sweeper that imports mlflow.

The store is a view: everything in it can be made again from the journals. Repeating a write has no effect, so an
interrupted push is simply repeated. Uses no active run, no global URI and no default store.
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

METRICS_A_BATCH = 1000  # MLflow's limit
LONGEST_DIGEST = 36  # MLflow's limit
TRIES = 6
COLLISION = "IntegrityError"
"""MLflow searches before it inserts. If two processes insert one row at once, one of them gets this error."""
LONGEST_PAUSE_S = 0.5


class MlflowTracker:
    """One experiment of one store. Only one thread may use it at a time."""

    def __init__(self, uri: str, experiment: str, artifact_root: Path | None) -> None:
        """Open the store, create its tables if it is new, and load the experiment's runs.

        `artifact_root` is the folder for artefacts if this process writes the database itself; a server has its own.
        Raises TrackingError.
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
        """Create a new database completely or not at all: MLflow can neither use nor complete half of its tables."""
        if database.exists() and database.stat().st_size:
            return
        for half in database.parent.glob(f".{database.name}.*"):  # left by a killed process: we hold the lock
            half.unlink()
        fresh = database.with_name(f".{database.name}.{os.getpid()}")
        self._mlflow.MlflowClient(tracking_uri=f"{SQLITE}{fresh}").search_experiments(max_results=1)
        fresh.replace(database)

    @property
    def deleted(self) -> list[str]:
        """Ids of trials whose run was deleted by hand. They stay deleted."""
        return [identity for kind, identity in self._runs.deleted if kind == "trial"]

    def push(self, record: TrialRecord, trial: TrackedTrial) -> None:
        """Bring the trial's run up to `record`. Create it if needed; do nothing if it was deleted by hand.

        Raises TrackingError; a later push of this record or a newer one repairs the run.
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
            run.sent.clear()  # saves memory; a trial that grows sends all again, and the store ignores duplicates

    def push_cells(self, cells: Iterable[CellSummary]) -> None:
        """Bring the summary run of each cell up to date. Create it if needed. Raises TrackingError."""
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
        """Turn the errors of MLflow and of the connection to its store into a TrackingError."""
        errors = (
            self._mlflow.MlflowException,
            importlib.import_module("sqlalchemy.exc").SQLAlchemyError,  # a file that isn't a database
            importlib.import_module("google.protobuf.json_format").ParseError,  # an answer of unexpected form
            OSError,  # from requests or from the disk
            ImportError,  # a database's driver is missing
            ValueError,  # an invalid address or MLFLOW_... variable
        )
        try:
            yield
        except errors as error:
            raise explain(error, self.uri) from error

    def _show(self, key: Key, name: str, start_ms: int | None, write: Callable[[Shown], None]) -> None:
        """Call `write` with the run of a trial or cell.

        Tries again if another process interfered: it set the run aside, or wrote the same rows at the same time.
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
                Path(location).mkdir(parents=True, exist_ok=True)  # if it is missing later, the results were moved
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
                f"experiment {self.experiment!r} was deleted from the tracking store; restore it with "
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
        """Write the artefact if an evaluation came or the trial ended since this process last wrote it."""
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
                folder.mkdir(parents=True, exist_ok=True)  # not by MLflow, which knows only the folder's first place
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
        """Send points, new params and changed tags. Tags come last: TAG_SHOWN says that the run is complete.

        MLflow can't change a param, so a renamed axis value keeps its first name here.
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
    """Import MLflow without telemetry, without silent truncation, and without minutes of retries on a dead server."""
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    os.environ["MLFLOW_TRUNCATE_LONG_VALUES"] = "false"
    os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"
    os.environ["MLFLOW_ENABLE_ASYNC_LOGGING"] = "false"  # a write that returns has reached the store
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
    logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)  # it logs every failed retry
    return mlflow
