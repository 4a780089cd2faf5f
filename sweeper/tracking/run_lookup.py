"""Finds or creates the run of an MLflow experiment that shows a trial or a cell: one run, however many write.

A training is known by the time of one of its attempts, which is only compared for equality. Which of two trainings is
newer is told by what this folder set aside, by what the store set aside, then by outer step and attempt: never by a
clock. Writes no measurements; see `sweeper.tracking.mlflow_tracker`.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from analysis.contract.record import SCHEMA_VERSION, TAG_KIND, TAG_SCHEMA
from sweeper.errors import TrackingError
from sweeper.tracking.limits import LONGEST_NAME, LONGEST_PARAM, fitted, fitted_values
from sweeper.tracking.notes import NOTE, is_ours
from sweeper.tracking.run_contents import IDENTITY_TAGS, TAG_NAME, Kind, Shown, is_of_a_person

Run = Any
"""MLflow's entity Run. Only one file imports MLflow, and passes it in here."""
SUPERSEDED = "superseded"
"""The kind of a run whose trial was later trained again from step 0, or that shows what its journal has lost."""
DUPLICATE = "duplicate"
"""The kind of a run that was created at the same time as another one for its trial. It is deleted."""

Key = tuple[Kind, str]


@dataclass(frozen=True, kw_only=True)
class Sought:
    """What a run must show to be the one: its key, and facts that nobody changes by accident all at once.

    `earlier_name` is the name that an earlier version gave the run. `starts` are the times of the trial's attempts in
    ms, the first one first; a cell has none. `facts` are tags, `furthest` is the last outer step and attempt.
    `replaced` returns the starts of the trainings that this results folder has set aside for the present one.
    """

    key: Key
    name: str
    earlier_name: str = ""
    starts: tuple[int, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, str] = field(default_factory=dict)
    furthest: tuple[int, int] = (0, 0)
    replaced: Callable[[], Collection[int]] = frozenset


