"""The tracking view, against real MLflow stores: one run a trial, each point once, whatever is pushed again."""

import gzip
import http.server
import json
import math
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from analysis.contract.record import ARTIFACT, SCHEMA_VERSION, TrialRecord, metric_key
from analysis.store import load
from sweeper.errors import TrackingError
from sweeper.tracking.address import default_uri, ui_url
from sweeper.tracking.mlflow_tracker import MlflowTracker
from sweeper.tracking.run_contents import CellSummary, TrackedTrial, last_time_ms
from sweeper.tracking.run_lookup import Sought
from tests.sweeper.stores import free_port
from trainers.maml.config import resolve
from trainers.maml.points import points
from trainers.maml.trainer import MAML
from trainers.thinning import POINTS_A_KEY

pytestmark = pytest.mark.slow

DIGEST = "d1" * 32
START_MS = 1_700_000_000_000
INNER_STEPS = 3
HEADS = ("trained", "zeroed")


def make_record(steps: int, *, target: int | None = None, status: str = "running", every: int = 100) -> TrialRecord:
    """Return the record of a trial trained to `steps`, evaluated every `every`; a step's numbers never change."""
    config = resolve({"dataset": "strokes", "inner_steps": INNER_STEPS}).model_dump()
    curve = list(range(1, steps + 1))
    return TrialRecord(
        schema=SCHEMA_VERSION,
        trial_id="t" * 16,
        point="p" * 16,
        cell="c" * 16,
        seed=0,
        status=status,
        message="",
        step=steps,
        target=target or steps,
        done_step=steps if status == "done" else 0,
        config=config,
        training={
            "step": curve,
            "time_ms": [START_MS + 10 * step for step in curve],
            "query_loss": [1 / step for step in curve],
            "query_accuracy": [1 - 1 / step for step in curve],
        },
        evaluations=[
            {
                "step": step,
                "time_ms": START_MS + 10 * step + 5,
                "split": "test",
                "episodes": 4,
                "accuracy": {head: [0.2 + k / 10 + step / 1e6 for k in range(INNER_STEPS + 1)] for head in HEADS},
                "sd": {head: [0.1] * (INNER_STEPS + 1) for head in HEADS},
            }
            for step in range(every, steps + 1, every)
        ],
        probes=[],
        scores=None,
        attempts=[
            {
                "attempt": 1,
                "time_ms": START_MS,
                "engine": "loop",
                "pack": 1,
                "dirty": False,
                "recipe": {"core": 1},
                "digest": DIGEST,
                "versions": {"torch": "2.15"},
            }
        ],
    )


TRIAL = TrackedTrial(
    trainer=MAML,
    trial_id="t" * 16,
    name="strokes · zeroing none · s0",
    sweep="demo",
    labels={"task": "5w1s", "zeroing": "none"},
)


@pytest.fixture(scope="module")
def blank_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated, empty store: migrating one takes most of a second, copying it nothing."""
    folder = tmp_path_factory.mktemp("blank")
    MlflowTracker(default_uri(folder), "unused", None)
    return folder / "mlflow.db"


@pytest.fixture
def connect(blank_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], MlflowTracker]:
    """Return a function that opens the same store anew, as another process would; the cwd is an empty folder."""
    results, cwd = tmp_path / "results", tmp_path / "cwd"
    results.mkdir()
    cwd.mkdir()
    monkeypatch.chdir(cwd)
    shutil.copy(blank_store, results / "mlflow.db")
    return lambda: MlflowTracker(default_uri(results), "demo", results / "artifacts")


def runs_of(tracker: MlflowTracker, kind: str = "trial") -> list:
    """Return the experiment's live runs as any other client of the store sees them."""
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=tracker.uri)
    experiment = client.get_experiment_by_name(tracker.experiment)
    return list(client.search_runs([experiment.experiment_id], f"tags.`sweeper.kind` = '{kind}'"))


def history(tracker: MlflowTracker, run_id: str, key: str) -> list[tuple[int, float, int]]:
    """Return every stored row of a metric as (step, value, time), duplicates and all."""
    from mlflow import MlflowClient

    rows = MlflowClient(tracking_uri=tracker.uri).get_metric_history(run_id, key)
    return sorted((row.step, row.value, row.timestamp) for row in rows)


