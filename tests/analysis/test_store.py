import gzip
import os
import socket
import subprocess
import sys
import time

import pytest

from analysis.errors import AnalysisError
from analysis.store import load, without_password

# MLflow's own queries use what SQLAlchemy 2.1 deprecates
pytestmark = pytest.mark.slow


@pytest.fixture
def trial(make_trial):
    return make_trial({"zeroing": "none"})


def test_a_tracked_record_comes_back_whole(store, trial, make_trial, make_record) -> None:
    record = make_record(trial, {20: 0.3, 60: 0.7})
    run_id = store.add(record)
    store.add(make_record(make_trial({"zeroing": "none"}, seed=9), {60: 0.1}))
    loaded = load(store.uri, [trial.trial_id, "never tracked"])
    assert loaded.records == {trial.trial_id: record}
    assert loaded.run_ids == {trial.trial_id: run_id} and loaded.unreadable == {}


def test_a_shared_trial_is_read_from_the_run_that_went_furthest(store, trial, make_record) -> None:
    store.add(make_record(trial, {20: 0.3}), "sweep")
    furthest = store.add(make_record(trial, {20: 0.3, 60: 0.7}), "other@paper")
    store.add(make_record(trial, {20: 0.3}), "third")
    assert load(store.uri, [trial.trial_id]).run_ids == {trial.trial_id: furthest}


def test_of_equally_long_runs_the_newest_is_read(store, trial, make_record) -> None:
    store.add(make_record(trial, {60: 0.7}), "sweep")
    time.sleep(0.005)  # start times are in milliseconds
    newest = store.add(make_record(trial, {60: 0.7}), "other")
    assert load(store.uri, [trial.trial_id]).run_ids == {trial.trial_id: newest}


def test_more_runs_than_a_page_are_all_read(store, make_trial, make_record, monkeypatch) -> None:
    monkeypatch.setattr("analysis.store.PAGE", 2)
    trials = [make_trial({"zeroing": "none"}, seed) for seed in range(5)]
    for number, trial in enumerate(trials):
        store.add(make_record(trial, {60: 0.7}), f"sweep {number % 3}")
    assert load(store.uri, [trial.trial_id for trial in trials]).records.keys() == {t.trial_id for t in trials}


def test_two_runs_of_a_trial_in_one_experiment_are_an_error_that_lists_them(store, trial, make_record) -> None:
    runs = [store.add(make_record(trial, {60: 0.7})) for _ in range(2)]
    with pytest.raises(AnalysisError) as error:
        load(store.uri, [trial.trial_id])
    assert all(run_id in str(error.value) for run_id in (*runs, trial.trial_id))


def test_a_deleted_run_is_invisible(store, trial, make_record) -> None:
    kept, deleted = (store.add(make_record(trial, {60: 0.7})) for _ in range(2))
    store.client.delete_run(deleted)
    assert load(store.uri, [trial.trial_id]).run_ids == {trial.trial_id: kept}


def test_another_schema_version_is_an_error_that_names_the_runs(store, trial, make_record) -> None:
    run_id = store.add(make_record(trial, {60: 0.7}), schema="2")
    with pytest.raises(AnalysisError, match=run_id):
        load(store.uri, [trial.trial_id])


def test_a_run_without_a_record_yet_is_listed_and_not_read(store, trial, make_record) -> None:
    run_id = store.add(make_record(trial, {}), artifact=False)
    loaded = load(store.uri, [trial.trial_id])
    assert loaded.records == {} and loaded.unreadable == {run_id: trial.trial_id}


def flipped(content: bytes) -> bytes:
    """Return `content` with bits flipped in the middle."""
    middle = len(content) // 2
    return content[:middle] + bytes(255 - byte for byte in content[middle : middle + 8]) + content[middle + 8 :]


DAMAGE = [
    lambda whole: whole[:50],
    flipped,
    lambda whole: b"",
    lambda whole: b"[]",
    lambda whole: b"\xff",
    lambda whole: gzip.compress(b'{"trial_id": "another", "schema": 1}'),
]


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_record_is_told_with_its_run_and_the_way_out_and_left_out(store, trial, make_record, damage) -> None:
    run_id = store.add(make_record(trial, {60: 0.7}))
    (path,) = store.folder.rglob(f"{run_id}/**/trial.json.gz")
    path.write_bytes(damage(path.read_bytes()))
    loaded = load(store.uri, [trial.trial_id])
    assert loaded.records == {} and loaded.unreadable == {run_id: trial.trial_id}
    assert run_id in loaded.damaged[run_id] and "`sweeper sync FILE` sends it again" in loaded.damaged[run_id]


