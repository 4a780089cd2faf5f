"""`sweeper report` as a user types it: what it writes of one sweep and of several, and what it says."""

import csv
import os
from pathlib import Path
from unittest.mock import Mock

import pytest

from sweeper.cli.report import broken
from tests.sweeper.played import command, run
from tests.sweeper.tiny import CLAIMS

pytestmark = pytest.mark.slow


@pytest.fixture
def trained(results, write_sweep) -> Path:
    """A sweep of four tiny trials with a claim, trained and in a store."""
    path = write_sweep()
    path.write_text(path.read_text().replace("report:", f"{CLAIMS}report:"))
    assert run(results, path).exit_code == 0
    assert command("sync", path, "--results", results.root).exit_code == 0
    return path


def test_the_answer_and_every_claim_open_the_page_and_each_format_is_written_or_not(trained, results, tmp_path) -> None:
    ended = command("report", trained, "--results", results.root, "--out", tmp_path / "all")
    assert ended.exit_code == 0, ended.output
    told = ended.stderr.splitlines()
    table = told[told.index("inner steps") :]
    assert table[1:3] == ["   1     2", "----  ----"] and all(len(line) <= 80 for line in table)
    assert len(table[3].split()) == 2
    assert table[-1] == "2 cells complete, 0 with missing seeds"
    assert {Path(line).parent for line in ended.stdout.splitlines()} == {tmp_path / "all"}
    names = {path.name for path in (tmp_path / "all").iterdir()}
    assert {"report.html", "report.md", "claims.csv", "claims.tex", "figure_1.svg", "provenance.json"} <= names
    page = (tmp_path / "all" / "report.md").read_text()
    assert page.split("\n")[2] == "**The primary claim has too few seeds.**"
    assert page.split("\n")[4].startswith("- **not enough seeds**: Two inner steps do better than one: ")
    assert told[0] == "The primary claim has too few seeds." and "not enough seeds: Two inner steps" in told[1]
    (claim,) = csv.DictReader((tmp_path / "all" / "claims.csv").open())
    assert (claim["contrast"], claim["verdict"]) == ("inner steps: 2 - 1", "not enough seeds")
    assert (
        command("report", trained, "--results", results.root, "--format", "csv", "--out", tmp_path / "some").exit_code
        == 0
    )
    written = {path.suffix for path in (tmp_path / "some").iterdir()}
    assert written == {".csv", ".json"}


def test_all_makes_one_page_of_several_sweeps_and_names_what_has_not_run(
    trained, results, write_sweep, tmp_path
) -> None:
    other = trained.with_name("other.yaml")
    other.write_text(trained.read_text().replace("name: tiny", "name: other").replace("queries: 3", "queries: 4"))
    ended = command("report", "--all", trained, other, "--results", results.root, "--out", tmp_path / "paper")
    assert ended.exit_code == 0, ended.output
    assert {path.name for path in (tmp_path / "paper").iterdir()} == {
        *("tiny", "other", "paper.html", "paper.md", "paper.json", "claims.csv", "claims.tex"),
    }
    page = (tmp_path / "paper" / "paper.html").read_text()
    assert "Sweeps with values: tiny." in page and "no trial of this sweep has a value in this store" in page
    assert 'src="http' not in page and page.count("<script") == 1
    rows = list(csv.DictReader((tmp_path / "paper" / "claims.csv").open()))
    assert [(row["sweep"], row["verdict"]) for row in rows] == [("tiny", "not enough seeds"), ("other", "not run")]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((), "give a sweep FILE, or --all"),
        (("--all",), "sweeps/*.yaml; go to the folder that holds your sweeps, or name their files"),
        (("a.yaml", "b.yaml"), "several files need --all"),
        (("tiny.yaml", "--compare-authors", "none.csv.gz"), "have no runs for sweep 'tiny'"),
        (("tiny.yaml", "--format", "docx"), "'docx' is not one of"),
    ],
)
def test_a_mistake_is_told_and_nothing_is_written(words, says, write_sweep, results, tmp_path, monkeypatch) -> None:
    write_sweep()
    monkeypatch.chdir(tmp_path)
    ended = command("report", *words, "--results", results.root)
    assert ended.exit_code == 2 and says in ended.output and "Traceback" not in ended.output
    assert not (results.root / "reports").exists()


def test_a_terminal_gets_the_answer_broken_between_words(monkeypatch) -> None:
    told = "  zeroing: every step - none: +6.1 to +6.7 points over 2 comparisons by seed; none has the 3 seeds"
    assert broken(told) == told
    monkeypatch.setattr("sweeper.cli.report.shutil.get_terminal_size", lambda: os.terminal_size((80, 24)))
    monkeypatch.setattr("sys.stderr", Mock(isatty=lambda: True))
    assert broken(told).splitlines() == [told[:77], f"    {told[78:]}"]


def test_raw_data_gives_the_report_of_the_store_without_its_sweep_file(trained, results, tmp_path) -> None:
    whole = command("report", trained, "--results", results.root, "--out", tmp_path / "store")
    written = command("report", trained, "--results", results.root, "--format", "data", "--out", tmp_path / "raw")
    assert (whole.exit_code, written.exit_code) == (0, 0), written.output
    names = {path.name for path in (tmp_path / "raw").iterdir()}
    assert {"data.csv.gz", "training.csv.gz", "probes.jsonl.gz", "trials.jsonl.gz", "sweep.yaml"} <= names
    moved = (tmp_path / "raw").rename(tmp_path / "elsewhere")
    trained.unlink()
    again = command("report", "--from", moved, "--results", tmp_path / "none", "--out", tmp_path / "again")
    assert again.exit_code == 0, again.output
    for path in sorted((tmp_path / "store").glob("*.csv")):
        assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes()
    figure = "figure_1.svg"
    assert (tmp_path / "again" / figure).is_file()
    assert f"sweeper report --from {moved}" in (tmp_path / "again" / "report.md").read_text()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--all",), "leave out --all"),
        (("--tracking-uri", "sqlite:///x.db"), "leave out --tracking-uri"),
        (("--profile", "cpu"), "leave out --profile, or name a FILE"),
        ((), "question.json can't be read"),
    ],
)
def test_what_raw_data_can_not_be_reported_with_is_said(tmp_path, words, message) -> None:
    ended = command("report", "--from", tmp_path, *words)
    assert ended.exit_code == 2 and message in ended.stderr.replace("\n", " "), ended.output
