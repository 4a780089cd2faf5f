"""A whole report of a trainer that is not MAML: its own words, units, axes and steps, and nothing of one paper."""

import csv
import html
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from analysis.contract.question import ClaimSpec, FigureSpec, PlannedTrial, Side, TableSpec
from analysis.contract.record import TrialRecord
from analysis.figures.arms import FigureRequest
from analysis.figures.curves import curves_info
from analysis.judging.readings import Readings
from analysis.raw_data import READINGS, TRIALS, files, load
from analysis.report import frames
from analysis.report.all_sweeps import write_paper
from analysis.report.files import write
from analysis.report.sweep_report import Asked, Found, find
from analysis.store import Loaded
from tests.analysis.any_trainer import ACCURACY, LOSS, attempt, endpoint_of, planned, recorded

RATES = ("0.001", "0.01", "0.1")
PLAN = [
    planned({"lr": rate, "model": model}, seed, lr=float(rate), model=model)
    for rate in RATES
    for model in ("linear", "net")
    for seed in range(3)
]
MAMLS_WORDS = re.compile(r"outer|inner|episode|\bhead\b|evaluation|query|authors|meta-|shots?\b", re.IGNORECASE)


def accuracy(trial: PlannedTrial, step: int) -> float:
    return (
        0.5 + 0.1 * (trial.labels["model"] == "net") + 0.01 * trial.seed * RATES.index(trial.labels["lr"]) + step / 1e3
    )


def loss(trial: PlannedTrial, step: int) -> float:
    return (3.0 + trial.seed + RATES.index(trial.labels["lr"])) / 1e5 / step


def record_of(trial: PlannedTrial) -> TrialRecord:
    numbers = {
        step: {"accuracy/val": accuracy(trial, step), "accuracy/train": 1.0, "loss": loss(trial, step)}
        for step in (20, 40, 60)
    }
    return recorded(trial, numbers)


def side(model: str, rate: str = "0.1", read: Any = ACCURACY) -> Side:
    return Side(labels={"lr": rate, "model": model}, endpoint=read)


def claim(kind: str, of: Side, minus: Side, **changed: Any) -> ClaimSpec:
    return ClaimSpec(
        says=f"An {kind}.", source="the plan", kind=kind, of=of, minus=minus, less=None, reference=None,
        expected="positive" if kind == "effect" else None, primary=True, **changed,
    )  # fmt: skip


CLAIMS = (
    claim("effect", side("net"), side("linear")),
    claim("equivalence", side("net", read=LOSS), side("linear", read=LOSS), margin=1e-6),
)
ASKED = Asked(
    plan=PLAN,
    axes=("lr", "model"),
    sweep="toys",
    question="Which rate?",
    paper="",
    endpoint=ACCURACY,
    claims=CLAIMS,
    tables=[
        TableSpec(rows=("lr",), columns="model"),
        TableSpec(rows=("lr",), columns="model", endpoint=LOSS),
        TableSpec(rows=("lr",), columns="model", endpoint=endpoint_of("accuracy", split="val", at=(20, 60))),
    ],
    figures=[
        FigureSpec(kind="line", x="lr", hue="model", facets=(), logarithmic=True),
        FigureSpec(kind="line", x="model", hue=None, facets=("lr",), endpoint=LOSS),
        FigureSpec(kind="curves", x=None, hue="model", facets=("lr",)),
    ],
    command="sweeper report toys.yaml",
    commit="abc123",
)
LOADED = Loaded(records={trial.trial_id: record_of(trial) for trial in PLAN}, run_ids={}, unreadable={})


@pytest.fixture(scope="module")
def found() -> Found:
    return find(ASKED, LOADED, None, "a store")