def test_a_record_that_was_unpacked_on_the_way_is_read_as_well(store, trial, make_record) -> None:
    """An object store may declare the encoding; a client that downloads the file then gets plain JSON."""
    record = make_record(trial, {60: 0.7})
    run_id = store.add(record)
    (path,) = store.folder.rglob(f"{run_id}/**/trial.json.gz")
    path.write_bytes(gzip.decompress(path.read_bytes()))
    assert load(store.uri, [trial.trial_id]).records == {trial.trial_id: record}
    path.write_bytes(path.read_bytes()[:50])
    assert run_id in load(store.uri, [trial.trial_id]).damaged[run_id]


@pytest.mark.parametrize(("users", "used"), [(None, "false"), ("true", "true")])
def test_records_come_by_the_server_and_not_past_it_from_its_object_store(store, monkeypatch, users, used) -> None:
    """By default MLflow returns an address in the object store, which only the server needs to reach."""
    from mlflow import MlflowClient

    name, seen = "MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD", []
    monkeypatch.delenv(name, raising=False)
    if users is not None:
        monkeypatch.setenv(name, users)
    asked = MlflowClient.search_experiments

    def ask(self, *arguments, **named):
        seen.append(os.environ[name])
        return asked(self, *arguments, **named)

    monkeypatch.setattr(MlflowClient, "search_experiments", ask)
    load(store.uri, ["a"])
    assert set(seen) == {used}
    assert os.environ.get(name) == users


def test_a_store_that_is_not_there_is_an_error_and_is_not_made(tmp_path) -> None:
    path = tmp_path / "none" / "store.db"
    with pytest.raises(AnalysisError, match="There is no tracking store"):
        load(f"sqlite:///{path}", ["a"])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("uri", ["none", "mlruns", ""])
def test_a_bare_word_is_no_store(tmp_path, monkeypatch, uri: str) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(AnalysisError, match="There is no tracking store"):
        load(uri, ["a"])
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_database_is_refused_untouched(tmp_path) -> None:
    path = tmp_path / "store.db"
    path.touch()
    with pytest.raises(AnalysisError, match="is not an SQLite database"):
        load(f"sqlite:///{path}", ["a"])
    assert path.read_bytes() == b""


def test_a_server_that_is_down_is_one_clear_error_after_seconds_of_waiting_for_it(monkeypatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    before, slept_s = dict(os.environ), []
    monkeypatch.setattr(time, "sleep", slept_s.append)
    with pytest.raises(AnalysisError, match=f"http://127.0.0.1:{port} can't be read"):
        load(f"http://127.0.0.1:{port}", ["a"])
    assert sum(slept_s) < 15
    assert dict(os.environ) == before


@pytest.mark.parametrize("uri", ["postgresql+nope://me:secret@localhost/x", "mysql+nope://h/x", "sqlite://rel.db"])
def test_a_database_that_cannot_be_opened_is_one_error_without_its_password(uri: str) -> None:
    with pytest.raises(AnalysisError, match="can't be read") as error:
        load(uri, ["a"])
    assert "secret" not in str(error.value)


def test_a_missing_driver_is_an_error_that_hides_the_password(monkeypatch, tmp_path) -> None:
    def fail(uri: str) -> None:
        raise ModuleNotFoundError(f"No module named 'psycopg2' for {uri}")

    monkeypatch.setattr("mlflow.tracking.MlflowClient", fail)
    with pytest.raises(AnalysisError, match="No module named 'psycopg2' for postgresql://localhost/x"):
        load("postgresql://me:secret@localhost/x", ["a"])


def test_a_moved_store_is_read_with_the_artefacts_beside_it(store, trial, make_record) -> None:
    record = make_record(trial, {60: 0.7})
    run_id = store.add(record)
    beside = store.folder / "artifacts" / "sweep" / run_id / "artifacts"
    beside.parent.mkdir(parents=True)
    (store.folder / "artefacts of" / "sweep" / run_id / "artifacts").rename(beside)
    assert load(store.uri, [trial.trial_id]).records == {trial.trial_id: record}


def test_a_password_is_not_repeated() -> None:
    assert without_password("postgresql://me:secret@host:5432/db") == "postgresql://host:5432/db"
    assert without_password("postgresql://host/db?user=me&password=secret") == "postgresql://host/db"
    assert without_password("http://host:5000") == "http://host:5000"
    assert without_password("sqlite:////a@b/store.db") == "sqlite:////a@b/store.db"


def test_only_reading_a_store_loads_mlflow() -> None:
    code = (
        "import sys, analysis, analysis.report.sweep_report; "
        "assert not {'mlflow', 'trainers', 'torch', 'ray'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
