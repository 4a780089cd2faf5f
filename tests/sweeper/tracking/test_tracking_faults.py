"""A store that is down, slow, babbling, new, or written by two at once: nothing is lost and nothing is there twice."""

import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from analysis.contract.record import TrialRecord
from sweeper.errors import TrackingError
from sweeper.results.fold import fold
from sweeper.results.paths import Results
from sweeper.running.batch import prepare_run
from sweeper.sweepfile.sweep import load
from sweeper.tracking.address import default_uri, sqlite_path
from sweeper.tracking.mlflow_tracker import MlflowTracker
from sweeper.tracking.open_lock import only_opener
from sweeper.tracking.shown_mark import is_shown
from sweeper.tracking.syncer import Views
from sweeper.tracking.views import catch_up
from tests.sweeper.command import PATIENT, start, sweeper
from tests.sweeper.stores import BadLine, answers, babbling_server
from tests.sweeper.tiny import trained_in
from tests.sweeper.tracking.test_mlflow_tracker import TRIAL, make_record
from tests.waiting import HANG_S, wait_until
from trainers.maml.points import points
from trainers.trainer import Point

pytestmark = pytest.mark.slow

PASSWORD = "pl4nted-secret"
LOCAL = ("--executor", "inline", "--device", "cpu")


def stored(uri: str, experiment: str = "tiny") -> dict[str, list[tuple[str, int, float]]]:
    """Return every stored point of every live trial's run, by trial; fails when a trial has two runs."""
    from mlflow import MlflowClient

    client, found = MlflowClient(tracking_uri=uri), {}
    known = client.get_experiment_by_name(experiment)
    for run in client.search_runs([known.experiment_id] if known else [], "tags.`sweeper.kind` = 'trial'"):
        trial_id = run.data.tags["trial_id"]
        assert trial_id not in found, f"two runs of {trial_id}"
        histories = [client.get_metric_history(run.info.run_id, key) for key in run.data.metrics]
        found[trial_id] = sorted((point.key, point.step, point.value) for rows in histories for point in rows)
    return found


def journalled(results: Path, steps: int | None = None) -> dict[str, list[tuple[str, int, float]]]:
    """Return what the store should hold, by trial; the endpoint is read after `steps` inner steps, None: as trained."""
    records = {path.parent.name: fold(path) for path in (results / "trials").glob("*/journal.jsonl")}
    return {
        trial_id: sorted(
            (point.key, point.step, point.value)
            for point in [*points(record, all_of_them=False), *endpoint_of(record, steps)]
        )
        for trial_id, record in records.items()
        if record is not None
    }


def endpoint_of(record: TrialRecord, steps: int | None = None) -> list[Point]:
    """Return the one point of the tiny sweep's endpoint that the run of an ended trial shows besides its curves."""
    named = "inner_steps" if steps is None else f"inner_step_{steps}"
    key = f"endpoint/test_accuracy/zeroed/{named}/last_{record['target']}/window_1"
    taken, last = record["config"]["inner_steps"] if steps is None else steps, record["evaluations"][-1:]
    return [
        Point(key, found["accuracy"]["zeroed"][taken], found["time_ms"], found["step"])
        for found in last
        if record["status"] != "running" and found["step"] == record["target"]
    ]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a sweep whose two trials are done and which no store has seen."""
    return trained_in(tmp_path_factory.mktemp("trained"))


@pytest.fixture
def untracked(trained: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "here"))


def assert_says_no(folder: Path, secret: str) -> None:
    """No file under `folder`, and no file's name, holds `secret`."""
    for path in folder.rglob("*"):
        assert secret not in path.name
        assert not path.is_file() or secret.encode() not in path.read_bytes(), path


