"""Writes trials into an MLflow experiment, one run each; the one file of sweeper that imports mlflow.

The store is a view: whatever it holds can be made again from the journals, and every write can be repeated without
effect, so a push that was cut off is simply done again. No active run, no global URI, no default store.
"""

import importlib
import json
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from sweeper import tracked
from sweeper.errors import TrackingError
from sweeper.schema import ARTIFACT, SCHEMA_VERSION, TAG_KIND, TAG_SCHEMA, TrialRecord
from sweeper.tracked import IDENTITY_TAGS, RUN_STATUS, CellSummary, Kind, Point, Shown, TrackedTrial
from sweeper.tracking_uri import SQLITE, artifact_folder, explain, is_server, masked

if TYPE_CHECKING:
    from mlflow.entities import Run

METRICS_A_BATCH = 1000  # MLflow's limits, as is the next
LONGEST_DIGEST = 36
SUPERSEDED = "superseded"


class MlflowTracker:
    """One experiment of one store; for one thread at a time."""

    def __init__(self, uri: str, experiment: str, artifact_root: Path | None) -> None:
        """Open the store, create its tables if it is new, and load what the experiment shows.

        `artifact_root` is where artefacts go when this process writes the database itself; a server decides for
        itself. Raises TrackingError.
        """
        self.uri, self.experiment = uri, experiment
        self._runs: dict[tuple[Kind, str], Shown] = {}
        self._deleted: dict[tuple[Kind, str], None] = {}
        self._mlflow = _load_mlflow()
        with self._explaining():
            if uri.startswith(SQLITE):
                Path(uri.removeprefix(SQLITE)).parent.mkdir(parents=True, exist_ok=True)
            self._client = self._mlflow.MlflowClient(tracking_uri=uri)
            self._experiment_id = self._open_experiment(artifact_root)
            self._load_runs()

    @property
    def deleted(self) -> list[str]:
        """Trials whose run was deleted by hand: they stay deleted."""
        return [identity for kind, identity in self._deleted if kind == "trial"]

    def push(self, record: TrialRecord, trial: TrackedTrial) -> None:
        """Bring the trial's run up to `record`, creating it if need be; does nothing for one that was deleted.

        Raises TrackingError; pushing this record or a newer one later makes up for it.
        """
        tags = tracked.tags(record, trial)
        start_ms = tracked.first_time_ms(record)
        with self._explaining(), self._open_run("trial", trial.trial_id, trial.name, start_ms) as run:
            if run is None or (run.is_whole(tags) and not self._lost_artifact(run)):
                return
            self._describe_data(run, record, tags[tracked.TAG_DATA_DIGEST])
            self._archive(run, record)
            self._set_state(run, trial.name, RUN_STATUS[record["status"]], tracked.last_time_ms(record))
            unsent = [point for point in tracked.points(record) if (point.key, point.step) not in run.sent]
            self._write(run, unsent, tracked.params(record, trial), tags)
            if record["status"] != "running":
                run.sent.clear()  # spares memory; a trial that grows sends again, and the store drops what it has

    def push_cells(self, cells: Iterable[CellSummary]) -> None:
        """Bring one summary run a cell up to date, creating those that are new. Raises TrackingError."""
        now_ms = time.time_ns() // 1_000_000
        for cell in cells:
            with self._explaining(), self._open_run("cell", cell.cell, cell.name, now_ms) as run:
                tags = cell.tags(self.experiment)
                if run is None or run.is_whole(tags):
                    continue
                self._set_state(run, cell.name, "FINISHED", now_ms)
                self._write(run, cell.points(now_ms), cell.labels, tags)

    @contextmanager
    def _explaining(self) -> Iterator[None]:
        """Turn what MLflow and the way to its store raise into a TrackingError."""
        sql_error = importlib.import_module("sqlalchemy.exc").SQLAlchemyError  # a file that is no database
        try:
            yield
        except (self._mlflow.MlflowException, sql_error, OSError, ImportError) as error:  # OSError: requests' and disk
            raise explain(error, self.uri) from error

    @contextmanager
    def _open_run(self, kind: Kind, identity: str, name: str, start_ms: int | None) -> Iterator[Shown | None]:
        """Yield the run of a trial or cell, created if there is none; None if it isn't to be written.

        That is a run deleted by hand, and one that shows a later training of the trial.
        """
        key = (kind, identity)
        if key in self._deleted:
            yield None
            return
        if key not in self._runs:
            self._runs[key] = self._find_run(key) or self._create_run(key, name, start_ms)
        run = self._runs[key]
        if kind == "trial" and start_ms is not None and start_ms != run.start_ms:
            if start_ms < run.start_ms:
                yield None  # of an earlier training than the one that is shown
                return
            run = self._succeed(run, key, name, start_ms)
        try:
            yield run
        except self._mlflow.MlflowException as error:
            if not self._was_deleted(run.run_id, error.error_code):
                raise
            self._deleted[key] = None

    def _was_deleted(self, run_id: str, error_code: str) -> bool:
        if error_code not in ("INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST"):
            return False
        try:
            return self._client.get_run(run_id).info.lifecycle_stage == "deleted"
        except self._mlflow.MlflowException as error:
            return error.error_code == "RESOURCE_DOES_NOT_EXIST"  # deleted for good

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
        if found.lifecycle_stage == "deleted":
            raise TrackingError(
                f"experiment {self.experiment!r} was deleted from the tracking store; bring it back with "
                f"`MLFLOW_TRACKING_URI={masked(self.uri)} mlflow experiments restore -x {found.experiment_id}`, "
                f"or give another --tracking-uri"
            )
        return found.experiment_id

    def _load_runs(self) -> None:
        """Remember the experiment's runs; of two of one trial, the one created first."""
        for run in self._search("", self._mlflow.entities.ViewType.ALL):
            kind = run.data.tags.get(TAG_KIND)
            if kind not in IDENTITY_TAGS:
                continue  # somebody else's run
            key = (kind, run.data.tags[IDENTITY_TAGS[kind]])
            if run.info.lifecycle_stage == "deleted":
                self._deleted[key] = None
            else:
                self._runs.setdefault(key, _shown(run))
        self._deleted = {key: None for key in self._deleted if key not in self._runs}

    def _search(self, wanted: str, view: int) -> "Iterator[Run]":
        token = None
        while token != "":
            order = ["attributes.start_time ASC"]
            page = self._client.search_runs([self._experiment_id], wanted, view, order_by=order, page_token=token)
            yield from page
            token = page.token or ""

    def _find_run(self, key: tuple[Kind, str]) -> Shown | None:
        """Look before creating: another process, or a call that seemed to fail, may have created it by now."""
        wanted = f"tags.`{TAG_KIND}` = '{key[0]}' AND tags.`{IDENTITY_TAGS[key[0]]}` = '{key[1]}'"
        return next(map(_shown, self._search(wanted, self._mlflow.entities.ViewType.ACTIVE_ONLY)), None)

    def _create_run(self, key: tuple[Kind, str], name: str, start_ms: int | None) -> Shown:
        first_tags = {TAG_SCHEMA: str(SCHEMA_VERSION), TAG_KIND: key[0], IDENTITY_TAGS[key[0]]: key[1]}
        return _shown(self._client.create_run(self._experiment_id, start_ms, first_tags, run_name=name))

    def _succeed(self, run: Shown, key: tuple[Kind, str], name: str, start_ms: int) -> Shown:
        """Return a new run for a trial that was trained again from nothing; the old one stays, as another kind.

        So no curve has two values at a step, and nothing is lost.
        """
        self._client.set_tag(run.run_id, TAG_KIND, SUPERSEDED)
        self._runs[key] = self._create_run(key, name, start_ms)
        return self._runs[key]

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
        stage = (len(record["evaluations"]), record["status"], ended_at)
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
        new_params = {key: value for key, value in params.items() if key not in run.params}
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
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
    mlflow = importlib.import_module("mlflow")
    for chatty in ("alembic", "mlflow"):  # MLflow sets these when it is imported
        logging.getLogger(chatty).setLevel(logging.WARNING)
    return mlflow


def _shown(run: "Run") -> Shown:
    return Shown(
        run_id=run.info.run_id,
        name=run.info.run_name,
        status=run.info.status,
        start_ms=run.info.start_time,
        params=dict(run.data.params),
        tags=dict(run.data.tags),
        artifact_uri=run.info.artifact_uri,
    )
