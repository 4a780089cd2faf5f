"""One run of MAML, prototypical networks and a function beside the file, its report, and that from raw data."""

import shutil

import pytest

import sweeper
from sweeper.planning.expand import expand
from sweeper.results.paths import Results
from sweeper.results.survey import survey
from sweeper.sweepfile.sweep import load
from tests.sweeper.played import command
from tests.sweeper.several import write_several


def ended(*words: object) -> str:
    found = command(*words)
    assert found.exit_code == 0, found.output
    return found.output


@pytest.mark.slow
def test_one_sweep_of_three_trainers_from_its_file_to_its_report(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = write_several(tmp_path)
    run = ("run", path, "--executor", "inline", "--device", "cpu")
    ended(*run, "--only", "method=MAML", "--engine", "loop")  # which compiles nothing
    ended(*run)
    folder = Results.at(tmp_path / "results")
    specs = expand(load(path), None, folder.digests())
    assert {one.state for one in survey(folder, specs).standings} == {"done"}
    formats = ("--format", "csv", "--format", "md")
    said = ended("report", path, "--out", "report", *formats)
    assert "not enough seeds: MAML is ahead: " in said and "3 cells complete, 0 with missing seeds" in said
    page = (tmp_path / "report" / "report.md").read_text()
    assert "with the head zeroed before adaptation (maml); Accuracy of evaluations, split test (protonet); " in page
    assert "every trial of maml" in page and "every trial of toy" in page
    found = sweeper.results(path, "results")
    cells = found.cells()
    assert list(cells["method"]) == ["MAML", "ProtoNet", "mine"] and set(cells["n"]) == {2}
    by_method = {row["method"]: row["mean"] for row in cells.to_dict("records")}
    assert by_method["mine"] == pytest.approx((0.75**4 * 1.0 + 0.75**4 * 2.0) / 2)
    assert len(found.curves()) and set(found.readings()["metric"]) >= {"accuracy/test", "error", "loss"}
    assert set(found.curves()["method"]) == {"MAML"} and set(found.readings()["method"]) == {"ProtoNet", "mine"}

    ended("report", path, "--format", "data", "--out", "raw")
    names = {one.name for one in (tmp_path / "raw").iterdir()}
    assert {"data.csv.gz", "readings.csv.gz", "trials.jsonl.gz", "trainer.json", "trainer_2.json"} <= names
    far = tmp_path / "far"
    shutil.copytree(tmp_path / "raw", far / "raw")
    monkeypatch.chdir(far)
    ended("report", "--from", "raw", "--results", "none", "--out", "again", *formats)
    for one in sorted((tmp_path / "report").glob("*.csv")):
        assert (far / "again" / one.name).read_bytes() == one.read_bytes(), one.name


@pytest.mark.slow
def test_a_change_of_one_trainers_code_stops_its_trials_alone(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    endpoint = "{metric: loss, at: last, window: 1}"
    matrix = "{method: {one: {trainer: toy.py:TOY}, two: {trainer: other.py:TOY}}}"
    path = write_several(tmp_path, matrix=matrix, endpoint=endpoint, claims="[]", fixed="{steps: 4}")
    code = (tmp_path / "toy.py").read_text()
    (tmp_path / "other.py").write_text(code.replace('"toy"', '"other"'))
    run = ("run", path, "--executor", "inline", "--device", "cpu", "--tracking-uri", "none")
    ended(*run)
    (tmp_path / "other.py").write_text(code.replace('"toy"', '"other"') + "\n# a remark\nMORE = 1\n")
    refused = command(*run)
    assert refused.exit_code == 2 and "the code of trainer other has changed since" in refused.output
    assert "and 1 other trials trained with it" in refused.output and "toy" not in refused.output.split("trainer")[1]
    ended(*run, "--accept-code")
    assert "0 to run" in ended(*run)
