"""A sweep of tiny trials that are trained without Ray, each run in a fork, with its tracking store in its folder.

A round of it takes seconds, so that many are run.
"""

import gzip
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from analysis.contract.record import ARTIFACT, TAG_KIND, TAG_TRIAL_ID
from sweeper.planning.expand import expand
from sweeper.planning.trial_spec import TrialSpec
from sweeper.results.fold import fold
from sweeper.results.journal_lines import read_lines
from sweeper.results.locks import holder_of
from sweeper.results.paths import Results, RunPaths
from sweeper.sweepfile.sweep import load
from sweeper.tracking.run_contents import METRICS_OF_MAML
from tests.chaos.broken import VARIABLE
from tests.chaos.ending import Ending, assert_ended_as, ending, numbers
from tests.chaos.program import BROKEN, METRICS, SMALL, environment, write_sweep
from tests.forks import Forked, fork
from tests.waiting import HANG_S

SEEDS = 1
MOST_RUNS = 6
NAME = "local"


class ShownTrial(NamedTuple):
    """What the store shows of a trial: its state, its parameters, and every point of its metrics."""

    status: str
    params: dict[str, str]
    points: list[tuple[str, int, float]]


class Undisturbed(NamedTuple):
    """What an undisturbed run ends with and shows, and how many operations on the files of trials it takes."""

    ending: Ending
    shown: dict[str, ShownTrial]
    cells: list[dict[str, float]]
    operations: int


class Local:
    """One sweep in a folder of its own, run again and again until it is through."""

    def __init__(self, folder: Path, operations: int) -> None:
        self.folder, self.operations = folder, operations
        self.results = Results.at(folder / "results")
        self.codes: list[int] = []
        """The exit codes of the runs so far."""
        self.said = ""
        """What the last command wrote."""
        self.specs: tuple[TrialSpec, ...] = expand(load(write_sweep(folder, NAME, SEEDS, SMALL)))

    def start(self, command: str = "run", *options: str, **broken: object) -> Forked:
        """Start `sweeper COMMAND` with `options`, and with what is `broken` in it; see broken.py."""
        words = [command, "chaos.yaml", "--results", str(self.results.root), *options]
        words += ["--executor", "inline"] if command == "run" else []
        asked = {VARIABLE: json.dumps(broken)}
        return fork(BROKEN, words, cwd=self.folder, env=environment() | asked)

    def ended(self, process: Forked, *allowed: int) -> int:
        """Wait for the end of `process`, which must have one of the `allowed` exit codes, and return its code."""
        out, err = process.communicate(timeout=HANG_S)
        self.said = out + err
        assert process.returncode in allowed, f"{process.returncode}: {self.said}"
        assert "Traceback" not in self.said, self.said
        assert all('"failed"' not in path.read_text(errors="replace") for path in self.journals()), self.said
        return process.returncode

    def run(self, *allowed: int, **broken: object) -> int:
        """Run the sweep to its end, and return its exit code."""
        self.codes.append(self.ended(self.start(**broken), *(allowed or (0,))))
        return self.codes[-1]

    def sync(self, *allowed: int, **broken: object) -> int:
        return self.ended(self.start("sync", **broken), *(allowed or (0,)))

    def finish(self) -> None:
        """Run the same command until it exits with 0, and bring the store up to date."""
        runs = len(self.codes)
        while self.run(0, 3) != 0:
            assert len(self.codes) < runs + MOST_RUNS, self.said
        self.sync()

    def journals(self) -> list[Path]:
        return sorted((self.results.root / "trials").glob("*/journal.jsonl"))

    def attempts(self) -> int:
        """Return how many attempts the journals hold."""
        return sum(line["kind"] == "attempt" for path in self.journals() for line in read_lines(path))

    @property
    def store(self) -> Path:
        return self.results.root / "mlflow.db"

    def edit_store(self, *commands: str) -> None:
        """Change the store's tables as a person would who knows SQL."""
        with closing(sqlite3.connect(self.store, timeout=HANG_S)) as store, store:
            for command in commands:
                store.execute(command)

    def asked(self, query: str, *values: object) -> list[tuple]:
        with closing(sqlite3.connect(self.store, timeout=HANG_S)) as store:
            return store.execute(query, values).fetchall()

    def shown_runs(self, kind: str) -> list[str]:
        """Return the ids of the living runs of a kind."""
        query = (
            "SELECT r.run_uuid FROM runs r JOIN tags t ON t.run_uuid = r.run_uuid "
            "WHERE r.lifecycle_stage = 'active' AND t.key = ? AND t.value = ? ORDER BY r.run_uuid"
        )
        return [run for (run,) in self.asked(query, TAG_KIND, kind)]

    def shown(self) -> dict[str, ShownTrial]:
        """Return what the store shows of each trial; a trial that has two runs fails."""
        found = {}
        for run in self.shown_runs("trial"):
            ((trial_id,),) = self.asked("SELECT value FROM tags WHERE run_uuid = ? AND key = ?", run, TAG_TRIAL_ID)
            ((status, uri),) = self.asked("SELECT status, artifact_uri FROM runs WHERE run_uuid = ?", run)
            assert trial_id not in found, f"{trial_id} is shown twice"
            points = self.asked("SELECT key, step, value FROM metrics WHERE run_uuid = ? ORDER BY 1, 2, 3", run)
            params = dict(self.asked("SELECT key, value FROM params WHERE run_uuid = ?", run))
            ours = [row for row in points if row[0].startswith((*METRICS_OF_MAML, *METRICS))]
            found[trial_id] = ShownTrial(status, params, ours)
            artefact = Path(unquote(urlsplit(uri).path)) / ARTIFACT
            assert artefact.is_relative_to(self.results.root), artefact
            record = json.loads(gzip.decompress(artefact.read_bytes()))
            assert numbers(record) == numbers(fold(self.results.trial(trial_id).journal))
        return found

    def cells(self) -> list[dict[str, float]]:
        """Return the present numbers of each cell's summary."""
        query = "SELECT key, value FROM latest_metrics WHERE run_uuid = ?"
        found = [dict(self.asked(query, run)) for run in self.shown_runs("cell")]
        return sorted(found, key=lambda numbers: sorted(numbers.items()))

    def assert_ended_as(self, undisturbed: Undisturbed) -> None:
        """Exactly the planned trials are done, with the undisturbed bits, and the store shows each once and whole."""
        assert_ended_as(undisturbed.ending, self.results, {spec.trial_id for spec in self.specs}, SMALL.steps)
        assert self.shown() == undisturbed.shown
        assert self.cells() == undisturbed.cells
        locks = [self.results.trial(spec.trial_id) for spec in self.specs]
        locks += [RunPaths(path.parent, path.stem) for path in self.results.runs.glob("*.lock")]
        assert [holder_of(paths) for paths in locks] == [None] * len(locks)


def undisturbed_local(folder: Path) -> Undisturbed:
    """Run the sweep once without any fault."""
    found = Local(folder, 0)
    found.run(count=str(folder / "operations"))
    found.sync()
    operations = int((folder / "operations").read_text())
    return Undisturbed(ending(found.results, SMALL.steps), found.shown(), found.cells(), operations)
