"""What clocks, copies, cut journals and people do to a tracking store: a push leaves it equal to the journals."""

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from analysis.contract.record import ARTIFACT, TrialRecord
from analysis.contract.store_schema import other_schema
from analysis.store import load
from sweeper.errors import TrackingError
from sweeper.tracking.address import artifact_folder, default_uri
from sweeper.tracking.mlflow_tracker import MlflowTracker
from sweeper.tracking.reach import reach
from sweeper.tracking.run_contents import Readout, is_of_a_person, last_time_ms
from tests.sweeper.tracking.test_mlflow_tracker import (  # noqa: F401, the fixtures among them
    START_MS,
    TRIAL,
    assert_each_point_once,
    blank_store,
    connect,
    make_cell,
    make_record,
    runs_of,
    stored_record,
)
from trainers.trainer import Point

TWO_DAYS_MS = 2 * 24 * 3_600_000
slow = pytest.mark.slow


def edit(tracker: MlflowTracker, *commands: str) -> None:
    """Change the store's tables as a person would who knows SQL."""
    with closing(sqlite3.connect(tracker.uri.removeprefix("sqlite:///"))) as store, store:
        for command in commands:
            store.execute(command)


def resumed(record: TrialRecord, *, later_ms: int, kept: int) -> TrialRecord:
    """Return `record` as a second attempt leaves it that went on from step `kept`, `later_ms` after the first."""
    for number, step in enumerate(record["training"]["step"]):
        if step > kept:
            record["training"]["time_ms"][number] += later_ms
    for evaluation in record["evaluations"]:
        evaluation["time_ms"] += later_ms if evaluation["step"] > kept else 0
    record["attempts"].append({**record["attempts"][0], "attempt": 2, "time_ms": START_MS + later_ms})
    return record


@slow
@pytest.mark.parametrize("later_ms", [-TWO_DAYS_MS, -5000, 0, TWO_DAYS_MS])
def test_a_trial_goes_on_in_its_run_whatever_the_clock_says(connect, later_ms):  # noqa: F811
    connect().push(make_record(200, target=400, status="done"), TRIAL)
    grown = resumed(make_record(400, status="done"), later_ms=later_ms, kept=200)
    tracker = connect()
    tracker.push(grown, TRIAL)
    assert_each_point_once(tracker, grown)
    assert runs_of(tracker, "superseded") == []


@slow
def test_a_store_whose_run_began_at_a_later_attempt_goes_on_too(connect):  # noqa: F811
    """Earlier versions took the earliest attempt for the first."""
    grown = resumed(make_record(400, status="done"), later_ms=-TWO_DAYS_MS, kept=200)
    early = make_record(200, target=400, status="done")
    early["attempts"][0]["time_ms"] = START_MS - TWO_DAYS_MS
    connect().push(early, TRIAL)
    tracker = connect()
    tracker.push(grown, TRIAL)
    assert_each_point_once(tracker, grown)


@slow
def test_a_trial_trained_again_under_an_earlier_clock_takes_the_place_of_what_this_folder_set_aside(connect):  # noqa: F811
    connect().push(make_record(200, status="done"), TRIAL)
    again = make_record(100)
    again["attempts"][0]["time_ms"] -= TWO_DAYS_MS
    tracker = connect()
    stranger = MlflowTracker(tracker.uri, "demo", Path(tracker.uri.removeprefix("sqlite:///")).parent / "artifacts")
    stranger.push(again, TRIAL)  # of a folder that set nothing aside, and less far
    assert "keeps it" in stranger.remarks[0] and len(stored_record(runs_of(tracker)[0])["training"]["step"]) == 200
    ours = MlflowTracker(tracker.uri, "demo", tracker.artefacts.root, replaced=lambda trial_id: {START_MS})
    ours.push(again, TRIAL)
    assert len(stored_record(runs_of(tracker)[0])["training"]["step"]) == 100
    assert len(runs_of(tracker, "superseded")) == 1


def test_the_end_of_a_run_is_the_time_of_its_highest_step():
    assert last_time_ms(resumed(make_record(200), later_ms=-TWO_DAYS_MS, kept=100)) == START_MS + 2005 - TWO_DAYS_MS


