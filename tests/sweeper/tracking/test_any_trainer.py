"""What a run shows of a trainer that is not MAML: its readings by name, its config, and one training at a time."""

import csv
import io
import json
from collections.abc import Mapping
from typing import Any

import pytest

from analysis.contract.question import PlannedTrial
from analysis.contract.record import TrialRecord
from sweeper.tracking.readable_files import readable_files
from sweeper.tracking.run_contents import TrackedTrial, began_again, is_metric_of, last_time_ms, params, tags
from tests.analysis.any_trainer import attempt, planned, recorded
from tests.sweeper.tracking.test_mlflow_tracker import (  # noqa: F401, the fixtures among them
    blank_store,
    connect,
    history,
    runs_of,
)
from trainers.trainer import Metric, Point

slow = pytest.mark.slow
PLANNED = planned({"lr": "small"}, epochs=60)


class Toy:
    """As much of a trainer as a tracked run asks: it shows every reading."""

    name = "toy"
    metrics: Mapping[str, Metric] = {"accuracy": Metric(words="accuracy", unit="%"), "loss": Metric(words="loss")}

    def points(self, record: TrialRecord, *, all_of_them: bool) -> list[Point]:
        return [
            Point(name, value, one["time_ms"], one["step"])
            for one in record["readings"]
            for name, value in one["values"].items()
        ]


TRIAL = TrackedTrial(trial_id=PLANNED.trial_id, name="small · s0", sweep="demo", labels={"lr": "small"}, trainer=Toy())


def record_of(trial: PlannedTrial, *losses: float, **changed: Any) -> TrialRecord:
    return recorded(trial, {10 * n: {"loss": loss} for n, loss in enumerate(losses, 1)}, **changed)


def restarted(record: TrialRecord) -> TrialRecord:
    """Return `record` as that of a second attempt, which began again from the start."""
    second = attempt(PLANNED, 2, time_ms=5000)
    moved = [one | {"time_ms": one["time_ms"] + 4000} for one in record["readings"]]
    return record | {"attempts": [*record["attempts"], second], "readings": moved}


def test_params_are_every_field_but_the_length_and_an_axis_goes_by_its_label() -> None:
    assert params(record_of(PLANNED, 0.5), TRIAL) == {"lr": "small", "seed": "0"}
    timeless = planned({}, target=0, dropout=None, deep=True)
    shown = params(record_of(timeless, 0.5), TRIAL)
    assert shown == {"lr": "small", "seed": "0", "dropout": "None", "deep": "True"}


def test_tags_say_which_trainer_and_code_it_was_and_that_it_has_no_data() -> None:
    found = tags(record_of(PLANNED, 0.5), TRIAL)
    assert (found["trainer"], found["code"], found["data_digest"]) == ("toy", "c" * 64, "")


def test_only_the_declared_names_are_the_trainers_own() -> None:
    record = record_of(PLANNED, 0.5)
    assert [is_metric_of(TRIAL, record, key) for key in ("loss", "accuracy/val", "loss_of_a_person", "train_x")] == [
        True, True, False, False,
    ]  # fmt: skip


def test_a_run_ends_when_its_last_reading_came() -> None:
    assert last_time_ms(record_of(PLANNED, 0.5, 0.25)) == 1020
    assert last_time_ms(record_of(PLANNED)) is None


def test_a_training_began_again_if_it_can_not_resume_and_has_a_later_attempt() -> None:
    again = restarted(record_of(PLANNED, 0.5))
    assert began_again(again, {"attempt": "1"})
    assert not began_again(again, {"attempt": "2"}) and not began_again(again, {})
    again["attempts"][-1]["resumes"] = True
    assert not began_again(again, {"attempt": "1"})


def test_a_person_reads_config_and_readings_with_a_gap_where_nothing_was_measured() -> None:
    record = recorded(PLANNED, {1: {"loss": 0.5, "accuracy/val": 0.25}, 2: {"loss": 0.1}})
    files = readable_files(record, b"said")
    assert sorted(files) == ["config.json", "log.txt", "readings.csv"]
    assert json.loads(files["config.json"])["lr"] == 0.1
    assert list(csv.reader(io.StringIO(files["readings.csv"].decode()))) == [
        ["step", "loss", "accuracy/val"],
        ["1", "0.5", "0.25"],
        ["2", "0.1", ""],
    ]


@slow
def test_a_run_shows_every_reading_once_and_goes_on_when_the_trial_grows(connect):  # noqa: F811
    tracker = connect()
    tracker.push(record_of(PLANNED, 0.5, status="running"), TRIAL)
    tracker.push(record_of(PLANNED, 0.5, 0.25), TRIAL)
    tracker.push(record_of(PLANNED, 0.5, 0.25), TRIAL)
    (run,) = runs_of(tracker)
    assert history(tracker, run.info.run_id, "loss") == [(10, 0.5, 1010), (20, 0.25, 1020)]
    assert (run.info.status, run.data.params["seed"], run.inputs.dataset_inputs) == ("FINISHED", "0", [])
    other = connect()
    other.push(record_of(PLANNED, 0.5, 0.25, 0.125), TRIAL)
    assert [row[1] for row in history(other, run.info.run_id, "loss")] == [0.5, 0.25, 0.125]
    assert runs_of(other, "superseded") == []


@slow
@pytest.mark.parametrize("same_process", [True, False])
@pytest.mark.parametrize("ended", [True, False])
def test_a_training_that_began_again_gets_a_run_of_its_own(connect, same_process, ended):  # noqa: F811
    """No curve is spliced of two trainings, also while the second one still runs."""
    first = record_of(PLANNED, 0.5, 0.25, status="failed" if ended else "running")
    tracker = connect()
    tracker.push(first, TRIAL)
    second = restarted(record_of(PLANNED, 0.75, status="running"))
    tracker = tracker if same_process else connect()
    tracker.push(second, TRIAL)
    tracker.push(restarted(record_of(PLANNED, 0.75, 0.6)), TRIAL)
    (run,) = runs_of(tracker)
    assert history(tracker, run.info.run_id, "loss") == [(10, 0.75, 5010), (20, 0.6, 5020)]
    (old,) = runs_of(tracker, "superseded")
    assert [row[1] for row in history(tracker, old.info.run_id, "loss")] == [0.5, 0.25]
    again = connect()
    again.push(restarted(record_of(PLANNED, 0.75, 0.6)), TRIAL)
    assert len(runs_of(again)) == len(runs_of(again, "superseded")) == 1
