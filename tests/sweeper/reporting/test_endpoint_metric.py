"""The endpoint in the tracking store is the report's number, and its name holds the whole endpoint."""

import csv
import random

import pytest
from mlflow import MlflowClient

from sweeper.planning.expand import expand
from sweeper.reporting.endpoint_metric import endpoint_key, endpoint_keys, endpoint_reader
from sweeper.results.fold import read_record
from sweeper.results.paths import Results
from sweeper.sweepfile.sweep import load
from sweeper.tracking.address import default_uri
from tests.analysis.endpoints import endpoint_of
from tests.sweeper.played import begin, command

WINDOWED = "endpoint: {metric: test_accuracy, head: zeroed, steps: 1, at: last, window: 2}"
ALONE = "endpoint: {metric: test_accuracy, head: zeroed, steps: 1, at: last, window: 1}"


def play(results: Results, specs) -> None:
    """Journal a whole training of each trial, whose accuracies have digits that don't round."""
    draw = random.Random(0)
    for spec in specs:
        journal = begin(results, spec)
        for step in (spec.target // 2, spec.target):
            scores = {head: [draw.random() for _ in range(4)] for head in ("trained", "zeroed")}
            value = {"split": "test", "episodes": 3, "accuracy": scores, "sd": scores}
            journal.add(journal.attempts, [(step, "evaluation", value)])
        journal.end(journal.attempts, "done", step=spec.target, message="")


def shown(results: Results) -> dict[str, dict[str, float]]:
    """Return the endpoints of each trial in the store."""
    client = MlflowClient(default_uri(results.root))
    experiment = client.get_experiment_by_name("tiny")
    return {
        run.data.tags["trial_id"]: {key: value for key, value in run.data.metrics.items() if "endpoint/" in key}
        for run in client.search_runs([experiment.experiment_id], "tags.`sweeper.kind` = 'trial'")
    }


def reported(results: Results, path, out) -> list[float]:
    """Return the values in the CSV of the report's first table, in full precision."""
    assert command("report", path, "--results", results.root, "--format", "csv", "--out", out).exit_code == 0
    with (out / "table_1.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [float(one) for row in rows for one in row["values"].split(";")]


@pytest.mark.slow
def test_the_metric_is_exactly_what_the_report_reads_and_an_edited_window_leaves_no_stale_value(
    write_sweep, results, tmp_path
):
    path = write_sweep(WINDOWED, "  outer_steps: 40", "  eval_every: 20")
    specs = expand(load(path))
    play(results, specs)
    assert command("sync", path, "--results", results.root).exit_code == 0
    both = "endpoint/test_accuracy/zeroed/inner_step_1/last_40/window_2"
    metrics = shown(results)
    assert metrics.keys() == {spec.trial_id for spec in specs}
    assert sorted(one[both] for one in metrics.values()) == sorted(reported(results, path, tmp_path / "two"))
    path = write_sweep(ALONE, "  outer_steps: 40", "  eval_every: 20")
    assert command("sync", path, "--results", results.root).exit_code == 0
    alone = "endpoint/test_accuracy/zeroed/inner_step_1/last_40/window_1"
    now = shown(results)
    assert sorted(one[alone] for one in now.values()) == sorted(reported(results, path, tmp_path / "one"))
    assert all(one[alone] != one[both] for one in now.values())


def test_the_name_holds_metric_head_steps_outer_step_and_window(write_sweep):
    accuracy = endpoint_of("val_accuracy", head="trained", steps="inner_steps", at=(20, 40), window=3)
    probed = endpoint_of("positive_share", at="last", window=1)
    assert endpoint_key(accuracy, 60, 20) == "endpoint/val_accuracy/trained/inner_steps/step_20/window_3"
    assert endpoint_key(probed, 60) == "endpoint/positive_share/last_60/window_1"
    sweep = load(write_sweep(ALONE, "  outer_steps: 40"))
    assert endpoint_keys(sweep, expand(sweep)) == ["endpoint/test_accuracy/zeroed/inner_step_1/last_40/window_1"]


def test_test_is_shown_where_validation_of_the_journal_is_best(write_sweep, results):
    best = "endpoint: {metric: test_accuracy, head: zeroed, steps: 1, at: best val, window: 1}"
    path = write_sweep(best, "  outer_steps: 6")
    path.write_text(path.read_text().replace("  use: strokes\n", "  use: strokes\n  eval_split: both\n"))
    sweep = load(path)
    spec = expand(sweep)[0]
    journal = begin(results, spec)
    for step, val, test in ((2, 0.2, 0.9), (4, 0.6, 0.3), (6, 0.6, 0.7)):
        for key, split, score in (("evaluation_val", "val", val), ("evaluation", "test", test)):
            scores = {head: [score] * 4 for head in ("trained", "zeroed")}
            value = {"split": split, "episodes": 3, "accuracy": scores, "sd": scores}
            journal.add(journal.attempts, [(step, key, value)])
    journal.end(journal.attempts, "done", step=6, message="")
    (point,) = endpoint_reader(sweep)(spec)(read_record(results, spec.trial_id)).points
    assert (point.key, point.value, point.step) == (
        "endpoint/test_accuracy/zeroed/inner_step_1/best_val_6/window_1", 0.3, 4,
    )  # fmt: skip
    shown_of_both = {one.key for one in spec.trainer.points(read_record(results, spec.trial_id), all_of_them=True)}
    assert {"val_accuracy/zeroed/step_1", "test_accuracy/zeroed/step_1"} <= shown_of_both
