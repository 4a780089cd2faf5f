"""What raw data holds comes back as it was, to the last digit, and a file that does not is refused in a sentence."""

import csv
import gzip
import io
import json

import pytest

from analysis.errors import AnalysisError
from analysis.raw_data import DATA, PROBES, TRAINING, TRIALS, files, load
from analysis.store import Loaded


@pytest.fixture
def planned(make_trial):
    return [make_trial({"zeroing": label}, seed) for label in ("none", "every step") for seed in range(2)]


@pytest.fixture
def loaded(planned, make_record):
    records = {trial.trial_id: make_record(trial, {20: 0.1 + 0.2, 60: 1 / 3}) for trial in planned[:3]}
    first, second, _ = records.values()
    first["finals"] = [dict(first["evaluations"][-1], time_ms=9_000_000)]
    first["probes"] = [{"step": 20, "time_ms": 5, "cosine": [[0.1, None], [1e-300, -0.0]], "head_norm": 2.5}]
    first["training"] = {"step": [1, 10], "time_ms": [3, 4], "query_loss": [1.6, 0.1], "query_accuracy": [0.2, 0.9]}
    second["evaluations"][0]["accuracy"] = {"zeroed": [None, 0.7]}
    second["evaluations"][0]["sd"] = {"zeroed": [None, float("nan")]}
    return Loaded(records=records, run_ids={planned[0].trial_id: "abc"}, unreadable={})


def written(folder, content):
    for name, data in content.items():
        (folder / name).write_bytes(data)
    return folder


def test_records_come_back_as_they_were_without_the_scores(tmp_path, planned, loaded):
    back = load(written(tmp_path, files(planned, loaded)))
    expected = {trial_id: {**record, "scores": None} for trial_id, record in loaded.records.items()}
    assert json.dumps(back.records, sort_keys=True) == json.dumps(expected, sort_keys=True)
    assert back.run_ids == loaded.run_ids


def test_the_same_records_give_the_same_bytes(planned, loaded):
    assert files(planned, loaded) == files(planned, loaded)


def test_a_row_is_one_score_with_its_trial_s_axes(planned, loaded):
    rows = list(csv.DictReader(io.StringIO(gzip.decompress(files(planned, loaded)[DATA]).decode())))
    row = rows[0]
    record = loaded.records[planned[0].trial_id]
    one = record["evaluations"][0]
    head = next(iter(one["accuracy"]))
    assert (row["trial_id"], row["seed"], row["zeroing"]) == (planned[0].trial_id, "0", "none")
    assert (row["pass"], row["step"], row["head"], row["inner_steps"]) == ("training", "20", head, "0")
    assert float(row["accuracy"]) == one["accuracy"][head][0]
    assert int(row["episodes"]) == one["episodes"]
    passes = [one for record in loaded.records.values() for one in (*record["evaluations"], *record.get("finals", []))]
    assert len(rows) == sum(len(scores) for one in passes for scores in one["accuracy"].values())
    assert [found["accuracy"] for found in rows].count("") == 1


def test_the_engine_is_told_only_if_all_attempts_had_it(planned, loaded):
    attempts = loaded.records[planned[0].trial_id]["attempts"]
    attempts[:] = [
        {"attempt": 1, "engine": "loop", "device": "cpu"},
        {"attempt": 2, "engine": "loop", "device": "cuda"},
    ]
    row = next(csv.DictReader(io.StringIO(gzip.decompress(files(planned, loaded)[DATA]).decode())))
    assert (row["attempt"], row["engine"], row["device"]) == ("", "loop", "")


@pytest.mark.parametrize("name", [DATA, TRAINING, PROBES, TRIALS])
@pytest.mark.parametrize("damage", [lambda data: None, lambda data: data[:-9], lambda data: gzip.compress(b"a\n1\n")])
def test_a_missing_or_damaged_file_is_named(tmp_path, planned, loaded, name, damage):
    folder = written(tmp_path, files(planned, loaded))
    content = damage((folder / name).read_bytes())
    (folder / name).unlink() if content is None else (folder / name).write_bytes(content)
    with pytest.raises(AnalysisError, match=rf"{name} is (absent|damaged)"):
        load(folder)


def test_another_version_is_refused(tmp_path, planned, loaded):
    next(iter(loaded.records.values()))["schema"] = 2
    with pytest.raises(AnalysisError, match="schema version 2, not 1"):
        load(written(tmp_path, files(planned, loaded)))