def stored_record(run: object) -> TrialRecord:
    """Read a run's artefact where the store says it is."""
    return json.loads(gzip.decompress((Path(run.info.artifact_uri) / ARTIFACT).read_bytes()))


def assert_each_point_once(tracker: MlflowTracker, record: TrialRecord) -> None:
    """The store holds exactly the points of `record`."""
    (run,) = runs_of(tracker)
    expected = points(record, all_of_them=False)
    for key in {point.key for point in expected}:
        rows = sorted((point.step, point.value, point.time_ms) for point in expected if point.key == key)
        assert history(tracker, run.info.run_id, key) == rows


def test_a_run_says_what_was_trained_on_what_and_by_what(connect: Callable[[], MlflowTracker]) -> None:
    tracker = connect()
    record = make_record(100, status="done")
    tracker.push(record, TRIAL)
    (run,) = runs_of(tracker)
    assert run.info.run_name == TRIAL.name
    assert (run.info.status, run.info.start_time, run.info.end_time) == ("FINISHED", START_MS, START_MS + 1005)
    assert run.data.params["task"] == "5w1s"
    assert run.data.params["inner_steps"] == str(INNER_STEPS)
    expected = {"trial_id": TRIAL.trial_id, "status": "done", "sweeper.sweep": "demo", "sweeper.kind": "trial"}
    expected |= {"engine": "loop", "pack": "1", "dirty": "false", "recipe": '{"core":1}', "version.torch": "2.15"}
    assert expected.items() <= run.data.tags.items()
    (data,) = run.inputs.dataset_inputs
    assert (data.dataset.name, data.dataset.digest, run.data.tags["data_digest"]) == ("strokes", DIGEST[:36], DIGEST)


@pytest.mark.parametrize("status", ["running", "done"])
def test_pushing_twice_changes_nothing(connect: Callable[[], MlflowTracker], status: str) -> None:
    tracker = connect()
    record = make_record(300, status=status)
    tracker.push(record, TRIAL)
    tracker.push(record, TRIAL)
    assert_each_point_once(tracker, record)


@pytest.mark.parametrize("status", ["running", "done"])
def test_another_process_continues_the_same_run(connect: Callable[[], MlflowTracker], status: str) -> None:
    connect().push(make_record(150, target=400), TRIAL)
    record = make_record(400, status=status)
    tracker = connect()
    tracker.push(record, TRIAL)
    assert_each_point_once(tracker, record)


def test_a_push_that_was_cut_off_is_made_whole(connect: Callable[[], MlflowTracker]) -> None:
    record = make_record(300, status="done")
    tracker = connect()
    write, tracker._write = tracker._write, lambda run, *rest: None
    tracker.push(record, TRIAL)  # all but points, params and tags
    tracker._write = write
    connect().push(record, TRIAL)
    assert_each_point_once(tracker, record)
    assert runs_of(tracker)[0].data.tags["status"] == "done"


def test_a_run_created_elsewhere_meanwhile_is_found_before_one_is_created(connect: Callable[[], MlflowTracker]) -> None:
    early, late = connect(), connect()
    late.push(make_record(100), TRIAL)
    early.push(make_record(200), TRIAL)
    assert len(runs_of(early)) == 1


def test_an_ended_trial_costs_another_process_no_write(connect: Callable[[], MlflowTracker]) -> None:
    record = make_record(100, status="done")
    connect().push(record, TRIAL)
    tracker = connect()
    artefact = Path(runs_of(tracker)[0].info.artifact_uri) / ARTIFACT
    untouched = gzip.compress(json.dumps(record).encode(), mtime=1)  # whole, and not as we write it
    artefact.write_bytes(untouched)
    tracker.push(record, TRIAL)
    assert artefact.read_bytes() == untouched


def test_a_lost_artefact_of_an_ended_trial_is_written_again(connect: Callable[[], MlflowTracker]) -> None:
    record = make_record(100, status="done")
    connect().push(record, TRIAL)
    tracker = connect()
    shutil.rmtree(Path(tracker.uri.removeprefix("sqlite:///")).parent / "artifacts")
    tracker.push(record, TRIAL)
    assert stored_record(runs_of(tracker)[0]) == record
    assert_each_point_once(tracker, record)