def test_a_store_that_babbles_costs_no_training_tells_no_password_and_gets_all_later(write_sweep, tmp_path: Path):
    path = write_sweep("seeds: 1")
    replies = [(403, b"Forbidden"), (401, b"Who?"), (500, b"Oops"), (200, b"\0\xffgarbage"), (200, b"<html>Hi</html>")]
    with babbling_server(replies) as port:
        uri = f"http://ada:{PASSWORD}@127.0.0.1:{port}"
        ended = sweeper("run", path, *LOCAL, "--tracking-uri", uri, cwd=tmp_path, program=PATIENT)
    assert ended.code == 0, ended.err
    assert "2 planned: 2 done" in ended.err
    assert f"2 trials are not yet in http://ada:***@127.0.0.1:{port}" in ended.err
    assert "sweeper sync" in ended.err
    assert "Traceback" not in ended.err
    first = sweeper("sync", path, cwd=tmp_path)
    assert first.code == 0, first.err
    uri = default_uri(tmp_path / "results")
    assert stored(uri) == journalled(tmp_path / "results")
    assert sweeper("export", path, "--out", "all.zip", cwd=tmp_path).code == 0
    assert PASSWORD not in ended.err + ended.out + first.err
    assert_says_no(tmp_path, PASSWORD)


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        ((403, b"Forbidden"), "it answers 403 Forbidden, so this user may not write there"),
        ((401, b""), "it answers 401 Unauthorized, so set MLFLOW_TRACKING_USERNAME"),
        ((500, b"x" * 9000), "it answers 500 Internal Server Error"),
        ((404, b"<html>Not found</html>"), "it answers 404 Not Found, so no MLflow server is at this address"),
        ((200, b"\0\xffgarbage"), "it answers, but not as an MLflow server does"),
        ((200, b"<html><body>Welcome!</body></html>"), "it answers, but not as an MLflow server does"),
        ((200, b"{}"), "it answers, but not as an MLflow server does"),
        ((200, b'{"experiment": 3}'), "it answers, but not as an MLflow server does"),
    ],
)
def test_what_a_store_answers_is_told_in_one_sentence(reply: tuple[int, bytes], told: str) -> None:
    with babbling_server([reply]) as port:
        uri = f"http://ada:{PASSWORD}@127.0.0.1:{port}"
        with pytest.raises(TrackingError) as caught:
            MlflowTracker(uri, "demo", None)
    assert str(caught.value).startswith(f"the tracking store http://ada:***@127.0.0.1:{port} can't be written: {told}")
    assert PASSWORD not in str(caught.value) and len(str(caught.value)) < 400


def test_a_server_that_is_down_goes_and_comes_is_caught_up_with_while_the_run_lives(write_sweep, tmp_path, server):
    """Down when the run starts, there, gone, there again; then the run is stopped and a later one ends it."""
    path = write_sweep("name: down", "  outer_steps: 100000", "seeds: 1", "  inner_steps: [1]", "  eval_every: 100000")
    line = BadLine(server, cut=True)
    uri = f"http://127.0.0.1:{line.port}"
    process = start(["run", path, *LOCAL, "--tracking-uri", uri], tmp_path)
    said: list[str] = []
    reader = threading.Thread(target=lambda: said.extend(iter(process.stderr.readline, "")), daemon=True)
    reader.start()
    try:
        wait_until(lambda: told(said, "can't be written: Connection refused") == 1)
        line.mend()
        wait_until(lambda: told(said, "the tracking store answers again") == 1)
        wait_until(lambda: steps_in(f"http://127.0.0.1:{server}") > 0)
        line.cut()
        wait_until(lambda: told(said, "can't be written") == 2)
        behind = steps_in(f"http://127.0.0.1:{server}")
        line.mend()
        wait_until(lambda: told(said, "the tracking store answers again") == 2)
        wait_until(lambda: steps_in(f"http://127.0.0.1:{server}") > behind)
        assert process.poll() is None
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(HANG_S)
        reader.join(HANG_S)
    assert process.returncode == 130, said
    (tmp_path / "tiny.yaml").write_text(path.read_text().replace("100000", "4"))
    for _ in range(2):
        assert sweeper("sync", path, "--tracking-uri", uri, cwd=tmp_path).code == 0
    assert stored(f"http://127.0.0.1:{server}", "down") == journalled(tmp_path / "results")
    line.cut()


def steps_in(uri: str) -> int:
    """Return how many points of training the store has."""
    return sum(len([row for row in rows if row[0] == "train_query_loss"]) for rows in stored(uri, "down").values())


def told(said: list[str], text: str) -> int:
    return sum(text in line for line in said)


def test_two_that_sync_at_once_into_a_new_store_leave_one_run_a_trial_and_cell(untracked: Path) -> None:
    both = [start(["sync", "tiny.yaml"], untracked) for _ in range(2)]
    told_both = [process.communicate(timeout=HANG_S)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], told_both
    assert stored(default_uri(untracked / "results")) == journalled(untracked / "results")
    assert live_cells(default_uri(untracked / "results")) == 2


def test_two_that_sync_at_once_to_a_server_leave_one_run_a_trial_and_cell(untracked: Path, server: int) -> None:
    (untracked / "twice.yaml").write_text((untracked / "tiny.yaml").read_text().replace("name: tiny", "name: twice"))
    uri = f"http://127.0.0.1:{server}"
    both = [start(["sync", "twice.yaml", "--tracking-uri", uri], untracked) for _ in range(2)]
    told_both = [process.communicate(timeout=HANG_S)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], told_both
    assert stored(uri, "twice") == journalled(untracked / "results")
    assert live_cells(uri, "twice") == 2


