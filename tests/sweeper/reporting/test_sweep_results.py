"""`sweeper.results` and `sweeper.plan` in a notebook: the numbers of `report` and the trials of `plan`."""

import csv
import gzip
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
from matplotlib.figure import Figure

import sweeper
from tests.places import ROOT
from tests.sweeper.played import command
from tests.sweeper.tiny import CLAIMS, write_tiny

TWO_AXES = """\
matrix:
  inner_steps: [1, 2]
  zeroing:
    none: {}
    every step: {zero_head_every: 1}
seeds: 2
"""
OF_ONE_CELL = f"""\
{CLAIMS.rstrip()}
    where: {{zeroing: none}}
report:
  tables: [{{rows: [inner_steps], columns: zeroing}}]
  figures: [{{kind: inner_steps, x: inner_steps, hue: zeroing}}]
"""


class Trained(NamedTuple):
    """A sweep file, its results folder, and the folder of its report with raw data."""

    file: Path
    results: Path
    report: Path


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Eight tiny trials with a claim, trained, tracked and reported."""
    folder = tmp_path_factory.mktemp("notebook")
    file = write_tiny(folder)
    text = file.read_text().replace("matrix:\n  inner_steps: [1, 2]\nseeds: 2\n", TWO_AXES)
    file.write_text(text.partition("report:")[0] + OF_ONE_CELL)
    done = Trained(file, folder / "results", folder / "report")
    where = ("--results", done.results)
    ran = command("run", file, *where, "--executor", "inline", "--device", "cpu")
    assert ran.exit_code == 0, ran.output
    for formats in (("csv",), ("data",)):
        words = [word for name in formats for word in ("--format", name)]
        assert command("report", file, *where, "--out", done.report, *words).exit_code == 0
    return done


@pytest.fixture(scope="module")
def found(trained: Trained):
    return sweeper.results(trained.file, trained.results)


def rows_of(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file, zipped or not."""
    content = path.read_bytes()
    text = (gzip.decompress(content) if path.suffix == ".gz" else content).decode()
    return list(csv.DictReader(io.StringIO(text)))


def numbers(texts) -> list[float]:
    return [float(text) if text else float("nan") for text in texts]


@pytest.mark.slow
def test_a_table_has_the_numbers_of_the_report(trained, found) -> None:
    written, table = rows_of(trained.report / "table_1.csv"), found.table(0)
    assert len(written) == len(table) == 4
    for column in ("n", "planned", "mean", "sd", "evaluations"):
        assert list(table[column]) == numbers(row[column] for row in written)
    assert list(map(str, table["inner_steps"])) == [row["inner_steps"] for row in written]
    assert list(table["zeroing"]) == [row["zeroing"] for row in written]
    assert table["low"].isna().all()  # two seeds have no interval
    assert table.attrs["caption"].startswith("Test accuracy")
    cells = found.cells().sort_values(["inner_steps", "zeroing"])
    assert sorted(cells["mean"]) == sorted(table["mean"])


@pytest.mark.slow
def test_endpoints_are_the_values_of_every_seed(trained, found) -> None:
    ends = found.endpoints()
    assert list(ends.columns[:5]) == ["trial_id", "seed", "inner_steps", "zeroing", "cell"]
    by_cell = {(str(row.inner_steps), row.zeroing): [] for row in ends.itertuples()}
    for row in ends.itertuples():
        by_cell[str(row.inner_steps), row.zeroing].append(row.value)
    written = rows_of(trained.report / "table_1.csv")
    assert by_cell == {(row["inner_steps"], row["zeroing"]): numbers(row["values"].split(";")) for row in written}
    assert ends["value"].between(0, 1).all() and not ends["reason"].any()
    assert ends["inner_steps"].dtype == int  # the axis is a field with numbers
    assert list(ends["zeroing"].cat.categories) == ["none", "every step"]


@pytest.mark.slow
def test_a_contrast_has_the_numbers_of_the_report(trained, found) -> None:
    written, contrast = rows_of(trained.report / "contrast_1.csv"), found.contrast(0)
    assert list(contrast["difference"]) == numbers(row["difference"] for row in written)
    assert list(contrast["contrast"]) == [row["contrast"] for row in written]