@pytest.mark.parametrize("artefacts", ["moved too", "deleted"])
def test_moved_results_are_read_and_brought_up_where_they_are_now(
    connect: Callable[[], MlflowTracker], tmp_path: Path, artefacts: str
) -> None:
    record, grown = make_record(100, status="done"), make_record(200, status="done")
    connect().push(record, TRIAL)
    moved = (tmp_path / "results").rename(tmp_path / "elsewhere")
    uri = default_uri(moved)
    if artefacts == "deleted":
        shutil.rmtree(moved / "artifacts")
        assert load(uri, [TRIAL.trial_id]).records == {}
        MlflowTracker(uri, "demo", moved / "artifacts").push(record, TRIAL)
    assert load(uri, [TRIAL.trial_id]).records == {TRIAL.trial_id: record}
    MlflowTracker(uri, "demo", moved / "artifacts").push(grown, TRIAL)
    assert load(uri, [TRIAL.trial_id]).records == {TRIAL.trial_id: grown}
    assert not (tmp_path / "results").exists()


def test_artefacts_of_a_store_elsewhere_go_where_they_were_said_to(
    connect: Callable[[], MlflowTracker], tmp_path: Path
) -> None:
    tracker = MlflowTracker(connect().uri, "fresh", tmp_path / "apart")
    tracker.push(make_record(100, status="done"), TRIAL)
    assert len(list((tmp_path / "apart" / "fresh").rglob(ARTIFACT))) == 1


def test_a_run_that_was_only_created_blocks_no_report(connect: Callable[[], MlflowTracker]) -> None:
    tracker = connect()
    tracker._runs.open(Sought(key=("trial", TRIAL.trial_id), name=TRIAL.name, starts=(START_MS,)))
    assert len(load(tracker.uri, [TRIAL.trial_id]).unreadable) == 1


def test_a_grown_target_reopens_the_run_and_finishes_it_again(connect: Callable[[], MlflowTracker]) -> None:
    tracker = connect()
    seen = []
    for record in (
        make_record(200, status="done"),
        make_record(200, target=600),
        make_record(600, status="done"),
    ):
        tracker.push(record, TRIAL)
        (run,) = runs_of(tracker)
        seen.append((run.info.status, run.info.end_time, len(stored_record(run)["evaluations"])))
    first_end, second_end = START_MS + 2005, START_MS + 6005
    assert seen == [("FINISHED", first_end, 2), ("RUNNING", first_end, 2), ("FINISHED", second_end, 6)]
    steps = [step for step, _, _ in history(tracker, run.info.run_id, "train_query_loss")]
    assert len(steps) == len(set(steps))


def test_a_renamed_trial_keeps_its_run(connect: Callable[[], MlflowTracker]) -> None:
    tracker = connect()
    record = make_record(100, status="done")
    tracker.push(record, TRIAL)
    tracker.push(record, replace(TRIAL, name="another name", labels={"task": "renamed", "added": "yes"}))
    (run,) = runs_of(tracker)
    assert (run.info.run_name, run.info.status) == ("another name", "FINISHED")
    assert (run.data.params["task"], run.data.params["added"]) == ("5w1s", "yes")  # a param can't change in MLflow


@pytest.mark.parametrize(("status", "shown"), [("diverged", "FAILED"), ("failed", "FAILED"), ("interrupted", "KILLED")])
def test_an_unhappy_end_is_shown_with_its_message(
    connect: Callable[[], MlflowTracker], status: str, shown: str
) -> None:
    tracker = connect()
    tracker.push({**make_record(50), "status": status, "message": "loss is inf\nTraceback ..."}, TRIAL)
    (run,) = runs_of(tracker)
    assert (run.info.status, run.data.tags["message"]) == (shown, "loss is inf (shortened)")


def test_the_artefact_reads_back_as_the_record(connect: Callable[[], MlflowTracker]) -> None:
    tracker = connect()
    record = make_record(300, status="done")
    tracker.push(record, TRIAL)
    assert stored_record(runs_of(tracker)[0]) == record


def test_headline_keys_pick_head_and_step() -> None:
    shown = {point.key: point.value for point in points(make_record(100), all_of_them=False) if point.step == 100}
    assert shown[metric_key("trained", "step_0")] == pytest.approx(0.2001)
    assert shown[metric_key("zeroed", "step_1")] == pytest.approx(0.3001)
    assert (
        shown[metric_key("zeroed", "inner_steps")] == shown[metric_key("zeroed", "last_step")] == pytest.approx(0.5001)
    )