def live_cells(uri: str, experiment: str = "tiny") -> int:
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=uri)
    experiment_id = client.get_experiment_by_name(experiment).experiment_id
    return len(client.search_runs([experiment_id], "tags.`sweeper.kind` = 'cell'"))


@pytest.fixture(scope="module")
def blank_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated, empty store: migrating one takes most of a second, copying it nothing."""
    folder = tmp_path_factory.mktemp("blank")
    MlflowTracker(default_uri(folder), "unused", None)
    return folder / "mlflow.db"


@pytest.fixture
def uri(blank_store: Path, tmp_path: Path) -> str:
    shutil.copy(blank_store, tmp_path / "mlflow.db")
    return default_uri(tmp_path)


def test_runs_created_at_the_same_moment_become_one_whose_loser_goes_on_in_the_winner(uri: str, tmp_path: Path) -> None:
    """Both look before either has created, which is the order of events that looking can't prevent."""
    trackers = [MlflowTracker(uri, "tiny", tmp_path / "artifacts") for _ in range(2)]
    rounds = 4
    for round_number in range(rounds):  # which of the two has the lower id is chance
        trial_id = f"{round_number}" * 16
        trial = TRIAL.__class__(trial_id=trial_id, name="n", sweep="tiny", labels={}, trainer=TRIAL.trainer)
        trackers[1]._runs._find, find = blind_once(trackers[1]._runs._find), trackers[1]._runs._find
        for steps, status in ((100, "running"), (200, "done")):
            for tracker in trackers:
                tracker.push({**make_record(steps, target=200, status=status), "trial_id": trial_id}, trial)
        trackers[1]._runs._find = find
    expected = sorted(
        (point.key, point.step, point.value) for point in points(make_record(200, status="done"), all_of_them=False)
    )
    assert stored(uri) == {f"{number}" * 16: expected for number in range(rounds)}
    assert [tracker.deleted for tracker in trackers] == [[], []]


def blind_once(find: Callable) -> Callable:
    calls = iter([lambda key: None])
    return lambda key: next(calls, find)(key)


def test_a_run_deleted_by_hand_is_not_made_again_by_a_process_that_never_saw_it(uri: str, tmp_path: Path) -> None:
    early, late = (MlflowTracker(uri, "tiny", tmp_path / "artifacts") for _ in range(2))
    late.push(make_record(100, status="done"), TRIAL)
    late._client.delete_run(next(iter(late._runs._runs.values())).run_id)
    early.push(make_record(100, status="done"), TRIAL)
    assert stored(uri) == {}
    assert early.deleted == [TRIAL.trial_id]


def test_text_longer_than_the_store_takes_is_cut_visibly_and_stays_distinct(uri: str, tmp_path: Path) -> None:
    from mlflow import MlflowClient

    tracker = MlflowTracker(uri, "tiny", tmp_path / "artifacts")
    for last, trial_id in (("a", "1" * 16), ("b", "2" * 16)):
        text = "x" * 9000 + last
        trial = TRIAL.__class__(trial_id=trial_id, name=text, sweep=text, labels={"axis": text}, trainer=TRIAL.trainer)
        tracker.push({**make_record(1, status="done"), "trial_id": trial_id}, trial)
    client = MlflowClient(tracking_uri=uri)
    runs = client.search_runs([client.get_experiment_by_name("tiny").experiment_id])
    for values, longest in (
        ([run.data.params["axis"] for run in runs], 6000),
        ([run.data.tags["sweeper.sweep"] for run in runs], 8000),
        ([run.info.run_name for run in runs], 250),
    ):
        assert len(values) == len(set(values)) == 2
        assert {len(value) for value in values} == {longest}
        assert all(re.search(r"\.\.\. \(shortened from 9001 characters, sha256 \w{12}\)$", value) for value in values)


def test_old_file_stores_and_the_users_own_variables_break_nothing(untracked: Path) -> None:
    broken = untracked / "mlruns" / "0" / "meta.yaml"
    broken.parent.mkdir(parents=True)
    broken.write_text("{ not yaml")
    theirs = {
        "MLFLOW_RUN_ID": "f" * 32, "MLFLOW_EXPERIMENT_ID": "77", "MLFLOW_EXPERIMENT_NAME": "theirs",
        "MLFLOW_ENABLE_ASYNC_LOGGING": "true", "MLFLOW_TRUNCATE_LONG_VALUES": "true", "MLFLOW_TRACKING_TOKEN": "t0ken",
        "MLFLOW_REGISTRY_URI": "mlruns", "MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING": "true",
    }  # fmt: skip
    ended = sweeper("sync", "tiny.yaml", cwd=untracked, fresh=True, **theirs)
    assert ended.code == 0, ended.err
    assert stored(default_uri(untracked / "results")) == journalled(untracked / "results")
    assert [path.name for path in (untracked / "mlruns").rglob("*")] == ["0", "meta.yaml"]


