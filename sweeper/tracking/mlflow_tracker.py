"""Writes trials into an MLflow experiment, one run each.

The store is a view: everything in it can be made again from the journals. Repeating a write has no effect, so an
interrupted push is simply repeated. Uses no active run, no global URI and no default store.
"""

import json
import os
import random
import socket
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from analysis.contract.record import ARTIFACT, TAG_SWEEP, TrialRecord, dataset_of, passes
from sweeper.errors import TrackingError
from sweeper.tracking import run_contents as tracked
from sweeper.tracking.address import SQLITE, explain, is_server, masked, sqlite_path
from sweeper.tracking.artefacts import Artefacts
from sweeper.tracking.limits import LONGEST_NAME, LONGEST_PARAM, LONGEST_TAG, fitted, fitted_values
from sweeper.tracking.mlflow_library import EXPERIMENTS_A_PAGE, explaining, load_mlflow
from sweeper.tracking.moved_store import rebind
from sweeper.tracking.notes import note_tags
from sweeper.tracking.open_lock import only_opener
from sweeper.tracking.readable_files import readable_files
from sweeper.tracking.run_contents import RUN_STATUS, CellSummary, Shown, SweepAnswer, TrackedTrial
from sweeper.tracking.run_lookup import ShownRuns, Sought
from sweeper.tracking.saved_view import EXPERIMENT_KIND, TAG_VIEW, saved_view
from sweeper.tracking.stored_points import stored_points
from trainers.trainer import Point

METRICS_A_BATCH = 1000  # MLflow's limit
LONGEST_DIGEST = 36  # MLflow's limit
TRIES = 6
COLLISION = "IntegrityError"
"""MLflow searches before it inserts. If two processes insert one row at once, one of them gets this error."""
LONGEST_PAUSE_S = 0.5