@slow
def test_a_cell_shows_its_newest_mean_after_a_clock_that_was_ahead(connect, monkeypatch):  # noqa: F811
    with monkeypatch.context() as ahead:
        ahead.setattr("sweeper.tracking.mlflow_tracker.time.time_ns", lambda: 4 * 10**18)
        connect().push_cells([make_cell(1, 0.5)])
    tracker = connect()
    tracker.push_cells([make_cell(2, 0.6)])
    (run,) = runs_of(tracker, "cell")
    assert run.data.metrics["mean"] == 0.6


@slow
@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM tags WHERE key = 'trial_id'",
        "UPDATE tags SET value = 'x' WHERE key = 'trial_id'",
        "DELETE FROM tags WHERE key = 'sweeper.kind'",
        "UPDATE tags SET value = 'x' WHERE key = 'sweeper.kind'",
        "DELETE FROM tags WHERE key LIKE 'sweeper.%'",
        "DELETE FROM tags",
        "DELETE FROM tags WHERE key = 'sweeper.schema'",
        "UPDATE tags SET value = 'x' WHERE key IN ('status', 'point')",
        "DELETE FROM params",
        "DELETE FROM latest_metrics",
        "DELETE FROM metrics",
        "DELETE FROM metrics WHERE step > 100",
        "DELETE FROM metrics WHERE key LIKE 'test%'",
        "DELETE FROM latest_metrics WHERE key LIKE 'test%'",
        "UPDATE runs SET status = 'RUNNING'",
    ],
)
def test_what_a_person_changed_in_a_run_is_mended_and_said(connect, change):  # noqa: F811
    record = make_record(200, status="done")
    connect().push(record, TRIAL)
    (before,) = runs_of(connect())
    edit(connect(), change, *(["DELETE FROM latest_metrics"] if change == "DELETE FROM metrics" else []))
    assert isinstance(load(connect().uri, [TRIAL.trial_id]).records, dict)  # a report never crashes
    tracker = connect()
    tracker.push(record, TRIAL)
    assert_each_point_once(tracker, record)
    (after,) = runs_of(tracker)
    assert after.data.metrics == before.data.metrics and after.data.params == before.data.params
    ours = {tag: value for tag, value in before.data.tags.items() if not tag.startswith("mlflow.")}
    assert ours.items() <= after.data.tags.items() and after.info.status == "FINISHED"
    assert load(tracker.uri, [TRIAL.trial_id]).records == {TRIAL.trial_id: record}
    assert len(tracker.remarks) == 1 and TRIAL.trial_id in tracker.remarks[0]
    later = connect()
    later.push(record, TRIAL)
    assert later.remarks == [] and len(runs_of(later)) == 1


@slow
@pytest.mark.parametrize("change", ["DELETE FROM tags WHERE key = 'cell'", "DELETE FROM tags", "DELETE FROM metrics"])
def test_a_cell_that_a_person_changed_is_one_run_again(connect, change):  # noqa: F811
    connect().push_cells([make_cell(2, 0.6)])
    edit(connect(), change)
    tracker = connect()
    tracker.push_cells([make_cell(2, 0.6)])
    (run,) = runs_of(tracker, "cell")
    assert run.data.metrics["mean"] == 0.6


@slow
def test_a_run_that_took_the_tag_of_another_is_given_its_own_back(connect):  # noqa: F811
    other = {**make_record(100, status="done"), "trial_id": "u" * 16, "point": "q" * 16, "cell": "d" * 16, "seed": 1}
    other["config"] = {**other["config"], "seed": 1}
    other["attempts"] = [{**other["attempts"][0], "time_ms": START_MS + 7}]
    both = [(make_record(100, status="done"), TRIAL), (other, replace(TRIAL, trial_id="u" * 16, name="other"))]
    for record, trial in both:
        connect().push(record, trial)
    edit(connect(), f"UPDATE tags SET value = '{TRIAL.trial_id}' WHERE key = 'trial_id'")
    tracker = connect()
    for record, trial in both:
        tracker.push(record, trial)
    assert len(runs_of(tracker)) == 2
    records = {record["trial_id"]: record for record, _ in both}
    assert load(tracker.uri, records).records == records


