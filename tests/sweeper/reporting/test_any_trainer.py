"""Report, raw data and notebook of a trainer in a file beside the sweep file; no training, and no code for raw data."""

import shutil
from pathlib import Path

import pytest

import sweeper
from sweeper.errors import SweepError
from sweeper.planning.expand import expand
from sweeper.reporting.endpoint_metric import endpoint_keys
from sweeper.results.journal import Journal
from sweeper.results.paths import Results
from sweeper.sweepfile.sweep import load
from tests.sweeper.played import command
from trainers.trainer import READINGS

TOY = """\
from dataclasses import dataclass

from sweeper import trainer

open(__file__ + ".ran", "a").close()


@dataclass
class Config:
    rate: float = 0.5
    depth: int = 1
    steps: int = 4
    seed: int = 0


@trainer(
    length="steps",
    metrics={
        "accuracy": {"unit": "%", "least": 0, "most": 1, "coordinates": {"split": ["train", "val"]}},
        "loss": {"words": "cross-entropy", "unit": "nats"},
    },
)
def toy(config: Config):
    yield {}


toy.recipe = lambda config: {"draws": 2}
"""
SWEEP = """\
version: 1
name: toys
question: Which rate?
trainer: toy.py:toy
fixed: {steps: 4}
matrix: {rate: [0.1, 0.2], depth: [1, 2]}
seeds: 3
endpoint: {metric: accuracy, split: val, at: last, window: 2}
claims:
  - {says: Deeper is better., source: here, kind: effect, of: {depth: 2}, minus: {depth: 1}, where: {rate: 0.1},
     expected: positive}
  - {says: The rate does not matter., source: here, kind: equivalence, of: {rate: 0.2}, minus: {rate: 0.1},
     where: {depth: 1, metric: loss}, margin: 0.5}
report:
  tables: [{rows: [rate], columns: depth}, {rows: [rate], columns: depth, metric: loss, window: 1}]
  figures: [{kind: line, x: rate, hue: depth}, {kind: curves, hue: depth, facets: rate, split: train}]
"""
FACTS = {
    "threads": 1, "pack": 1, "device": "cpu", "engine": "python", "processor": "A processor", "commit": "abc",
    "dirty": False, "versions": {"python": "3.11"}, "sweep": "toys", "form": 2, "code": "c" * 64, "resumes": False,
    "length": "steps", "class": "0123456789abcdef", "recipe": {}, "dataset": "", "digest": "",
}  # fmt: skip


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "toy.py").write_text(TOY)
    (tmp_path / "toys.yaml").write_text(SWEEP)
    return tmp_path / "toys.yaml"


@pytest.fixture
def played(path: Path) -> Path:
    """Journals of every trial, as its worker would have written them, in the folder `results`."""
    folder = Results.at(path.parent / "results")
    for spec in expand(load(path)):
        journal = Journal(folder.trial(spec.trial_id).journal)
        own = {"trial_id": spec.trial_id, "point": spec.point, "cell": spec.cell, "seed": spec.seed, "target": 4}
        config = spec.config.model_dump()
        further = {"config": config, "trainer": spec.trainer.name, "recipe": spec.recipe}
        attempt = journal.open_attempt(FACTS | own | further)
        for step in (1, 2, 3, 4):
            accuracy = 0.1 * step + 0.05 * config["depth"] + 0.001 * config["seed"] * (1 + config["depth"])
            value = {"accuracy/val": accuracy, "accuracy/train": 1.0, "loss": config["rate"] + 0.01 * config["seed"]}
            journal.add(attempt, [(step, READINGS, value)])
        journal.end(attempt, "done", step=4, message="")
    return path


def ended(*words: object) -> str:
    found = command(*words)
    assert found.exit_code == 0, found.output
    return found.output


def test_the_endpoint_has_its_coordinates_in_the_name_of_its_metric(path) -> None:
    sweep = load(path)
    assert endpoint_keys(sweep, expand(sweep)) == ["endpoint/accuracy/val/last_4/window_2"]


@pytest.mark.slow
def test_store_report_raw_data_and_notebook_have_the_same_numbers(played, tmp_path, monkeypatch) -> None:
    results = tmp_path / "results"
    ended("sync", played, "--results", results)
    said = ended("report", played, "--results", results, "--out", tmp_path / "whole")
    assert "The rate does not matter: +0.1000 nats, 90 % interval" in said
    ended("report", played, "--results", results, "--format", "data", "--out", tmp_path / "raw")
    assert {one.name for one in (tmp_path / "raw").iterdir()} == {
        *("readings.csv.gz", "trials.jsonl.gz", "sweep.yaml", "question.json", "trainer.json", "provenance.json"),
    }
    found = sweeper.results(played, results)
    assert len(found.readings()) == 12 * 4 * 3 and set(found.cells()["n"]) == {3}
    for call in (found.curves, found.training, found.episodes):
        with pytest.raises(SweepError, match=r"toys is of the trainer toy; its numbers are in readings\(\)"):
            call()
    far = tmp_path / "far"
    shutil.copytree(tmp_path / "raw", far / "raw")
    (far / "raw" / "toy.py").write_text(TOY)  # from elsewhere: never run
    monkeypatch.chdir(far)
    ended("report", "--from", "raw", "--results", "none", "--out", "again")
    for one in sorted((tmp_path / "whole").glob("*.csv")):
        assert (far / "again" / one.name).read_bytes() == one.read_bytes(), one.name
    assert list(sweeper.results(raw="raw").endpoints()["value"]) == list(found.endpoints()["value"])
    assert not (far / "raw" / "toy.py.ran").exists()
    (far / "raw" / "trainer.json").unlink()
    refused = command("report", "--from", "raw", "--out", "not")
    assert refused.exit_code == 2 and "code that a file from elsewhere names is not run" in refused.output
    assert not (far / "raw" / "toy.py.ran").exists() and not (far / "not").exists()


@pytest.mark.slow
def test_every_page_of_the_store_reads_as_the_trainer_declares(played, tmp_path) -> None:
    from mlflow import MlflowClient

    ended("sync", played, "--results", tmp_path / "results")
    client = MlflowClient(f"sqlite:///{tmp_path / 'results' / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("toys")
    assert (
        "Accuracy, split val, at the last step, mean of the last 2 readings." in experiment.tags["mlflow.note.content"]
    )
    assert "percentages are fractions" in experiment.tags["mlflow.note.content"]
    runs = client.search_runs([experiment.experiment_id])
    notes = {run.data.tags["sweeper.kind"]: run.data.tags["mlflow.note.content"] for run in runs}
    assert "at step 4." in notes["trial"] and " % at step" not in notes["cell"]
    for note in notes.values():
        assert "outer" not in note and "head" not in note
    trial = next(run for run in runs if run.data.tags["sweeper.kind"] == "trial")
    assert {"accuracy/val", "accuracy/train", "loss", "endpoint/accuracy/val/last_4/window_2"} == set(
        trial.data.metrics
    )
    assert set(trial.data.params) == {"rate", "depth", "seed"}