@pytest.mark.parametrize("words", [("sync",), ("report", "--out", "report")], ids=lambda words: words[0])
def test_what_the_database_refuses_is_told_in_a_sentence_alone(words: tuple[str, ...], untracked: Path) -> None:
    assert sweeper("sync", "tiny.yaml", cwd=untracked).code == 0
    with closing(sqlite3.connect(sqlite_path(default_uri(untracked / "results")))) as store, store:
        store.execute("ALTER TABLE runs RENAME COLUMN source_type TO gone")
    ended = sweeper(words[0], "tiny.yaml", *words[1:], cwd=untracked)
    assert "no such column: runs.source_type" in ended.err
    assert "Traceback" not in ended.err and "ERROR" not in ended.err, ended.err


def test_a_variable_of_mlflow_that_can_not_be_read_is_told_in_a_sentence(untracked: Path) -> None:
    uri = "http://127.0.0.1:9"
    ended = sweeper(
        "sync", "tiny.yaml", "--tracking-uri", uri, cwd=untracked, fresh=True, MLFLOW_HTTP_REQUEST_TIMEOUT="soon"
    )
    assert ended.code == 4
    assert "MLFLOW_HTTP_REQUEST_TIMEOUT" in ended.err and "Traceback" not in ended.err


def test_a_run_with_nothing_to_train_sends_what_the_store_lacks_once_and_lists_deleted_runs(untracked: Path) -> None:
    from mlflow import MlflowClient

    uri = default_uri(untracked / "results")
    ended = sweeper("run", "tiny.yaml", *LOCAL, cwd=untracked)
    assert ended.code == 0 and "0 to run" in ended.err, ended.err
    assert stored(uri) == journalled(untracked / "results")
    assert live_cells(uri) == 2
    results = Results.at(untracked / "results")
    batch = prepare_run([load(untracked / "tiny.yaml")], None, results, untracked)
    assert is_shown(batch.parts[0], results, uri)
    assert not is_shown(batch.parts[0], results, "http://127.0.0.1:9")
    asks_nobody = Views([])
    assert catch_up(batch, results, uri, asks_nobody) == 0
    client = MlflowClient(tracking_uri=uri)
    (gone, *_) = client.search_runs(
        [client.get_experiment_by_name("tiny").experiment_id], "tags.`sweeper.kind` = 'trial'"
    )
    client.delete_run(gone.info.run_id)
    results.run("tiny").shown.unlink()
    for verb in ("run", "sync"):
        options = LOCAL if verb == "run" else ()
        listed = sweeper(verb, "tiny.yaml", *options, cwd=untracked, program=PATIENT)
        assert listed.code == 0
        assert f"{gone.data.tags['trial_id']}: its run was deleted in the store and is not made again" in listed.err
    assert gone.data.tags["trial_id"] not in stored(uri)


def test_a_process_killed_while_it_makes_a_store_leaves_none_in_the_way_of_the_next(tmp_path: Path) -> None:
    program = (
        "import sys; from sweeper.tracking import mlflow_tracker; "
        "mlflow_tracker.MlflowTracker(sys.argv[1], 'tiny', None)"
    )
    uri, halves = f"sqlite:///{tmp_path}/mlflow.db", lambda: [*tmp_path.glob(".mlflow.db.*")]
    maker = subprocess.Popen([sys.executable, "-c", program, uri], stderr=subprocess.DEVNULL)
    wait_until(lambda: any(half.stat().st_size for half in halves()))
    maker.kill()
    maker.wait()
    assert halves() and not (tmp_path / "mlflow.db").exists()
    assert MlflowTracker(uri, "tiny", None).deleted == []
    assert not halves() and (tmp_path / "mlflow.db").exists()


def test_whoever_opens_a_new_store_keeps_others_out_until_it_is_made(tmp_path: Path) -> None:
    uri = default_uri(tmp_path)
    with only_opener(uri):
        with pytest.raises(TrackingError, match=r"mlflow\.db\.lock: another process"), only_opener(uri, 0.2):
            pass
        with only_opener("http://127.0.0.1:9", 0.2):
            pass  # a server minds its own tables
    with only_opener(uri, 0.2):
        pass


def test_the_bad_line_and_the_server_behind_it_are_what_they_say(server: int) -> None:
    line = BadLine(server)
    assert answers(line.port)
    line.cut()
    assert not answers(line.port)
