"""Finds or creates the run of an MLflow experiment that shows a trial or a cell: one run, however many write."""

from collections.abc import Iterable, Iterator
from types import ModuleType
from typing import Any

from analysis.contract.record import SCHEMA_VERSION, TAG_KIND, TAG_SCHEMA
from sweeper.errors import TrackingError
from sweeper.tracking.limits import LONGEST_NAME, fitted
from sweeper.tracking.run_contents import IDENTITY_TAGS, Kind, Shown

Run = Any
"""MLflow's entity Run. Only one file imports MLflow, and passes it in here."""
SUPERSEDED = "superseded"
"""The kind of a run whose trial was later trained again from step 0."""
DUPLICATE = "duplicate"
"""The kind of a run that was created at the same time as another one for its trial. It is deleted."""

Key = tuple[Kind, str]


class ShownRuns:
    """The runs of one experiment by trial and cell, as far as this process knows them.

    MLflow lets two processes create a run each for one trial. So after creating, search again and keep one run: the
    latest training, then the lowest id. Every writer applies the same rule, so all agree. A process that loses its run
    this way learns it from its next write.
    """

    def __init__(self, mlflow: ModuleType, client: Any, experiment_id: str) -> None:
        """Load the experiment's runs. Raises the errors of MLflow's client."""
        self._mlflow, self._client, self._experiment_id = mlflow, client, experiment_id
        self._runs: dict[Key, Shown] = {}
        self.deleted: dict[Key, None] = {}
        self._load()

    def open(self, key: Key, name: str, start_ms: int | None) -> Shown | None:
        """Return the run of a trial or cell, created if there is none; None if it must not be written.

        Must not be written: a run that was deleted by hand, and one that shows a later training of the trial.
        """
        if key not in self._runs and key not in self.deleted:
            found = self._find(key)
            if found is None and key not in self.deleted:
                found = self._create(key, name, start_ms)
            if found is not None:
                self._runs[key] = found
        if key in self.deleted:
            return None
        run = self._runs[key]
        if key[0] == "trial" and start_ms is not None and start_ms != run.start_ms:
            return self._succeed(run, key, name, start_ms) if start_ms > run.start_ms else None
        return run

    def was_deleted(self, key: Key, run: Shown, error_code: str) -> bool:
        """Return whether MLflow refused a write because the run is deleted. The next `open` then knows it."""
        if error_code not in ("INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST"):
            return False
        found = self._lifecycle(run.run_id)
        if found is None or found.info.lifecycle_stage == "deleted":
            self._runs.pop(key, None)
            if found is None or found.data.tags.get(TAG_KIND) != DUPLICATE:
                self.deleted[key] = None
            return True
        return False

    def _lifecycle(self, run_id: str) -> Run:
        """Return the run as the store has it; None if it was deleted permanently."""
        try:
            return self._client.get_run(run_id)
        except self._mlflow.MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return None
            raise

    def _load(self) -> None:
        active: dict[Key, list[Run]] = {}
        for run in self._search(""):
            kind = run.data.tags.get(TAG_KIND)
            if kind not in IDENTITY_TAGS:
                continue  # not a run of sweeper
            key = (kind, run.data.tags[IDENTITY_TAGS[kind]])
            if run.info.lifecycle_stage == "deleted":
                self.deleted[key] = None
            else:
                active.setdefault(key, []).append(run)
        self._runs = {key: self._keep_one(key, runs) for key, runs in active.items()}
        self.deleted = {key: None for key in self.deleted if key not in self._runs}

    def _search(self, wanted: str) -> Iterator[Run]:
        token, view = None, self._mlflow.entities.ViewType.ALL
        while token != "":
            page = self._client.search_runs([self._experiment_id], wanted, view, page_token=token)
            yield from page
            token = page.token or ""

    def _find(self, key: Key) -> Shown | None:
        """Search before creating: another process, or a call that seemed to fail, may have created the run."""
        wanted = f"tags.`{TAG_KIND}` = '{key[0]}' AND tags.`{IDENTITY_TAGS[key[0]]}` = '{key[1]}'"
        found = list(self._search(wanted))
        active = [run for run in found if run.info.lifecycle_stage != "deleted"]
        if active:
            return self._keep_one(key, active)
        if found:
            self.deleted[key] = None
        return None

    def _create(self, key: Key, name: str, start_ms: int | None) -> Shown:
        first_tags = {TAG_SCHEMA: str(SCHEMA_VERSION), TAG_KIND: key[0], IDENTITY_TAGS[key[0]]: key[1]}
        made = self._client.create_run(self._experiment_id, start_ms, first_tags, run_name=fitted(name, LONGEST_NAME))
        if not made.info.run_id:
            raise TrackingError("the tracking store answers, but not as an MLflow server does: its new run has no id")
        return self._find(key) or _shown(made)

    def _keep_one(self, key: Key, runs: Iterable[Run]) -> Shown:
        """Return the run to keep, the latest training, then the lowest id; set the others aside."""
        newest_first = -1 if key[0] == "trial" else 1  # a cell's run starts when it is created
        kept, *others = sorted(runs, key=lambda run: (newest_first * run.info.start_time, run.info.run_id))
        for other in others:
            earlier = key[0] == "trial" and other.info.start_time != kept.info.start_time
            self._set_aside(other.info.run_id, SUPERSEDED if earlier else DUPLICATE)
        return _shown(kept)

    def _set_aside(self, run_id: str, kind: str) -> None:
        try:
            self._client.set_tag(run_id, TAG_KIND, kind)
            if kind == DUPLICATE:
                self._client.delete_run(run_id)
        except self._mlflow.MlflowException:
            found = self._lifecycle(run_id)
            if found is not None and found.info.lifecycle_stage != "deleted":
                raise  # otherwise another process was faster

    def _succeed(self, run: Shown, key: Key, name: str, start_ms: int) -> Shown:
        """Return a new run for a trial that was trained again from step 0. Keep the old run under another kind.

        So no curve has two values at one step, and nothing is lost.
        """
        self._set_aside(run.run_id, SUPERSEDED)
        self._runs[key] = self._create(key, name, start_ms)
        return self._runs[key]


def _shown(run: Run) -> Shown:
    return Shown(
        run_id=run.info.run_id,
        name=run.info.run_name,
        status=run.info.status,
        start_ms=run.info.start_time,
        params=dict(run.data.params),
        tags=dict(run.data.tags),
        artifact_uri=run.info.artifact_uri,
    )