@slow
def test_a_renamed_run_and_experiment_keep_their_names_and_are_said(connect):  # noqa: F811
    tracker = connect()
    tracker.push(make_record(100, target=200, status="done"), TRIAL)
    (run,) = runs_of(tracker)
    tracker._client.update_run(run.info.run_id, name="the good one")
    tracker._client.rename_experiment(tracker._experiment_id, "for the paper")
    grown, later = make_record(200, status="done"), connect()
    later.push(grown, TRIAL)
    later.experiment = "for the paper"  # where the helpers below look
    assert runs_of(later)[0].info.run_name == "the good one"
    assert_each_point_once(later, grown)
    assert [named in remark for named, remark in zip(["'for the paper'", "'the good one'"], later.remarks, strict=True)]
    assert load(later.uri, [TRIAL.trial_id]).records == {TRIAL.trial_id: grown}


@slow
def test_a_renamed_experiment_is_known_though_the_kind_of_its_runs_was_changed_too(connect):  # noqa: F811
    tracker = connect()
    tracker.push(make_record(100, target=200, status="done"), TRIAL)
    tracker._client.rename_experiment(tracker._experiment_id, "for the paper")
    edit(tracker, "UPDATE tags SET value = 'x' WHERE key = 'sweeper.kind'")
    grown, later = make_record(200, status="done"), connect()
    later.push(grown, TRIAL)
    assert later._experiment_id == tracker._experiment_id
    later.experiment = "for the paper"  # where the helpers below look
    assert_each_point_once(later, grown)


@slow
def test_a_run_in_the_trash_stays_there_even_without_tags_and_a_restored_one_goes_on(connect):  # noqa: F811
    tracker = connect()
    tracker.push(make_record(100, target=200, status="done"), TRIAL)
    (run,) = runs_of(tracker)
    tracker._client.delete_run(run.info.run_id)
    edit(tracker, "DELETE FROM tags WHERE key = 'trial_id'")
    later, grown = connect(), make_record(200, status="done")
    later.push(grown, TRIAL)
    assert runs_of(later) == [] and later.deleted == [TRIAL.trial_id]
    tracker._client.restore_run(run.info.run_id)
    connect().push(grown, TRIAL)
    assert_each_point_once(connect(), grown)


@slow
@pytest.mark.parametrize("cut_at", [50, 100, 150])
def test_a_cut_journal_leaves_no_point_of_what_it_lost_and_keeps_a_persons_notes(connect, cut_at):  # noqa: F811
    tracker = connect()
    tracker.push(make_record(200, status="done"), TRIAL)
    (old,) = runs_of(tracker)
    for tag, value in (("mlflow.note.content", "look here"), ("reviewed", "yes")):
        tracker._client.set_tag(old.info.run_id, tag, value)
    record = resumed(make_record(200, status="done"), later_ms=9_000, kept=cut_at)
    later = connect()
    later.push({**record, "status": "running"}, TRIAL)
    later.push(record, TRIAL)
    assert_each_point_once(later, record)
    (new,) = runs_of(later)
    assert (new.data.tags["mlflow.note.content"], new.data.tags["reviewed"]) == ("look here", "yes")
    assert [run.info.run_id for run in runs_of(later, "superseded")] == [old.info.run_id]
    assert "takes the place of" in later.remarks[0]
    again = connect()
    again.push(record, TRIAL)
    assert len(runs_of(again, "superseded")) == 1


@slow
def test_a_record_that_another_process_has_outrun_meanwhile_supersedes_nothing(connect):  # noqa: F811
    grown = make_record(200, status="done")
    connect().push(grown, TRIAL)
    tracker = connect()
    tracker = MlflowTracker(tracker.uri, "demo", tracker.artefacts.root, read=lambda trial_id: grown)
    tracker.push(make_record(100, status="done"), TRIAL)
    assert runs_of(tracker, "superseded") == []
    assert_each_point_once(tracker, grown)


