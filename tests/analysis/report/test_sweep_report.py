import html
import json
from pathlib import Path

import pytest

from analysis.contract.question import FigureSpec, TableSpec
from analysis.errors import AnalysisError
from analysis.report.files import Report, refuse_empty, store_in_words, write
from analysis.report.sweep_report import Asked, commits_of, find, in_words
from analysis.store import load
from tests.analysis.endpoints import read_otherwise

# MLflow's own queries use what SQLAlchemy 2.1 deprecates
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def reporting(make_trial, make_record, endpoint):
    """Return a function that makes reports of a store into a folder.

    Two zeroings, three seeds; `scores` maps each (zeroing, seed) that is tracked before to its accuracy.
    """
    plan = [make_trial({"zeroing": name, "steps": "1"}, seed) for name in ("none", "every step") for seed in range(3)]

    def make(store, scores: dict[tuple[str, int], float], folder: Path, **changes) -> Report:
        for trial in plan:
            key = (trial.labels["zeroing"], trial.seed)
            if key in scores:
                store.add(make_record(trial, {60: scores[key]}))
        asked = {
            "plan": plan,
            "paper": "",
            "claims": (),
            "axes": ("zeroing", "steps"),
            "sweep": "zeroing_vs_steps",
            "question": "Does <b>zeroing</b> help?",
            "endpoint": endpoint,
            "tables": [TableSpec(rows=("zeroing",), columns="steps")],
            "figures": [FigureSpec(kind="inner_steps", x="steps", hue="zeroing", facets=())],
            "command": "sweeper report --out report x.yaml",
            "commit": "abc123",
        }
        loaded = load(store.uri, {trial.trial_id for trial in plan})
        found = find(Asked(**(asked | changes)), loaded, None, store_in_words(store.uri))
        refuse_empty(found)
        return write(found, folder)

    return make


@pytest.fixture
def make_report(reporting, store, tmp_path):
    """Return a maker of reports, for tests that need one of their own."""

    def make(scores: dict[tuple[str, int], float], out: str = "report", **changes) -> Report:
        return reporting(store, scores, tmp_path / out, **changes)

    return make


@pytest.fixture(scope="module")
def whole(reporting, new_store, tmp_path_factory) -> Report:
    """The report of the whole sweep, which tests only read."""
    folder = tmp_path_factory.mktemp("whole")
    return reporting(new_store(folder / "results"), WHOLE, folder / "report")


WHOLE = {("none", 0): 0.50, ("none", 1): 0.52, ("none", 2): 0.54} | {
    ("every step", seed): score for seed, score in enumerate((0.70, 0.70, 0.73))
}


def test_a_report_writes_every_artefact_and_nothing_else(whole) -> None:
    names = {path.name for path in whole.paths[0].parent.iterdir()}
    assert names == {path.name for path in whole.paths}
    assert names == {
        *(f"{name}_1.{kind}" for name in ("table", "contrast") for kind in ("csv", "md", "tex")),
        *("figure_1.png", "figure_1.pdf", "figure_1.svg", "report.md", "report.html", "provenance.json"),
    }
    assert (whole.complete, whole.incomplete) == (2, 0)


def test_the_answer_comes_from_the_numbers(whole) -> None:
    assert whole.sentence == (
        "2 of 2 cells are complete; means in percent go from 52.0 ± 5.0 (zeroing none) to 71.0 ± 4.3 (zeroing every "
        "step)."
    )
    assert whole.verdicts == (
        (
            "",
            "zeroing: every step - none: +19.0 points over 1 comparison by seed; of 1 unadjusted 95 % interval, 1 "
            "above 0 and 0 below 0.",
        ),
    )


def test_a_page_says_the_endpoint_and_every_note_once(make_report) -> None:
    spec = TableSpec(rows=("zeroing",), columns="steps")
    folder = make_report(WHOLE, tables=[spec, spec]).paths[0].parent
    for page in ((folder / "report.md").read_text(), html.unescape((folder / "report.html").read_text())):
        for said in (
            "with the head zeroed before adaptation, at the planned",
            "± is half the 95 % t-interval over seeds",
        ):
            assert page.count(said) == 1
        assert page.count("The endpoint by zeroing and steps.") >= 2
    assert "with the head zeroed" in (folder / "table_2.md").read_text()