@pytest.mark.slow
def test_claims_have_the_verdicts_of_the_report(trained, found) -> None:
    (written,), claims = rows_of(trained.report / "claims.csv"), found.claims()
    (claim,) = claims.to_dict("records")
    assert (claim["claim"], claim["contrast"], claim["verdict"]) == (
        *("Two inner steps do better than one.", written["contrast"], written["verdict"]),
    )
    ends = found.endpoints().query("zeroing == 'none'").pivot_table(index="seed", columns="inner_steps", values="value")
    assert claim["difference"] == pytest.approx((ends[2] - ends[1]).mean())
    assert (claim["n"], claim["level"]) == (2, 0.95)
    assert f"{100 * claim['difference']:+.1f}".lstrip("+-") in written["numbers"]


@pytest.mark.slow
def test_curves_and_training_are_the_rows_of_raw_data(trained, found) -> None:
    written, curves = rows_of(trained.report / "data.csv.gz"), found.curves()
    assert list(curves.columns) == list(written[0])
    assert "inner_steps (axis)" in curves.columns
    assert len(curves) == len(written)
    for column in ("trial_id", "zeroing", "pass", "head"):
        assert list(curves[column]) == [row[column] for row in written]
    for column in ("step", "inner_steps", "inner_steps (axis)", "episodes", "time_ms"):
        assert list(curves[column]) == [int(row[column]) for row in written]
    scored = curves["accuracy"].dropna()
    assert list(scored) == numbers(row["accuracy"] for row in written if row["accuracy"])
    trained_rows, training = rows_of(trained.report / "training.csv.gz"), found.training()
    assert list(training["query_loss"]) == numbers(row["query_loss"] for row in trained_rows)
    assert list(training.columns) == [
        *("trial_id", "seed", "inner_steps", "zeroing", "step", "query_loss", "query_accuracy", "time_ms"),
    ]


@pytest.mark.slow
def test_the_mean_over_episodes_is_the_accuracy_of_the_last_pass(found) -> None:
    keys = ["trial_id", "head", "inner_steps"]
    means = found.episodes().groupby(keys)["accuracy"].agg(["mean", "std", "count"])
    last = found.curves().sort_values("time_ms", kind="stable").dropna(subset="accuracy").groupby(keys).last()
    assert len(means) > 8
    for key, row in means.iterrows():
        assert row["mean"] == pytest.approx(last.loc[key, "accuracy"])
        assert row["std"] == pytest.approx(last.loc[key, "sd"], abs=1e-9)
        assert row["count"] == last.loc[key, "episodes"]
    assert (found.episodes()["correct"] <= found.episodes()["queries"]).all()


@pytest.mark.slow
def test_trials_have_their_state_and_if_asked_their_config(found) -> None:
    trials = found.trials()
    assert list(trials["status"].unique()) == ["done"] and len(trials) == 8
    assert (trials["step"] == trials["target"]).all() and trials["run_id"].notna().all()
    wide = found.trials(config=True)
    assert set(wide["ways"]) == {3} and wide.columns.is_unique
    assert list(wide.columns[: len(trials.columns)]) == list(trials.columns)


@pytest.mark.slow
def test_a_figure_draws_the_means_of_the_cells(found) -> None:
    figure = found.figure(0)
    assert isinstance(figure, Figure)
    assert figure._repr_png_().startswith(b"\x89PNG")  # what IPython asks for to show it
    drawn = {round(float(y), 6) for axes in figure.axes for line in axes.lines for y in line.get_ydata()}
    means = {round(100 * mean, 6) for mean in found.cells()["mean"]}
    fractions = {round(mean, 6) for mean in found.cells()["mean"]}
    assert means <= drawn or fractions <= drawn


@pytest.mark.slow
def test_it_says_in_a_few_lines_what_it_is(found) -> None:
    assert found.name == "tiny"
    assert repr(found).splitlines()[:2] == ["tiny: Does the machinery work?", "8 trials planned, 8 with results."]
    assert found.answer in repr(found)