def test_a_last_pass_has_keys_of_its_own_and_what_was_not_scored_has_none() -> None:
    record = make_record(100, status="done")
    scored = {"zeroed": [None, 0.5]}
    record["evaluations"] = [{**record["evaluations"][0], "accuracy": scored}]
    assert {point.key for point in points(record, all_of_them=False) if "accuracy/" in point.key} <= {
        "test_accuracy/zeroed/step_1", "test_accuracy/zeroed/inner_steps", "test_accuracy/zeroed/last_step"
    }  # fmt: skip
    record["finals"] = [{**record["evaluations"][0], "accuracy": {"trained": [0.2, 0.6]}, "time_ms": 2 * 10**12}]
    (found,) = [point for point in points(record, all_of_them=False) if point.key == "final_accuracy/trained/step_1"]
    assert (found.value, found.time_ms) == (0.6, 2 * 10**12)
    assert last_time_ms(record) == 2 * 10**12


def test_a_value_that_is_not_finite_is_not_logged() -> None:
    record = make_record(3)
    record["training"]["query_loss"][1] = math.inf
    record["training"]["query_loss"][2] = math.nan
    assert [point.step for point in points(record, all_of_them=False) if point.key == "train_query_loss"] == [1]


@pytest.mark.parametrize("target", [1, 199, 200, 1000, 17_500])
def test_a_curve_has_at_most_200_points_and_only_gains_as_it_grows(target: int) -> None:
    known: set[int] = set()
    for reached in (target // 3, target // 2, target):
        steps = {
            p.step
            for p in points(make_record(reached, target=target), all_of_them=False)
            if p.key == "train_query_loss"
        }
        assert known <= steps
        assert len(steps) <= POINTS_A_KEY
        known = steps
    longer = {
        p.step for p in points(make_record(target, target=3 * target), all_of_them=False) if p.key == "train_query_loss"
    }
    assert longer <= known


def test_a_run_deleted_before_we_start_stays_deleted(connect: Callable[[], MlflowTracker]) -> None:
    tracker = connect()
    tracker.push(make_record(100), TRIAL)
    tracker._client.delete_run(runs_of(tracker)[0].info.run_id)
    later = connect()
    later.push(make_record(200), TRIAL)
    assert runs_of(later) == []
    assert later.deleted == [TRIAL.trial_id]


def test_a_run_deleted_under_our_hands_stays_deleted(connect: Callable[[], MlflowTracker]) -> None:
    tracker = connect()
    tracker.push(make_record(100), TRIAL)
    connect()._client.delete_run(runs_of(tracker)[0].info.run_id)
    tracker.push(make_record(200), TRIAL)
    tracker.push(make_record(300), TRIAL)
    assert runs_of(tracker) == []
    assert tracker.deleted == [TRIAL.trial_id]


def test_a_deleted_experiment_is_named_with_the_way_back(connect: Callable[[], MlflowTracker]) -> None:
    tracker = connect()
    tracker._client.delete_experiment(tracker._experiment_id)
    with pytest.raises(TrackingError, match=r"'demo' was deleted .*mlflow experiments restore -x"):
        connect()


def make_cell(n: int, mean: float) -> CellSummary:
    sd = 0.01 if n > 1 else math.nan
    return CellSummary(
        cell="c" * 16, name="zeroing none", labels={"zeroing": "none"}, n=n, planned=4, mean=mean, sd=sd,
        low=mean - sd, high=mean + sd,
    )  # fmt: skip


def test_a_cell_has_one_summary_run_updated_in_place(connect: Callable[[], MlflowTracker]) -> None:
    tracker = connect()
    tracker.push_cells([make_cell(1, 0.5)])
    (run,) = runs_of(tracker, "cell")
    assert run.data.metrics == {"n": 1, "mean": 0.5}  # one seed has no sd
    for _ in range(2):
        connect().push_cells([make_cell(2, 0.6)])
    (run,) = runs_of(tracker, "cell")
    assert run.data.metrics == {"n": 2, "mean": 0.6, "sd": 0.01, "low": 0.59, "high": 0.61}
    assert len(history(tracker, run.info.run_id, "mean")) == 2
    assert runs_of(tracker) == []


def test_nothing_is_put_in_the_working_folder(
    connect: Callable[[], MlflowTracker], capfd: pytest.CaptureFixture
) -> None:
    (Path.cwd() / "mlruns" / "0").mkdir(parents=True)
    (Path.cwd() / "mlruns" / "0" / "meta.yaml").write_text("name: an old file store\n")
    tracker = connect()
    tracker.push(make_record(100, status="done"), TRIAL)
    found = sorted(str(path.relative_to(Path.cwd())) for path in Path.cwd().rglob("*"))
    assert found == ["mlruns", "mlruns/0", "mlruns/0/meta.yaml"]
    assert capfd.readouterr() == ("", "")


def test_a_new_store_is_made_silently_with_its_folder(tmp_path: Path, capfd: pytest.CaptureFixture) -> None:
    MlflowTracker(default_uri(tmp_path / "new"), "demo", None)
    assert (tmp_path / "new" / "mlflow.db").exists()
    assert capfd.readouterr() == ("", "")


def test_a_server_that_is_not_there_is_told_fast_and_without_the_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri, slept_s = f"http://ada:secret@127.0.0.1:{free_port()}", []
    sleep = time.sleep
    monkeypatch.setattr(time, "sleep", lambda seconds: slept_s.append(seconds) or sleep(seconds))
    with pytest.raises(TrackingError, match=r"http://ada:\*\*\*@127.*Connection refused.*sweeper sync FILE") as caught:
        MlflowTracker(uri, "demo", tmp_path)
    assert "secret" not in str(caught.value)
    assert sum(slept_s) < 15


def test_a_file_that_is_no_database_is_a_tracking_error(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_text("not a database, but long enough to be taken for one " * 20)
    with pytest.raises(TrackingError, match="not a database"):
        MlflowTracker(default_uri(tmp_path), "demo", tmp_path)


class _HostGuard(http.server.BaseHTTPRequestHandler):
    """Answers every call as MLflow's host guard does."""

    def do_GET(self) -> None:
        self.send_response(403)
        self.end_headers()
        self.wfile.write(b"Invalid Host header - possible DNS rebinding attack detected")

    def log_message(self, *_: object) -> None:
        """Keep the test's output clean."""


def test_the_host_guard_is_named_with_its_remedy(tmp_path: Path) -> None:
    server = http.server.HTTPServer(("127.0.0.1", 0), _HostGuard)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        with pytest.raises(TrackingError, match="MLFLOW_SERVER_ALLOWED_HOSTS"):
            MlflowTracker(f"http://127.0.0.1:{server.server_port}", "demo", tmp_path)
    finally:
        server.shutdown()
        server.server_close()


def test_through_a_server_all_holds_too(
    server: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    trackers = [MlflowTracker(ui_url(default_uri(tmp_path), server), "demo", None) for _ in range(2)]
    record = make_record(300, status="done")
    trackers[0].push(make_record(150, target=300), TRIAL)
    for tracker in trackers:
        tracker.push(record, TRIAL)
    assert_each_point_once(trackers[1], record)
    (run,) = runs_of(trackers[0])
    fetched = trackers[0]._client.download_artifacts(run.info.run_id, ARTIFACT, str(tmp_path))
    assert json.loads(gzip.decompress(Path(fetched).read_bytes())) == record
    trackers[1]._client.delete_run(run.info.run_id)
    trackers[0].push(make_record(400, status="done"), TRIAL)
    assert trackers[0].deleted == [TRIAL.trial_id]
    assert capfd.readouterr().out == ""  # MLflow's greetings must not mix with data


def test_a_trial_trained_again_from_nothing_gets_a_run_of_its_own_and_keeps_the_old_one(
    connect: Callable[[], MlflowTracker],
) -> None:
    first, again = make_record(100, status="done"), make_record(200, status="done")
    again["attempts"][0]["time_ms"] += 1_000_000
    for record in (first, again, first):  # the last by somebody who still has the old journals
        connect().push(record, TRIAL)
    (old,) = runs_of(connect(), "superseded")
    assert_each_point_once(connect(), again)
    (new,) = runs_of(connect())
    assert (old.info.start_time, new.info.start_time) == (START_MS, START_MS + 1_000_000)
    assert len(stored_record(old)["training"]["step"]) == 100
    assert len(stored_record(new)["training"]["step"]) == 200