class MlflowTracker:
    """One experiment of one store. Only one thread may use it at a time."""

    def __init__(
        self,
        uri: str,
        experiment: str,
        artifact_root: Path | None,
        read: Callable[[str], TrialRecord] | None = None,
        replaced: Callable[[str], Collection[int]] = lambda trial_id: frozenset(),
        log: Callable[[TrialRecord], bytes] = lambda record: b"",
    ) -> None:
        """Open the store, create its tables if it is new, and load the experiment's runs.

        `artifact_root` is the folder for artefacts if this process writes the database itself; a server has its own.
        `read` reads a trial's journal again, `replaced` returns the starts of its trainings that were set aside, `log`
        the log of its last attempt.
        Raises TrackingError.
        """
        self.uri, self.experiment = uri, experiment
        self._read, self._replaced, self._log = read, replaced, log
        self._renamed = ""
        self._mlflow = load_mlflow()
        with explaining(self._mlflow, self.uri):
            with only_opener(uri):
                if uri.startswith(SQLITE):
                    self._make(sqlite_path(uri))
                self._client = self._mlflow.MlflowClient(tracking_uri=uri)
                self._experiment_id = self._open_experiment(artifact_root)
                if uri.startswith(SQLITE):
                    rebind(sqlite_path(uri), artifact_root)
            self.artefacts = Artefacts(self._client, uri, artifact_root)
            self._runs = ShownRuns(self._mlflow, self._client, self._experiment_id)

    def _make(self, database: Path) -> None:
        """Create a new database completely or not at all: MLflow can neither use nor complete half of its tables."""
        if database.exists() and database.stat().st_size:
            return
        for half in database.parent.glob(f".{database.name}.*"):  # left by a killed process: we hold the lock
            half.unlink()
        fresh = database.with_name(f".{database.name}.{socket.gethostname()}.{os.getpid()}")
        self._mlflow.MlflowClient(tracking_uri=f"{SQLITE}{fresh}").search_experiments(max_results=1)
        fresh.replace(database)

    @property
    def deleted(self) -> list[str]:
        """Ids of trials whose run was deleted by hand. They stay deleted."""
        return [identity for kind, identity in self._runs.deleted if kind == "trial"]

    @property
    def remarks(self) -> list[str]:
        """What people changed in the store and what became of it, in sentences."""
        return [*([self._renamed] if self._renamed else []), *self._runs.remarks.values()]

    def push(self, record: TrialRecord, trial: TrackedTrial) -> None:
        """Bring the trial's run up to `record`. Create it if needed; do nothing if it was deleted by hand.

        Raises TrackingError; a later push of this record or a newer one repairs the run.
        """
        with explaining(self._mlflow, self.uri):
            self._show(self._sought(record, trial), lambda run: self._push(run, record, trial))

    def _sought(self, record: TrialRecord, trial: TrackedTrial) -> Sought:
        tags = tracked.tags(record, trial)
        starts = tracked.starts_ms(record)
        last = max((point.step for point in trial.trainer.points(record, all_of_them=False)), default=0)
        return Sought(
            key=("trial", trial.trial_id),
            name=trial.run_name,
            starts=starts,
            facts={tag: tags[tag] for tag in tracked.FACT_TAGS},
            params=tracked.params(record, trial),
            furthest=(last, len(starts)),
            replaced=partial(self._replaced, trial.trial_id),
        )

    def _push(self, run: Shown, record: TrialRecord, trial: TrackedTrial) -> None:
        tags = fitted_values(tracked.tags(record, trial), LONGEST_TAG)
        params, status, readout = tracked.params(record, trial), RUN_STATUS[record["status"]], trial.readout(record)
        points = [*trial.trainer.points(record, all_of_them=False), *readout.points]
        if run.is_whole(tags):
            whole = run.is_untouched(tags, params, {point.key for point in points}, status)
            if whole and not self._lost_points(run, points):
                if not self.artefacts.lost(run):
                    return None
                run.archived = None
            elif run.tags.get(tracked.TAG_PAGE) == tags[tracked.TAG_PAGE]:  # otherwise the form of pages is new
                self._remark(run, trial, "was changed in the store; what the journal says is written again")
        if tracked.began_again(record, run.tags) and run.metrics:
            old, run = run, self._runs.succeed(run, self._sought(record, trial))
            self._remark(run, trial, f"takes the place of run {old.run_id}, since the training began again")
        if not run.compared and record["status"] != "running":
            begun = run.metrics or run.tags.get(tracked.TAG_SHOWN)
            if begun and (beyond := self._beyond_mending(run, record, trial, points)):
                fresh = record if self._read is None else self._read(trial.trial_id)
                if fresh != record:  # another process has sent what this one had not read
                    return self._push(run, fresh, trial)
                old, run = run, self._runs.succeed(run, self._sought(record, trial))
                self._remark(run, trial, f"takes the place of run {old.run_id}, in which {beyond}")
            run.compared = True
        self._describe_data(run, record, tags[tracked.TAG_DATA_DIGEST])
        self._archive(run, record)
        renamed = run.was_renamed
        self._set_state(run, fitted(trial.run_name, LONGEST_NAME), status, tracked.last_time_ms(record))
        if renamed:
            self._remark(run, trial, f"was renamed to {run.name!r} in the store and keeps that name")
        else:
            tags[tracked.TAG_NAME] = run.name
        tags |= note_tags(readout.note, run.tags)
        unsent = [point for point in points if (point.key, point.step) not in run.sent]
        self._write(run, unsent, params, tags)
        run.metrics.update(point.key for point in points)
        if record["status"] != "running":
            run.sent.clear()  # saves memory; a trial that grows sends all again, and the store ignores duplicates
        return None

    def _remark(self, run: Shown, trial: TrackedTrial, what: str) -> None:
        self._runs.remarks["trial", trial.trial_id] = f"{trial.trial_id}: its run {run.run_id} {what}"

    def _beyond_mending(self, run: Shown, record: TrialRecord, trial: TrackedTrial, points: list[Point]) -> str:
        """Return why sending `points` can't make the run show `record`; empty if it can. MLflow removes no point."""
        keys = {point.key for point in points}
        keys |= {key for key in run.metrics if tracked.is_metric_of(trial, record, key)}
        rows = {
            Point(row.key, row.value, row.timestamp, row.step)
            for key in sorted(keys)
            for row in self._client.get_metric_history(run.run_id, key)
        }
        strange = rows.difference(points)
        if strange and strange.difference(trial.trainer.points(record, all_of_them=True)):
            return "there are measurements that the journal no longer has"
        hidden = {point.key for point in points if point in rows} - run.metrics
        return "a metric was deleted in part" if hidden else ""

    def push_cells(self, cells: Iterable[CellSummary]) -> None:
        """Bring the summary run of each cell up to date. Create it if needed. Raises TrackingError."""
        now_ms = time.time_ns() // 1_000_000
        for cell in cells:
            with explaining(self._mlflow, self.uri):
                sought = Sought(key=("cell", cell.cell), name=cell.run_name, earlier_name=cell.name, params=cell.labels)
                self._show(sought, partial(self._push_cell, cell, now_ms))
                self._put_below(cell)

    def _put_below(self, cell: CellSummary) -> None:
        """Let MLflow show the trials of a cell below it."""
        parent = self._runs.known(("cell", cell.cell))
        for run in (self._runs.known(("trial", trial_id)) for trial_id in cell.trials):
            if parent and run and run.tags.get(tracked.TAG_PARENT) != parent.run_id:
                self._client.set_tag(run.run_id, tracked.TAG_PARENT, parent.run_id)
                run.tags[tracked.TAG_PARENT] = parent.run_id

    def push_answer(self, answer: SweepAnswer) -> None:
        """Bring the run of the whole sweep up to date. Create it if needed. Raises TrackingError."""
        sought = Sought(key=("sweep", self.experiment), name=f"Answer · {self.experiment}")
        with explaining(self._mlflow, self.uri):
            self._show(sought, partial(self._push_answer, answer, sought.name))

    def _push_answer(self, answer: SweepAnswer, name: str, run: Shown) -> None:
        tags = answer.tags(self.experiment)
        if answer.files and run.tags.get(tracked.TAG_FILES) != tags[tracked.TAG_FILES]:
            self.artefacts.place(run, answer.files)
        if run.status != "FINISHED":
            self._set_state(run, fitted(name, LONGEST_NAME), "FINISHED", time.time_ns() // 1_000_000)
        self._write(run, [], {}, fitted_values(tags | note_tags(answer.note, run.tags), LONGEST_TAG))

    def add_checkpoint(self, trial_id: str, name: str, content: bytes) -> None:
        """Add a checkpoint to the artefacts of a trial's run, below `checkpoint/`. Raises TrackingError."""
        with explaining(self._mlflow, self.uri):
            run = self._runs.known(("trial", trial_id))
            if run is not None and f"checkpoint/{name}" not in self.artefacts.checkpoints(run):
                self.artefacts.place(run, {f"checkpoint/{name}": content})

    def describe(self, note: str, axes: Sequence[str], endpoints: Sequence[str]) -> None:
        """Describe the experiment in Markdown, and save the view of its table. Raises TrackingError.

        `axes` are the swept ones and `endpoints` metrics of trials. A view that a person saved under our key stays.
        """
        with explaining(self._mlflow, self.uri):
            found = self._client.get_experiment(self._experiment_id)
            wanted = {**EXPERIMENT_KIND, **note_tags(note, found.tags)}
            view = saved_view(axes, endpoints, found.creation_time or 0)
            if tracked.digest(found.tags.get(TAG_VIEW, "")) == found.tags.get(tracked.TAG_SAVED, tracked.digest("")):
                wanted |= {TAG_VIEW: view, tracked.TAG_SAVED: tracked.digest(view)}
            for tag, value in wanted.items():
                if found.tags.get(tag) != value:
                    self._client.set_experiment_tag(self._experiment_id, tag, value)

    def _push_cell(self, cell: CellSummary, now_ms: int, run: Shown) -> None:
        tags = fitted_values(cell.tags(self.experiment), LONGEST_TAG)
        metrics = {point.key for point in cell.points(now_ms)}
        if run.is_whole(tags) and run.is_untouched(tags, cell.labels, metrics, "FINISHED"):
            return
        tags |= note_tags(cell.note, run.tags)
        renamed = run.was_renamed
        self._set_state(run, fitted(cell.run_name, LONGEST_NAME), "FINISHED", max(now_ms, run.start_ms))
        if not renamed:
            tags[tracked.TAG_NAME] = run.name
        if run.is_whole(tags) and metrics <= run.metrics:  # its numbers are there already
            self._write(run, [], cell.labels, tags)
            return
        # MLflow takes the latest time as the present value, and a clock may have been ahead
        sent = (row.timestamp for key in run.metrics for row in self._client.get_metric_history(run.run_id, key))
        time_ms = max([now_ms, *(stamp + 1 for stamp in sent)])
        self._write(run, cell.points(time_ms), cell.labels, tags)
        run.metrics |= metrics

    def _show(self, sought: Sought, write: Callable[[Shown], None]) -> None:
        """Call `write` with the run of a trial or cell.

        Tries again if another process interfered: it set the run aside, or wrote the same rows at the same time.
        """
        for tried in range(TRIES):
            run = self._runs.open(sought)
            if run is None:
                return
            try:
                write(run)
            except self._mlflow.MlflowException as error:
                collided = COLLISION in str(error)
                if tried + 1 == TRIES or not (collided or self._runs.was_deleted(sought.key, run, error.error_code)):
                    raise
                if collided:
                    time.sleep(random.uniform(0.0, LONGEST_PAUSE_S))
            else:
                return

    def _open_experiment(self, artifact_root: Path | None) -> str:
        found = self._client.get_experiment_by_name(self.experiment) or self._renamed_experiment()
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

    def _renamed_experiment(self) -> Any:
        """Return the experiment that a person renamed, known by a tag of its runs; None if there is none."""
        every = self._mlflow.entities.ViewType.ALL
        page = self._client.search_experiments(every, max_results=EXPERIMENTS_A_PAGE)
        known = {one.experiment_id: one for one in page if isinstance(one.experiment_id, str)}
        wanted = f"tags.`{TAG_SWEEP}` = '{self.experiment}'"  # a person may have changed any other tag
        runs = self._client.search_runs(list(known), wanted, every, max_results=1) if known else []
        if not runs:
            return None
        found = known[runs[0].info.experiment_id]
        self._renamed = (
            f"experiment {self.experiment!r} was renamed to {found.name!r} in the store; its runs stay there"
        )
        return found

    def _describe_data(self, run: Shown, record: TrialRecord, digest: str) -> None:
        entities, name = self._mlflow.entities, dataset_of(record)
        if tracked.TAG_DATA_DIGEST in run.tags or not name:
            return
        dataset = entities.Dataset(name, digest[:LONGEST_DIGEST], "trainers.catalog", json.dumps({"name": name}))
        context = entities.InputTag("mlflow.data.context", "training")
        self._client.log_inputs(run.run_id, datasets=[entities.DatasetInput(dataset, [context])])

    def _archive(self, run: Shown, record: TrialRecord) -> None:
        """Write the artefact if the trial ended since this process last wrote it, or measured much.

        Much is an evaluation, or as many readings as it had before.
        """
        ended_at = 0 if record["status"] == "running" else record["step"]
        measured = len(passes(record)) + len(record.get("readings", ())).bit_length()
        stage = (measured, record["status"], ended_at)
        if run.archived == stage:
            return
        files = {ARTIFACT: tracked.artifact(record)}
        if record["status"] != "running":
            files |= readable_files(record, self._log(record))
        self.artefacts.place(run, files)
        run.archived = stage

    def _lost_points(self, run: Shown, points: list[Point]) -> bool:
        """Return whether the store has lost some of `points`, as far as it can be asked that at once."""
        stored = stored_points(self.uri, run.run_id)
        return stored is not None and not stored.issuperset((point.key, point.step) for point in points)

    def _set_state(self, run: Shown, name: str, status: str, end_ms: int | None) -> None:
        name = run.name if run.was_renamed else name
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