@pytest.mark.slow
def test_raw_data_gives_the_same_frames_without_a_sweep_file(trained, found) -> None:
    raw = sweeper.results(raw=trained.report)
    for name in ("endpoints", "cells", "curves", "training", "claims", "table"):
        assert getattr(raw, name)().equals(getattr(found, name)()), name
    with pytest.raises(sweeper.SweepError, match="raw data lacks the scores of single episodes"):
        raw.episodes()


@pytest.mark.slow
def test_what_has_not_run_is_a_row_with_a_reason(trained) -> None:
    longer = trained.file.with_name("longer.yaml")
    longer.write_text(trained.file.read_text().replace("seeds: 2", "seeds: 3"))
    found = sweeper.results(longer, trained.results)
    new = found.trials().query("status == 'new'")
    assert set(new["seed"]) == {2} and len(new) == 4 and not new["attempts"].any()
    missing = found.endpoints().query("seed == 2")
    assert missing["value"].isna().all() and set(missing["reason"]) == {"not run"}
    assert (found.cells()["n"] == 2).all() and (found.cells()["planned"] == 3).all()
    assert len(sweeper.results(longer, trained.results, only="seed=1").trials()) == 4
    other = sweeper.results(trained.file, trained.results, settings="channels=5")
    assert other.name == "tiny+channels=5" and set(other.trials()["status"]) == {"new"}


def test_a_plan_has_the_trials_of_the_command(tmp_path) -> None:
    file = write_tiny(tmp_path)
    told = json.loads(command("plan", file, "--results", tmp_path / "none", "--json").stdout)
    frame = sweeper.plan(file, tmp_path / "none", config=True)
    assert list(frame["trial_id"]) == [trial["trial_id"] for trial in told["trials"]]
    assert list(frame["state"]) == ["new"] * 4 and list(frame["target"]) == [4] * 4
    assert list(frame.columns[:7]) == ["trial_id", "seed", "inner_steps", "cell", "target", "state", "why"]
    assert list(frame["inner_steps"]) == [1, 1, 2, 2] and set(frame["channels"]) == {4}
    assert len(sweeper.plan(file, only=["inner_steps=2"])) == 2
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({}, "give the path of a sweep file, the name of a shipped sweep, or a folder as raw="),
        ({"sweep": "none.yaml"}, "none.yaml:1:1: no such file"),
        ({"sweep": "tiny.yaml"}, "name another with results= or tracking_uri="),
        ({"sweep": "tiny.yaml", "profile": "cpu"}, "unknown profile 'cpu'"),
        ({"sweep": "tiny.yaml", "only": "inner_steps=9"}, "only="),
        ({"sweep": "tiny.yaml", "tracking_uri": "none"}, "tracking_uri='none': a report reads a tracking store"),
        ({"raw": "."}, "question.json can't be read"),
        ({"raw": ".", "profile": "cpu"}, "leave out profile="),
    ],
)
def test_a_mistake_is_an_error_of_one_sentence(asked, says, tmp_path, monkeypatch) -> None:
    write_tiny(tmp_path)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(sweeper.SweepError) as caught:
        sweeper.results(**asked)
    assert says in str(caught.value) and "--profile" not in str(caught.value).replace("`", "")
    (shown,) = caught.value._render_traceback_()  # what a notebook prints
    assert shown.endswith(str(caught.value)) and "Traceback" not in shown
    assert {path.name for path in tmp_path.iterdir()} == {"tiny.yaml"}


@pytest.mark.slow
def test_a_table_or_figure_that_is_not_there_is_told(found) -> None:
    for asked, says in (
        (lambda: found.table(1), r"table\(1\): the report of this sweep has 1 table, counted from 0"),
        (lambda: found.figure(-1), r"figure\(-1\): the report of this sweep has 1 figure"),
        (lambda: found.contrast(7), r"contrast\(7\): the report of this sweep has 1 contrast"),
    ):
        with pytest.raises(sweeper.SweepError, match=says):
            asked()


def test_the_functions_stay_functions_when_parts_are_imported() -> None:
    program = (
        "import sweeper, sweeper.results.paths, sweeper.planning.expand\n"
        "from sweeper.results.paths import Results\n"
        "import sweeper.results.index\n"
        "print(sweeper.results.__name__, callable(sweeper.results), callable(sweeper.plan))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout == "results True True\n"