class ShownRuns:
    """The runs of one experiment by trial and cell, as far as this process knows them.

    MLflow lets two processes create a run each for one trial. So after creating, search again and keep one run: the
    sought training, then the lowest id. Every writer applies the same rule, so all agree. A process that loses its run
    this way learns it from its next write.
    """

    def __init__(self, mlflow: ModuleType, client: Any, experiment_id: str) -> None:
        """Load the experiment's runs. Raises the errors of MLflow's client."""
        self._mlflow, self._client, self._experiment_id = mlflow, client, experiment_id
        self._runs: dict[Key, Shown] = {}
        self._loaded: dict[Key, list[Run]] = defaultdict(list)
        self._begun: dict[int, list[Run]] = defaultdict(list)
        self._strays: list[Run] = []
        self.deleted: dict[Key, None] = {}
        self.remarks: dict[Key, str] = {}
        """What people did to a run, and what became of it, in a sentence."""
        self._load()

    def open(self, sought: Sought) -> Shown | None:
        """Return the run of a trial or cell, created if there is none; None if it must not be written.

        Must not be written: a run that was deleted by hand, and one that shows a later training of the trial.
        """
        key = sought.key
        if key not in self._runs and key not in self.deleted:
            found = self._keep_one(sought, self._loaded.pop(key, ())) or self._find(sought)
            if found is None and key not in self.deleted:
                found = self._adopt(sought)
            if found is None and key not in self.deleted:
                found = self._create(sought)
            if found is not None:
                self._runs[key] = found
        if key in self.deleted:
            return None
        run = self._runs[key]
        if not sought.starts or run.start_ms in sought.starts:
            return run
        if run.start_ms not in sought.replaced() and (
            self._was_set_aside(sought) or self._furthest(run) > sought.furthest
        ):
            self.remarks[key] = (
                f"{key[1]}: the store shows another training of it, run {run.run_id}, and keeps it; to show this "
                f"folder's, train it again with --rerun {key[1]}, or name another store with --tracking-uri"
            )
            return None
        return self.succeed(run, sought)

    def succeed(self, run: Shown, sought: Sought) -> Shown:
        """Return a new run for `sought`. Keep the old run under another kind.

        So no curve has two values at one step, and nothing is lost. If both show one training, a person's name, notes
        and tags go on in the new run.
        """
        self._set_aside(run.run_id, SUPERSEDED)
        made = self._runs[sought.key] = self._create(sought)
        if run.start_ms in sought.starts:
            for tag, value in run.tags.items():
                if is_of_a_person(tag) and tag not in made.tags and not (tag == NOTE and is_ours(run.tags)):
                    self._client.set_tag(made.run_id, tag, value)
                    made.tags[tag] = value
            if run.was_renamed:
                self._client.update_run(made.run_id, name=run.name)
                made.name = run.name
        return made

    def known(self, key: Key) -> Shown | None:
        """Return the run of a trial or cell, if this process knows it and nobody deleted it."""
        return None if key in self.deleted else self._runs.get(key)

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
        deleted: list[Key] = []
        for run in self._search(""):
            kind = run.data.tags.get(TAG_KIND)
            if kind in (SUPERSEDED, DUPLICATE):
                continue
            self._begun[run.info.start_time].append(run)
            identity = run.data.tags.get(IDENTITY_TAGS[kind]) if kind in IDENTITY_TAGS else None
            if identity is None:
                self._strays.append(run)  # of a person, or one that lost its tags
            elif run.info.lifecycle_stage == "deleted":
                deleted.append((kind, identity))
            else:
                self._loaded[kind, identity].append(run)
        self.deleted = {key: None for key in deleted if key not in self._loaded}

    def _search(self, wanted: str) -> Iterator[Run]:
        token, view = None, self._mlflow.entities.ViewType.ALL
        while token != "":
            page = self._client.search_runs([self._experiment_id], wanted, view, page_token=token)
            yield from page
            token = page.token or ""

    def _find(self, sought: Sought) -> Shown | None:
        """Search before creating: another process, or a call that seemed to fail, may have created the run."""
        kind, identity = sought.key
        found = list(self._search(f"tags.`{TAG_KIND}` = '{kind}' AND tags.`{IDENTITY_TAGS[kind]}` = '{identity}'"))
        kept = self._keep_one(sought, (run for run in found if run.info.lifecycle_stage != "deleted"))
        if kept is None and any(not _contradicts(run, sought) for run in found):
            self.deleted[sought.key] = None
        return kept

    def _adopt(self, sought: Sought) -> Shown | None:
        """Return the run that shows `sought` and has lost the tags to find it by. Its other facts must all agree."""
        begun = [run for start_ms in sought.starts for run in self._begun.get(start_ms, ())]
        taken = {run.run_id for run in self._runs.values()}
        for run in begun if sought.starts else self._strays:
            if run.info.run_id in taken or _contradicts(run, sought) or not _agrees(run, sought):
                continue
            if run.info.lifecycle_stage == "deleted":
                self.deleted[sought.key] = None
                return None
            self.remarks[sought.key] = (
                f"{sought.key[1]}: its run {run.info.run_id} had lost tags in the store; they are written again"
            )
            return _shown(run)
        return None

    def _create(self, sought: Sought) -> Shown:
        (kind, identity), name = sought.key, fitted(sought.name, LONGEST_NAME)
        first_tags = {TAG_SCHEMA: str(SCHEMA_VERSION), TAG_KIND: kind, IDENTITY_TAGS[kind]: identity, TAG_NAME: name}
        start_ms = sought.starts[0] if sought.starts else None
        made = self._client.create_run(self._experiment_id, start_ms, first_tags, run_name=name)
        if not made.info.run_id:
            raise TrackingError("the tracking store answers, but not as an MLflow server does: its new run has no id")
        return self._find(sought) or _shown(made)

    def _keep_one(self, sought: Sought, runs: Iterable[Run]) -> Shown | None:
        """Return the run to keep, the sought training, then the lowest id; set the others aside.

        A run whose other facts contradict `sought` is another trial's with a changed tag, and is left alone.
        """
        runs = [run for run in runs if not _contradicts(run, sought)]
        if not runs:
            return None
        kept, *others = sorted(runs, key=lambda run: (run.info.start_time not in sought.starts, run.info.run_id))
        for other in others:
            earlier = sought.starts and other.info.start_time != kept.info.start_time
            self._set_aside(other.info.run_id, SUPERSEDED if earlier else DUPLICATE)
        return _shown(kept)

    def _was_set_aside(self, sought: Sought) -> bool:
        """Return whether the store once showed the sought training, and another one since."""
        kind, identity = sought.key
        aside = self._search(f"tags.`{TAG_KIND}` = '{SUPERSEDED}' AND tags.`{IDENTITY_TAGS[kind]}` = '{identity}'")
        return any(run.info.start_time in sought.starts for run in aside)

    def _furthest(self, run: Shown) -> tuple[int, int]:
        """Return the last outer step that the run shows, and its attempt."""
        rows = (row for key in run.metrics for row in self._client.get_metric_history(run.run_id, key))
        attempt = run.tags.get("attempt", "")
        return max((row.step for row in rows), default=0), int(attempt) if attempt.isdecimal() else 0

    def _set_aside(self, run_id: str, kind: str) -> None:
        try:
            self._client.set_tag(run_id, TAG_KIND, kind)
            if kind == DUPLICATE:
                self._client.delete_run(run_id)
        except self._mlflow.MlflowException:
            found = self._lifecycle(run_id)
            if found is not None and found.info.lifecycle_stage != "deleted":
                raise  # otherwise another process was faster


def _contradicts(run: Run, sought: Sought) -> bool:
    """Return whether the run shows something else: of another start, and with another value of a fact."""
    if run.info.start_time in sought.starts:
        return any(run.data.params.get(name, value) != value for name, value in _seed(sought).items())
    return any(run.data.tags.get(tag, value) != value for tag, value in sought.facts.items())


def _seed(sought: Sought) -> dict[str, str]:
    return {name: value for name, value in sought.params.items() if name == "seed"}


def _agrees(run: Run, sought: Sought) -> bool:
    """Return whether the tags and params that the run still has are those of `sought`."""
    params = fitted_values(sought.params, LONGEST_PARAM)
    named = run.info.run_name in (sought.name, sought.earlier_name)
    if not sought.starts and not (named and run.data.params == params):
        return False  # a cell has no start by which to know it
    known = {**run.data.params, **run.data.tags}
    return all(known.get(name, value) == value for name, value in {**params, **sought.facts}.items())


def _shown(run: Run) -> Shown:
    return Shown(
        run_id=run.info.run_id,
        name=run.info.run_name,
        status=run.info.status,
        start_ms=run.info.start_time,
        params=dict(run.data.params),
        tags=dict(run.data.tags),
        artifact_uri=run.info.artifact_uri,
        metrics=set(run.data.metrics),
    )