def test_what_is_a_persons_is_told_from_what_is_ours():
    theirs = ["reviewed", "mlflow.note.content", "paper"]
    ours = ["trial_id", "sweeper.kind", "mlflow.user", "version.torch", "status", "engine", "data_digest", "message"]
    assert [is_of_a_person(tag) for tag in theirs + ours] == [True] * len(theirs) + [False] * len(ours)


@slow
@pytest.mark.parametrize("damage", [b"", b"\x1f\x8b", b"half"])
def test_a_half_sent_record_is_left_out_of_a_report_and_sent_again_by_a_sync(connect, damage):  # noqa: F811
    record = make_record(100, status="done")
    connect().push(record, TRIAL)
    tracker = connect()
    (path,) = tracker.artefacts.root.rglob(ARTIFACT)
    path.write_bytes(damage or path.read_bytes()[:60])
    loaded = load(tracker.uri, [TRIAL.trial_id])
    assert loaded.records == {} and "`sweeper sync FILE` sends it again" in next(iter(loaded.damaged.values()))
    tracker.push(record, TRIAL)
    assert load(tracker.uri, [TRIAL.trial_id]).records == {TRIAL.trial_id: record}


@slow
def test_a_copied_folder_writes_nothing_into_the_one_it_was_copied_from(
    connect: Callable[[], MlflowTracker],  # noqa: F811
    tmp_path: Path,
) -> None:
    connect().push(make_record(100, status="done"), TRIAL)
    copy = shutil.copytree(tmp_path / "results", tmp_path / "copy")
    before = {path: path.read_bytes() for path in (tmp_path / "results").rglob("*") if path.is_file()}
    tracker, grown = MlflowTracker(default_uri(copy), "demo", copy / "artifacts"), make_record(200, status="done")
    tracker.push(grown, TRIAL)
    tracker.push({**grown, "trial_id": "n" * 16}, replace(TRIAL, trial_id="n" * 16))
    assert {path: path.read_bytes() for path in (tmp_path / "results").rglob("*") if path.is_file()} == before
    assert all(run.info.artifact_uri.startswith(f"{copy}/artifacts/") for run in runs_of(tracker))
    assert load(default_uri(copy), [TRIAL.trial_id]).records == {TRIAL.trial_id: grown}
    assert len(load(default_uri(tmp_path / "results"), [TRIAL.trial_id]).records[TRIAL.trial_id]["evaluations"]) == 1


@pytest.mark.parametrize(
    ("stored", "root", "folder"),
    [
        ("/a/artifacts/demo/r1/artifacts", "/b/artifacts", "/b/artifacts/demo/r1/artifacts"),
        ("file:///a%20b/artifacts/demo/r1/artifacts", "/b/artifacts", "/b/artifacts/demo/r1/artifacts"),
        ("/a/artifacts/demo/r1/artifacts", None, "/a/artifacts/demo/r1/artifacts"),
        ("/data/chosen/demo/r1/artifacts", "/b/artifacts", "/data/chosen/demo/r1/artifacts"),
        ("mlflow-artifacts:/1/r1/artifacts", "/b/artifacts", None),
        ("s3://a/artifacts/demo/r1/artifacts", "/b/artifacts", None),
    ],
)
def test_artefacts_lie_in_the_folder_that_is_opened_unless_a_person_chose_their_place(stored, root, folder):
    found = artifact_folder(stored, "postgresql://host/db", None if root is None else Path(root))
    assert found == (None if folder is None else Path(folder))


@slow
def test_a_store_of_a_newer_mlflow_is_said_by_all_that_open_it(blank_store, tmp_path):  # noqa: F811
    shutil.copy(blank_store, tmp_path / "mlflow.db")
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as store, store:
        store.execute("UPDATE alembic_version SET version_num = 'ffffffffffff'")
    uri = default_uri(tmp_path)
    for open_it in (lambda: reach(uri), lambda: MlflowTracker(uri, "demo", None)):
        with pytest.raises(TrackingError, match=r"newer MLflow .*ffffffffffff.*installed one, 3.*install that newer"):
            open_it()