@pytest.fixture(scope="module")
def folder(found: Found, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    write(found, folder)
    return folder


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_a_table_has_the_means_of_the_readings(folder: Path) -> None:
    for row in rows(folder / "table_1.csv"):
        trials = [t for t in PLAN if (t.labels["lr"], t.labels["model"]) == (row["lr"], row["model"])]
        assert float(row["mean"]) == pytest.approx(sum(accuracy(trial, 60) for trial in trials) / 3)
        assert row["values"] == ";".join(repr(accuracy(trial, 60)) for trial in trials)
    assert len(rows(folder / "table_1.csv")) == 6


def test_a_unit_is_printed_with_as_many_decimals_as_its_numbers_need(folder: Path) -> None:
    text = (folder / "table_2.md").read_text()
    assert text.startswith("Loss, at the last step, one reading.") and "In nats; ±" in text
    assert "| 0.001 | 0.000000667 ±" in text  # (3 + 4 + 5) / 3 / 1e5 / 60
    assert "0.000000667" in (folder / "table_2.tex").read_text()


def test_a_contrast_names_its_metric_if_that_is_not_the_endpoints(folder: Path) -> None:
    assert (folder / "contrast_1.md").read_text().startswith("model: net - linear, percentage points, paired by seed")
    assert (folder / "contrast_2.md").read_text().startswith("Loss; model: net - linear, in nats, paired by seed")


def test_several_steps_are_the_first_axis_by_the_trainers_word(folder: Path) -> None:
    assert "| step | lr | model linear | model net |" in (folder / "table_3.md").read_text()


def test_no_word_of_maml_and_no_paper_is_in_the_report(folder: Path) -> None:
    page = html.unescape((folder / "report.html").read_text())
    body = re.sub(r"<(style|script)>.*?</\1>|<[^>]+>", "", page, flags=re.DOTALL)
    for text in (body, (folder / "report.md").read_text(), (folder / "claims.md").read_text()):
        assert MAMLS_WORDS.findall(text) == [] and "paper" not in text.lower()


def test_a_claim_is_judged_in_its_metrics_unit_and_by_its_own_margin(folder: Path) -> None:
    effect, equivalence = rows(folder / "claims.csv")
    assert effect["verdict"] == "reproduced" and "10.0 ± 0.0 points" in effect["numbers"]
    assert effect["contrast"] == "model: net - linear (lr 0.1)"
    assert equivalence["verdict"] == "reproduced"  # both have the same losses
    assert "0.000000000 nats, 90 % interval" in equivalence["numbers"]
    assert equivalence["numbers"].endswith("margin ±0.000001000 nats")


def test_figures_have_declared_titles_and_the_trainers_steps(folder: Path, found: Found) -> None:
    captions = [(figure.alt, figure.caption) for figure in found.page.figures]
    assert captions[0][0] == "The endpoint, against lr."
    assert captions[1][0] == "Loss, at the last step, one reading, against model."
    assert captions[2][0] == "Accuracy, split val, against the step."
    for number, title in ((1, "accuracy, split val (%)"), (2, "loss (nats)"), (3, "accuracy, split val (%)")):
        drawn = (folder / f"figure_{number}.svg").read_text()
        assert f"<!-- {title} -->" in drawn, number
        assert "outer" not in drawn
    assert "<!-- step -->" in (folder / "figure_3.svg").read_text()
    assert found.page.figures[2].marks[-1].text.startswith("net, step 60: ")
    assert found.page.figures[1].marks[0].text == "model linear: 0.000000667 (0.000000253 to 0.000001081), n = 3"


@pytest.mark.slow
def test_a_share_of_a_curve_before_a_full_window_is_left_out() -> None:
    read = replace(ASKED, endpoint=endpoint_of("accuracy", split="val", window=2), tables=[], claims=())
    caption = find(read, LOADED, None, "a store").page.figures[2].caption
    assert "running mean of 2 readings from the first full window" in caption


def test_a_curve_of_a_reading_at_every_step_is_drawn_at_some_of_them_and_says_so() -> None:
    plan = [planned({"lr": "0.1", "model": "net"}, seed, target=2500) for seed in range(3)]
    records = {t.trial_id: recorded(t, {n: {"loss": t.seed + 1 / n} for n in range(1, 2501)}) for t in plan}
    figures = [FigureSpec(kind="curves", x=None, hue="model", facets=("lr",))]
    asked = replace(ASKED, plan=plan, endpoint=LOSS, tables=[], claims=(), figures=figures)
    (figure,) = find(asked, Loaded(records=records, run_ids={}, unreadable={}), None, "a store").page.figures
    assert "drawn at one of 3 steps with a measurement" in figure.caption
    assert figure.marks[-1].text == "net, step 2,500: 1.000 (-1.484 to 3.485), n = 3"
    readings = Readings(plan, ASKED.axes, records)
    request = FigureRequest(
        plan=plan, records=records, axes=readings.axes, spec=figures[0], question="?", endpoint=LOSS
    )
    ((curve,),) = (panel.curves for panel in curves_info(request).panels)
    assert len(curve.steps) == len(curve.tracks[0].steps) == 834 and curve.steps[-1] == 2500


def test_the_provenance_has_the_endpoint_as_it_was_declared(folder: Path) -> None:
    facts = json.loads((folder / "provenance.json").read_text())
    assert facts["endpoint"] == {"metric": "accuracy", "split": "val", "at": "last", "window": 1}


def test_raw_data_comes_back_as_it_was_and_gives_the_same_report(folder: Path, tmp_path: Path) -> None:
    plan = PLAN[:4]
    loaded = Loaded(records={t.trial_id: LOADED.records[t.trial_id] for t in plan}, run_ids={}, unreadable={})
    loaded.records[plan[0].trial_id]["readings"][0]["values"]["loss"] = 3  # a whole number stays one
    content = files(plan, loaded)
    assert set(content) == {READINGS, TRIALS} and content == files(plan, loaded)
    for name, data in content.items():
        (tmp_path / name).write_bytes(data)
    assert load(tmp_path).records == loaded.records
    empty = recorded(plan[0], {}, "running")
    for name, data in files(plan, Loaded(records={plan[0].trial_id: empty}, run_ids={}, unreadable={})).items():
        (tmp_path / name).write_bytes(data)
    assert load(tmp_path).records == {plan[0].trial_id: empty}


def test_a_frame_of_readings_has_one_row_per_number() -> None:
    frame = frames.readings(PLAN, LOADED.records)
    assert len(frame) == len(PLAN) * 3 * 3
    columns = ["trial_id", "seed", "lr", "model", "attempt", "engine", "device", "step", "metric", "value", "time_ms"]
    assert list(frame.columns) == columns
    one = frame[(frame["trial_id"] == PLAN[-1].trial_id) & (frame["metric"] == "accuracy/val")]
    assert one["step"].tolist() == [20, 40, 60] and one["lr"].tolist() == [0.1] * 3
    assert one["value"].tolist() == [accuracy(PLAN[-1], step) for step in (20, 40, 60)]


def test_the_page_of_all_sweeps_has_no_section_on_the_paper_and_names_other_code_and_data(found, tmp_path) -> None:
    records = {trial_id: {**record} for trial_id, record in LOADED.records.items()}
    second = PLAN[1].trial_id
    records[second]["attempts"] = [attempt(PLAN[1], code="d" * 64, dataset="digits", digest="e" * 64)]
    write_paper([(ASKED, found)], records, tmp_path, "sweeper report --all", ("md",))
    text = (tmp_path / "paper.md").read_text()
    assert "Deviations from the paper" not in text and "as printed" not in text and "authors" not in text
    assert "We tuned no hyper-parameter" not in text
    assert f"code of toy {'d' * 64}: {second}; 17 trials have {'c' * 64}." in text
    assert f"| digits | {'e' * 64} |  |" in text
    assert "| data set | device | processor | trials | attempts | hours | steps | steps/s |" in text
    assert "| toys | lr 0.001, model linear | seed 0: 56.00 %; seed 1: 56.00 %; seed 2: 56.00 % |" in text


def test_without_data_sets_there_is_no_column_and_no_table_of_them(found, tmp_path) -> None:
    write_paper([(ASKED, found)], LOADED.records, tmp_path, "sweeper report --all", ("md",))
    text = (tmp_path / "paper.md").read_text()
    assert "\n| device | processor | trials | attempts | hours | steps | steps/s |" in text
    assert "The trainer's own code reads its data; no digest is recorded." in text
    assert "All runs agree in commit, recipe, data, device, engine and code, and none had uncommitted changes." in text


def test_a_paper_that_the_sweep_names_has_its_differences_also_in_the_length(tmp_path) -> None:
    plan = [replace(trial, paper={**trial.config, "epochs": 600, "lr": 0.5}) for trial in PLAN]
    page = find(replace(ASKED, plan=plan, paper="Fig. 3 of Smith"), LOADED, None, "a store", figures=False).page
    assert page.differences == (
        "lr 0.001 (paper 0.5): lr 0.001.",
        "lr 0.01 (paper 0.5): lr 0.01.",
        "lr 0.1 (paper 0.5): lr 0.1.",
        "Steps 60 of the paper's 600: every cell.",
    )
