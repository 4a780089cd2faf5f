"""One run carries a sweep's question, answer and report; trials carry what MLflow can preview."""

import csv
import json
from pathlib import Path

import pytest
from mlflow import MlflowClient

from sweeper.planning.expand import expand
from sweeper.results.paths import Results
from sweeper.sweepfile.sweep import load
from sweeper.tracking.address import default_uri
from sweeper.tracking.turns import turns_of, wait_for_pusher
from tests.sweeper.played import command, run
from tests.sweeper.reporting.test_endpoint_metric import play

pytestmark = pytest.mark.slow


def shown(results: Results, kind: str) -> list:
    client = MlflowClient(default_uri(results.root))
    experiment = client.get_experiment_by_name("tiny")
    return list(client.search_runs([experiment.experiment_id], f"tags.`sweeper.kind` = '{kind}'"))


def test_a_sync_makes_one_run_of_the_sweep_and_again_changes_nothing(write_sweep, results):
    path = write_sweep()
    play(results, expand(load(path)))
    for _ in range(2):
        ended = command("sync", path, "--results", results.root)
        assert ended.exit_code == 0, ended.output
        (answer,) = shown(results, "sweep")
        files = {file.name: file.stat().st_mtime_ns for file in Path(answer.info.artifact_uri).iterdir()}
        assert {"report.html", "report.md", "table_1.csv", "figure_1.png"} <= files.keys()
        note = answer.data.tags["mlflow.note.content"]
        assert note.startswith("**Does the machinery work?**") and "| inner steps 1 | inner steps 2 |" in note
    command("sync", path, "--results", results.root)
    assert files == {file.name: file.stat().st_mtime_ns for file in Path(answer.info.artifact_uri).iterdir()}


def test_a_run_and_its_report_fill_the_sweeps_run_and_a_checkpoint_is_sent_where_asked_for(
    write_sweep, results, tmp_path
):
    path = write_sweep("seeds: 1")
    assert run(results, path, uri=default_uri(results.root)).exit_code == 0
    wait_for_pusher(turns_of(results, "tiny", default_uri(results.root)), print)
    (answer,) = shown(results, "sweep")
    assert "- 1 inner_steps: 1 of 1 seeds: mean" in answer.data.tags["mlflow.note.content"]
    assert not Path(answer.info.artifact_uri).exists()  # the end of a run draws nothing
    ended = command("report", path, "--results", results.root, "--out", tmp_path / "out")
    assert ended.exit_code == 0, ended.output
    (answer,) = shown(results, "sweep")
    assert "| inner steps 1 | inner steps 2 |" in answer.data.tags["mlflow.note.content"]
    page = Path(answer.info.artifact_uri) / "report.html"
    assert page.read_bytes() == (tmp_path / "out" / "report.html").read_bytes()
    for trial in shown(results, "trial"):
        folder = Path(trial.info.artifact_uri)
        assert not (folder / "checkpoint").exists()
        assert json.loads((folder / "config.json").read_text())["inner_steps"] == int(trial.data.params["inner_steps"])
        rows = list(csv.DictReader((folder / "evaluations.csv").open()))
        last = [row for row in rows if row["outer_step"] == "4" and row["head"] == "zeroed"]
        read = trial.data.metrics["endpoint/test_accuracy/zeroed/inner_steps/last_4/window_1"]
        assert float(last[int(trial.data.params["inner_steps"])]["accuracy"]) == read
        assert len((folder / "curve.csv").read_text().splitlines()) > 1 and (folder / "log.txt").stat().st_size
    assert command("sync", path, "--results", results.root, "--checkpoints").exit_code == 0
    for trial in shown(results, "trial"):
        (sent,) = (Path(trial.info.artifact_uri) / "checkpoint").iterdir()
        (kept,) = (results.trial(trial.data.tags["trial_id"]).folder).glob(f"a*/{sent.name}")
        assert sent.read_bytes() == kept.read_bytes()