def test_a_partial_sweep_names_what_is_missing_everywhere(make_report) -> None:
    report = make_report({key: score for key, score in WHOLE.items() if key != ("none", 2)})
    assert (report.complete, report.incomplete) == (1, 1)
    folder = report.paths[0].parent
    assert "| none | 51.0 (2 of 3) |" in (folder / "table_1.md").read_text()
    assert "seed 2, trial none-1-s2, not run" in (folder / "report.md").read_text()
    missing = json.loads((folder / "provenance.json").read_text())["missing"]
    assert missing == [{"trial_id": "none-1-s2", "seed": 2, "reason": "not run", "at": "last"}]
    assert "none has the 3 seeds" in report.verdicts[0].text


def test_a_run_without_its_artefact_is_told_from_one_not_run(make_report, store) -> None:
    scores = {key: score for key, score in WHOLE.items() if key != ("none", 2)}
    make_report(scores)
    next(path for path in store.folder.rglob("trial.json.gz") if path.parent != store.folder).unlink()
    text = (make_report({}, out="again").paths[0].parent / "report.md").read_text()
    assert text.count("tracked without its trial.json.gz") >= 1 and text.count("seed 2, trial none-1-s2, not run") == 1


def test_every_artefact_carries_where_it_comes_from(whole) -> None:
    for path in whole.paths:
        if path.suffix != ".csv":
            assert b"abc123" in path.read_bytes(), path.name


def test_the_commits_of_the_trainings_are_counted_apart_from_the_reports() -> None:
    records = [
        {"attempts": [{"commit": "a", "dirty": False}, {"commit": "a", "dirty": False}]},
        {"attempts": [{"commit": "a", "dirty": False}, {"commit": "b", "dirty": True}]},
    ]
    assert commits_of(records) == {"a": 2, "b with changes": 1}
    assert in_words(commits_of(records)) == "a (2 trials), b with changes (1 trial)"
    assert in_words(commits_of([])) == "not recorded"


def test_a_page_names_the_commit_of_the_report_and_that_of_the_trainings(whole) -> None:
    folder = whole.paths[0].parent
    for name in ("report.md", "report.html"):
        text = (folder / name).read_text()
        assert "commit of the report" in text and "commit of the trainings" in text
    assert "trained_at" in json.loads((folder / "provenance.json").read_text())


def test_the_same_store_gives_the_same_bytes(make_report) -> None:
    def files(report: Report) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in report.paths}

    assert files(make_report(WHOLE)) == files(make_report({}, out="again"))


def test_nothing_finished_is_an_error_that_says_what_to_run_and_writes_nothing(make_report, tmp_path) -> None:
    with pytest.raises(AnalysisError, match=r"6 planned: 6 not run\); run `sweeper run`"):
        make_report({})
    assert not (tmp_path / "report").exists()


def test_a_question_cannot_become_markup(whole) -> None:
    page = (whole.paths[0].parent / "report.md").read_text()
    assert page.startswith(r"# Does \<b>zeroing\</b> help?")


def test_a_hue_along_the_columns_is_contrasted_too(make_report) -> None:
    report = make_report(WHOLE, tables=[TableSpec(rows=("steps",), columns="zeroing")])
    assert "| +19.0 ± 2.5 (n = 3) |" in Path(report.paths[0].parent / "contrast_1.md").read_text()


def test_the_differences_of_another_endpoint_are_told_from_those_of_the_sweeps(make_report, endpoint) -> None:
    other = TableSpec(rows=("zeroing",), columns="steps", endpoint=read_otherwise(endpoint, head="trained"))
    report = make_report(WHOLE, tables=[TableSpec(rows=("zeroing",), columns="steps"), other])
    first, second = (text for _, text in report.verdicts)
    assert first.startswith("zeroing: every step - none: +19.0 points")
    assert second.split("; ")[:2] == [
        "Test accuracy after 1 inner step with the head as trained",
        "zeroing: every step - none: +9.5 points over 1 comparison by seed",
    ]
