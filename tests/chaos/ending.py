"""What a sweep ends with, and the proof that it doesn't depend on what happened on the way."""

import fcntl
import gzip
import json
import os
import pickle
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from analysis.contract.record import ARTIFACT, TAG_KIND, TAG_TRIAL_ID
from sweeper.results.fold import fold
from sweeper.results.journal_lines import read_lines
from sweeper.results.paths import Results, step_of
from sweeper.tracking.mlflow_tracker import MlflowTracker
from tests.chaos.program import METRICS, PLAIN, STEPS, environment, write_sweep
from tests.forks import fork
from tests.waiting import HANG_S


class Ending(NamedTuple):
    """What must not depend on what happened on the way, by trial: journalled numbers and the last checkpoint."""

    records: dict[str, list[tuple[int, str, str]]]
    checkpoints: dict[str, bytes]


def assert_ended_as(undisturbed: Ending, results: Results, planned: set[str], steps: int = STEPS) -> None:
    """Exactly the planned trials are there and done, each with the undisturbed bits."""
    assert {path.name for path in (results.root / "trials").iterdir()} == planned
    records = {name: fold(results.trial(name).journal) for name in planned}
    stands = {name: (found["status"], found["done_step"]) for name, found in records.items()}
    assert stands == dict.fromkeys(planned, ("done", steps))
    found = ending(results, steps)
    assert found.records == undisturbed.records
    assert found.checkpoints == undisturbed.checkpoints


def assert_shown_once(uri: str, experiment: str, results: Results, planned: set[str], scratch: Path) -> None:
    """The store at `uri` shows each planned trial in one run, each point once, with an artefact of the same bits."""
    MlflowTracker(uri, experiment, None)  # imports MLflow with its habits set
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=uri)
    found = client.search_runs(
        [client.get_experiment_by_name(experiment).experiment_id], f"tags.`{TAG_KIND}` = 'trial'"
    )
    assert sorted(run.data.tags[TAG_TRIAL_ID] for run in found) == sorted(planned)
    for run in found:
        assert run.info.status == "FINISHED"
        path = client.download_artifacts(run.info.run_id, ARTIFACT, str(scratch))
        shown = json.loads(gzip.decompress(Path(path).read_bytes()))
        assert numbers(shown) == numbers(fold(results.trial(run.data.tags[TAG_TRIAL_ID]).journal))
        for key in METRICS:
            steps = [metric.step for metric in client.get_metric_history(run.info.run_id, key)]
            assert steps, key
            assert len(set(steps)) == len(steps), key


def numbers(record: dict[str, Any]) -> dict[str, Any]:
    """Return a record's curves, evaluations, probes, readings and scores, without the times they were taken at."""

    def timeless(found: dict[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in found.items() if key != "time_ms"}

    kinds = ("evaluations", "probes", *(["readings"] if "readings" in record else []))
    measured = {kind: [timeless(entry) for entry in record[kind]] for kind in kinds}
    return measured | {"training": timeless(record["training"]), "scores": record["scores"]}


def lost_and_doubled(undisturbed: Ending, results: Results) -> tuple[int, int]:
    """Return how many journalled records are missing, or differ, and how many are there more than once."""
    found = journalled(results)
    lost = sum(len(set(lines) - set(found.get(name, ()))) for name, lines in undisturbed.records.items())
    doubled = sum(len(lines) - len({(step, key) for step, key, _ in lines}) for lines in found.values())
    return lost, doubled


def journalled(results: Results) -> dict[str, list[tuple[int, str, str]]]:
    """Return the step, key and value of each record in each trial's journal; one that is there twice, twice."""
    return {
        path.parent.name: sorted(
            (line["step"], line["key"], json.dumps(line["value"]))
            for line in read_lines(path)
            if line["kind"] == "record"
        )
        for path in (results.root / "trials").glob("*/journal.jsonl")
    }


def ending(results: Results, steps: int = STEPS) -> Ending:
    """Return what a results folder ended with; a (step, key) that a journal holds twice is there twice."""
    records = journalled(results)
    last = {name: results.trial(name).checkpoints(steps)[0] for name in records}
    assert {step_of(path) for path in last.values()} == {steps}
    return Ending(records, {name: path.read_bytes() for name, path in last.items()})


def undisturbed_ending(factory: pytest.TempPathFactory, seeds: int) -> Ending:
    """Run the sweep in one process, without Ray and a store, with chunks and checkpoints as they are.

    The processes of pytest-xdist share one such run.
    """
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return _run_alone(factory.mktemp("undisturbed"), seeds)
    folder = factory.getbasetemp().parent / f"undisturbed-{seeds}"  # that of all processes
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (kept := folder / "ending.pickle").exists():
            kept.write_bytes(pickle.dumps(_run_alone(folder, seeds)))
        return pickle.loads(kept.read_bytes())


def _run_alone(folder: Path, seeds: int) -> Ending:
    write_sweep(folder, "undisturbed", seeds)
    words = ["run", "chaos.yaml", "--executor", "inline", "--tracking-uri", "none"]
    process = fork(PLAIN, words, cwd=folder, env=environment())
    _, err = process.communicate(timeout=HANG_S)
    assert process.returncode == 0, err
    return ending(Results.at(folder / "results"))
