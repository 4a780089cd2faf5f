"""A searched sweep through the commands: plan, run, growth, status, export, import, report, all without Ray."""

import json
import sys

import pytest

from tests.sweeper.command import PROGRAM, sweeper
from tests.sweeper.search.hunt import write_hunt

pytestmark = pytest.mark.slow

INLINE = ("--executor", "inline", "--device", "cpu")
NO_STORE = (*INLINE, "--tracking-uri", "none")
BARE = f"import sys; sys.modules['optuna'] = None; {PROGRAM}"
"""The command where Optuna is not installed."""


@pytest.fixture(scope="module")
def hunted(tmp_path_factory):
    """A folder in which the search has run to its end, with a store."""
    folder = tmp_path_factory.mktemp("hunted")
    write_hunt(folder, "  sampler: {name: tpe, startup: 4}")
    ended = sweeper("run", "hunt.yaml", *INLINE, cwd=folder)
    assert ended.code == 0, ended.err
    return folder, ended


def test_plan_shows_the_budget_before_anything_runs(tmp_path):
    write_hunt(tmp_path)
    shown = sweeper("plan", "hunt.yaml", cwd=tmp_path)
    assert shown.code == 0, shown.err
    assert "about 21 steps with rungs at 1, 3, 9 (without: 81)" in shown.out
    assert "then 4 trials of 9 steps confirm the best 2 with 2 fresh seeds" in shown.out
    facts = json.loads(sweeper("plan", "hunt.yaml", "--json", cwd=tmp_path).out)
    (search,) = facts["searches"]
    assert (search["steps"], search["steps_without_rungs"], search["proposed"], search["best"]) == (21, 81, 0, None)
    assert not (tmp_path / "results").exists()


def test_a_run_searches_confirms_and_says_what_it_found(hunted):
    folder, ended = hunted
    assert "9 to propose by tpe" in ended.err
    assert "13 planned: 13 done" in ended.err
    status = sweeper("status", "hunt.yaml", cwd=folder, program=BARE)
    assert "9 of 9 proposed, 9 at 1, 3 at 3, 1 at 9, best is proposal" in status.out
    again = sweeper("run", "hunt.yaml", *NO_STORE, cwd=folder, program=BARE)
    assert (again.code, "0 to run" in again.err) == (0, True), again.err


def test_everything_but_a_new_proposal_works_without_optuna(hunted, tmp_path):
    folder, _ = hunted
    for words in (("plan",), ("status", "--json"), ("sync",), ("report",), ("export", "--out", tmp_path / "hunt.zip")):
        ended = sweeper(words[0], "hunt.yaml", *words[1:], cwd=folder, program=BARE)
        assert ended.code == 0, (words, ended.err)
    taken = sweeper("import", "hunt.zip", cwd=tmp_path, program=BARE)
    assert (taken.code, "searches: 1 added" in taken.err) == (0, True), taken.err
    journal = next((folder / "results" / "searches").glob("*/journal.jsonl"))
    copy = tmp_path / "results" / journal.relative_to(folder / "results")
    assert copy.read_bytes() == journal.read_bytes()
    write_hunt(tmp_path, "  sampler: {name: tpe, startup: 4}", "  trials: 10")
    refused = sweeper("run", "hunt.yaml", *NO_STORE, cwd=tmp_path, program=BARE)
    assert "sampler tpe needs Optuna, which is not installed: pip install 'sweeper[search]'" in refused.err
    assert refused.code == 2
    assert copy.read_bytes() == journal.read_bytes()
    grown = sweeper("run", "hunt.yaml", *NO_STORE, cwd=tmp_path)
    assert grown.code == 0, grown.err
    assert copy.read_bytes().startswith(journal.read_bytes())


def test_two_journals_of_one_search_that_went_on_apart_are_not_merged(hunted, tmp_path):
    folder, _ = hunted
    assert sweeper("export", "hunt.yaml", "--out", tmp_path / "hunt.zip", cwd=folder).code == 0
    assert sweeper("import", "hunt.zip", cwd=tmp_path).code == 0
    (journal,) = (tmp_path / "results" / "searches").glob("*/journal.jsonl")
    lines = journal.read_text().splitlines(keepends=True)
    changed = "".join([*lines[:-1], lines[-1].replace('"time_ms":', '"time_ms":1')])
    journal.write_text(changed)
    refused = sweeper("import", "hunt.zip", cwd=tmp_path)
    assert refused.code == 3
    assert f"search {journal.parent.name}: not imported, its journal and the archive's go on differently" in refused.err
    assert journal.read_text() == changed