def test_an_older_store_is_said_with_the_command_that_migrates_it():
    known = "ae8bbe7743c9"
    said = other_schema(f"Detected out-of-date database schema (found version {known}, but expected {'0' * 12}). Take")
    assert "older MLflow" in said and "mlflow db upgrade" in said
    assert other_schema("disk I/O error") == ""


@slow
def test_a_run_follows_a_new_name_of_ours_and_keeps_one_that_a_person_gave(connect):  # noqa: F811
    record = make_record(200, status="done")
    connect().push(record, TRIAL)
    tracker = connect()
    for short in ("none · s0", "zeroed never · s0"):
        tracker.push(record, replace(TRIAL, short=short))
        (run,) = runs_of(tracker)
        assert run.info.run_name == short and tracker.remarks == []
    edit(tracker, "UPDATE runs SET name = 'the good one'")
    edit(tracker, "UPDATE tags SET value = 'the good one' WHERE key = 'mlflow.runName'")
    later = connect()
    later.push(record, replace(TRIAL, short="another · s0"))
    assert runs_of(later)[0].info.run_name == "the good one"


@slow
def test_an_earlier_version_s_run_gets_its_page_without_a_remark_and_keeps_all_it_had(connect):  # noqa: F811
    record = make_record(200, status="done")
    connect().push(record, TRIAL)
    edit(connect(), "DELETE FROM tags WHERE key IN ('sweeper.page', 'mlflow.source.name')")
    (before,) = runs_of(connect())
    point = Point("endpoint/test_accuracy/zeroed/inner_steps/last_200/window_1", 0.125, START_MS + 5, 200)
    trial = replace(TRIAL, short="none · s0", source="demo.yaml", read=lambda _: Readout((point,), "12.5 %"))
    for _ in range(2):  # sending again changes nothing
        tracker = connect()
        tracker.push(record, trial)
        (after,) = runs_of(tracker)
        assert tracker.remarks == []
        assert before.data.metrics.items() <= after.data.metrics.items()
        ours = {tag: value for tag, value in before.data.tags.items() if not tag.startswith(("mlflow.", "sweeper."))}
        assert ours.items() <= after.data.tags.items()
        assert after.data.tags["sweeper.shown"] == before.data.tags["sweeper.shown"]
        assert after.data.metrics[point.key] == 0.125
        assert after.data.tags["mlflow.note.content"] == "12.5 %"
        assert after.data.tags["mlflow.source.name"] == "demo.yaml"
        assert len(tracker._client.get_metric_history(after.info.run_id, point.key)) == 1


@slow
def test_a_description_that_a_person_wrote_stays(connect):  # noqa: F811
    record = make_record(200, status="done")
    trial = replace(TRIAL, read=lambda _: Readout((), "ours"))
    connect().push(record, trial)
    edit(connect(), "UPDATE tags SET value = 'mine' WHERE key = 'mlflow.note.content'")
    tracker = connect()
    tracker.push(record, replace(trial, read=lambda _: Readout((), "ours, new")))
    assert runs_of(tracker)[0].data.tags["mlflow.note.content"] == "mine"


@slow
def test_trials_are_below_their_cell_and_the_first_cell_is_the_newest_run(connect):  # noqa: F811
    tracker = connect()
    tracker.push(make_record(200, status="done"), TRIAL)
    tracker.push_cells([replace(make_cell(2, 0.6), trials=(TRIAL.trial_id, "not begun"))])
    (trial,), (cell,) = runs_of(tracker), runs_of(tracker, "cell")
    assert trial.data.tags["mlflow.parentRunId"] == cell.info.run_id
    later = connect()
    later.push(make_record(200, status="done"), TRIAL)
    assert later.remarks == []
    later.describe("**What?**", ["inner_steps"], ["endpoint/x"])
    tags = later._client.get_experiment_by_name("demo").tags
    assert tags["mlflow.note.content"] == "**What?**" and "inner_steps" in tags["mlflow.sharedViewState.sweeper"]
    later._client.set_experiment_tag(later._experiment_id, "mlflow.sharedViewState.sweeper", "a person's")
    connect().describe("**What?**", ["zeroing"], ["endpoint/x"])
    assert later._client.get_experiment_by_name("demo").tags["mlflow.sharedViewState.sweeper"] == "a person's"