def test_the_report_keeps_validation_and_confirmation_apart(hunted):
    folder, _ = hunted
    made = sweeper("report", "hunt.yaml", "--out", "report", cwd=folder)
    assert made.code == 0, made.err
    page = (folder / "report" / "report.md").read_text()
    assert "Searched trials are not averaged" in page
    assert "(chosen by)" in page and "2 of 2" in page and "superseded" not in page
    names = {path.name for path in (folder / "report").iterdir()}
    assert {"best_so_far.png", "slices.svg", "proposals.csv", "found.tex", "confirmed.md", "report.html"} <= names
    assert len((folder / "report" / "proposals.csv").read_text().splitlines()) == 1 + 9
    kept = {path.name for path in (folder / "results").rglob("*") if "artifacts" in path.parts}
    assert {"best_so_far.png", "slices.png", "report.html"} <= kept  # of the sweep's run in the store


def test_raw_data_has_the_journals_and_makes_the_same_report_without_the_trainers_code(hunted, tmp_path):
    folder, _ = hunted
    made = sweeper("report", "hunt.yaml", "--format", "data", "--format", "csv", "--out", tmp_path / "raw", cwd=folder)
    assert made.code == 0, made.err
    again = sweeper("report", "--from", "raw", "--format", "csv", "--format", "data", "--out", "again", cwd=tmp_path)
    assert again.code == 0, again.err
    for name in ("proposals.csv", "found.csv", "confirmed.csv", "searches.jsonl.gz", "readings.csv.gz", "sweep.yaml"):
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "raw" / name).read_bytes(), name
    assert not (tmp_path / "toy.py").exists()
    journals = tmp_path / "raw" / "searches.jsonl.gz"
    journals.write_bytes(journals.read_bytes()[:-20])
    refused = sweeper("report", "--from", "raw", "--out", "again", cwd=tmp_path)
    assert refused.code == 2 and "searches.jsonl.gz can't be read (" in refused.err, refused.err


def test_only_picks_whole_searches(tmp_path):
    write_hunt(tmp_path, "seeds: 2", "  confirm:")
    ended = sweeper("run", "hunt.yaml", *NO_STORE, "--only", "seed=1", cwd=tmp_path)
    assert ended.code == 0 and "9 planned: 9 done" in ended.err, ended.err
    first, second = sweeper("status", "hunt.yaml", cwd=tmp_path).out.splitlines()[-2:]
    assert "s0: 0 of 9 proposed" in first and "s1: 9 of 9 proposed" in second
    shown = sweeper("status", "hunt.yaml", "--only", "seed=1", cwd=tmp_path).out
    assert "s1: 9 of 9 proposed" in shown and "s0: " not in shown
    planned = sweeper("plan", "hunt.yaml", "--only", "seed=0", cwd=tmp_path)
    assert planned.code == 0 and " · s0: about 21 steps" in planned.out and " · s1: " not in planned.out
    other = first.split()[1]
    ended = sweeper("run", "hunt.yaml", *NO_STORE, "--only", other[:6], cwd=tmp_path)
    assert ended.code == 0 and len(list((tmp_path / "results" / "searches").iterdir())) == 2, ended.err


def test_a_study_is_built_from_the_journals(hunted):
    import sweeper as package

    folder, _ = hunted
    study = package.study(folder / "hunt.yaml", folder / "results")
    assert len(study.trials) == 9
    assert type(study).__module__.startswith("optuna")
    assert sys.modules["optuna"] is not None


def test_what_a_search_can_not_be_asked_is_refused_with_the_reason(hunted):
    folder, _ = hunted
    for words, said in (
        (("run", "--only", "rate=0.5"), "--only rate=0.5: 'rate' is no axis of the matrix, and a search chooses its"),
        (("run", "--only", "seed=7"), "--only seed=7: no search of this sweep matches; they are "),
        (("run", "--rerun", "seed=0"), "--rerun seed=0: hunt is searched, and a search hears each value once"),
        (("report", "--compare-authors", "hunt.yaml"), "--compare-authors: hunt is searched, and the authors did not"),
    ):
        ended = sweeper(words[0], "hunt.yaml", *words[1:], *(NO_STORE if words[0] == "run" else ()), cwd=folder)
        assert ended.code == 2 and said in ended.err, ended.err


def test_a_trial_that_diverges_is_a_result_of_the_search(tmp_path):
    from tests.sweeper.plugged import TOY

    code = TOY.replace("from trainers", "from trainers.trainer import Diverged\nfrom trainers", 1).replace(
        "    while True:", "    if config.rate > 0.7:\n        raise Diverged('too fast')\n    while True:"
    )
    write_hunt(tmp_path, code=code)
    ended = sweeper("run", "hunt.yaml", *NO_STORE, cwd=tmp_path)
    assert ended.code == 0, ended.err
    assert "diverged" in ended.err
    assert " diverged, best is proposal" in sweeper("status", "hunt.yaml", cwd=tmp_path).out
