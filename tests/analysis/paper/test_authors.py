"""Tests of the authors' stored results in our analysis: the printed curves, the committed tables, and the records.

Expected are tables that other code once made from the same results, and values read from the vector paths of the
printed figures. Tests that use `raw_path` need the results themselves; the others read an extract of seed means.
"""

import math
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.errors import AnalysisError
from analysis.numbers.endpoint import endpoint_values
from analysis.paper.authors.__main__ import OUT, main
from analysis.paper.authors.families import AXES, FAMILIES, SOURCES
from analysis.paper.authors.figures import FIGURES, Figure
from analysis.paper.authors.raw import COLUMNS, Run, read_raw, runs
from analysis.paper.authors.records import as_records
from analysis.paper.authors.smoothing import mixed, smoothed
from analysis.paper.authors.tables import tables
from analysis.paper.authors.values import curves, outer_steps, values
from tests.analysis.endpoints import endpoint_of
from tests.analysis.paper.authors_extract import EXTRACT, UNIT, extract
from tests.places import ROOT

HERE = Path(__file__).parent
CLOSE = 1e-4  # of which half is the rounding of the tables
LABELS = ("task", "order", "inner_steps", "zeroing", "head", "arm")


def table(name: str) -> pd.DataFrame:
    return pd.read_csv(HERE / name, dtype=str, keep_default_na=False)


def at(text: str) -> dict[int, float]:
    return {int(step): float(value) for step, value in (pair.split(":") for pair in text.split())}


def named(row: pd.Series) -> dict[str, str]:
    return {axis: row[axis] for axis in LABELS if row.get(axis)}


SUMMARY = [row for _, row in table("authors_summary.csv").iterrows()]
DRAWN = [row for _, row in table("authors_drawn.csv").iterrows()]
FIGURE = {figure.name: figure for figure in FIGURES}
SECTION = {
    "1": "testing_stage_zeroing",
    "2": "training_stage_zeroing",
    "3": "initialization_and_zeroing",
    "4": "FOMAML_SOMAML",
    "5": "5_way_25_shot",
    "6": "fixed_channel",
    "7": "exact_contrastiveness",
    "8": "omniglot_basic",
    "9": "omniglot_memorization",
}


@pytest.fixture(scope="session")
def raw_path() -> Path:
    """Return the path of the authors' raw results, or skip the test without them."""
    beside = ROOT.parent / "shared" / "paper" / "authors_results.csv.gz"
    path = Path(os.environ.get("SWEEPER_AUTHORS", beside))
    if not path.is_file():
        pytest.skip(f"no raw results of the authors at {path}: set SWEEPER_AUTHORS, or put them there")
    return path


@pytest.fixture(scope="session")
def raw(raw_path: Path) -> pd.DataFrame:
    return read_raw(raw_path)


@pytest.fixture(scope="session")
def stored(raw: pd.DataFrame) -> dict[str, list[Run]]:
    return {family: runs(raw, family) for family in FAMILIES}


def seed_means(figure: Figure, row: pd.Series) -> dict[str, np.ndarray]:
    """Return the extract's seed-averaged curves of one cell, by head."""
    found = table(EXTRACT.name)
    found = found[found["family"] == figure.family]
    for axis, label in named(row).items():
        found = found[found[axis] == label]
    steps = row["inner_steps"] if figure.test_steps == "inner_steps" else str(figure.test_steps)
    found = found[found["test_steps"] == steps]
    return {
        one["test_head"]: np.array([int(number) for number in one["mean"].split()]) / UNIT
        for _, one in found.iterrows()
    }


def redrawn(figure: Figure, means: dict[str, np.ndarray], head: str) -> np.ndarray:
    if figure.mixed:
        return mixed(means["trained"], means["zeroed"], figure.width)[head == "zeroed"]
    return smoothed(means[head], figure.width)


class TestSmoothing:
    def test_first_five_stay_and_the_rest_look_forward(self):
        drawn = smoothed(np.arange(12.0) ** 2, 3)
        assert drawn.tolist() == [0, 1, 4, 9, 16, *((i**2 + (i + 1) ** 2 + (i + 2) ** 2) / 3 for i in range(5, 10))]

    def test_mixed_points_hold_three_of_their_own_and_two_of_the_other_head(self):
        trained, zeroed = mixed(np.zeros(20), np.ones(20), 5)
        assert trained[:3].tolist() == [0, 0, 0]
        assert zeroed[:2].tolist() == [1, 1]
        assert trained[3:] == pytest.approx(np.full(15, 2 / 5))
        assert zeroed[2:] == pytest.approx(np.full(16, 3 / 5))

    def test_a_mixed_curve_of_100_evaluations_ends_at_97(self):
        assert [len(drawn) for drawn in mixed(np.zeros(100), np.zeros(100), 5)] == [98, 98]

    def test_too_few_evaluations_and_unequal_heads_are_refused(self):
        with pytest.raises(ValueError, match="9 evaluations are too few"):
            smoothed(np.zeros(9), 5)
        with pytest.raises(ValueError, match="100 evaluations as trained don't pair with 99"):
            mixed(np.zeros(100), np.zeros(99), 5)


class TestExtract:
    """Tests without the raw results: smoothed seed-averaged curves against the printed ones."""

    @pytest.mark.parametrize("row", DRAWN, ids=lambda row: f"{row['figure']} {'-'.join(named(row).values())}")
    def test_smoothed_means_are_the_printed_curve(self, row):
        figure = FIGURE[row["figure"]]
        drawn = redrawn(figure, seed_means(figure, row), row["test_head"])
        spacing = 1 if figure.mixed else 200
        expected = at(row["at"])
        assert {x: drawn[x // spacing] for x in expected} == pytest.approx(expected, abs=CLOSE)
        assert len(drawn) - 1 == max(expected) // spacing  # the last value is that of the last point

    @pytest.mark.parametrize("name", ["Fig. 5", "Fig. 10", "Fig. 12", "Fig. 13"])
    def test_drawn_points_are_the_tables_means_over_five(self, name):
        """A drawn point is the mean of its evaluation and the four after it; its centre is the second of these four."""
        figure, compared = FIGURE[name], 0
        for row in SUMMARY:
            if SECTION[row["section"]] != figure.family or row["test_steps"] != str(figure.test_steps):
                continue
            means = seed_means(figure, row)
            drawn, updates = redrawn(figure, means, "zeroed"), true_updates(figure)
            for step, value in at(row["at"]).items():
                centre = int(np.abs(updates - step).argmin())
                if centre - 2 < 5 or centre - 2 >= len(drawn) or (name == "Fig. 5" and row["task"].endswith("5w5s")):
                    continue  # among the raw points, beyond what is drawn, or of seeds with two schedules
                assert drawn[centre - 2] == pytest.approx(value, abs=CLOSE), (named(row), step)
                compared += 1
        assert compared >= {"Fig. 5": 20, "Fig. 10": 60, "Fig. 12": 9, "Fig. 13": 36}[name]

    def test_committed_curves_are_the_smoothed_means(self):
        for figure in FIGURES:
            drawn = pd.read_csv(OUT / f"{figure.sweep}_plotted.csv", dtype={"inner_steps": str})
            drawn = drawn[drawn["figure"] == figure.name]
            for _, curve in drawn.groupby([*AXES[figure.sweep], "test_head", "test_steps"]):
                one = curve.iloc[0]
                again = redrawn(figure, seed_means(figure, one), one["test_head"])
                spacing = curve["x"].iloc[1]
                points = again[(curve["x"] // spacing).to_numpy()]
                assert np.abs(points - curve["value"].to_numpy()).max() < 2e-5, (figure.name, named(one))


def true_updates(figure: Figure) -> np.ndarray:
    """Return the number of updates before each evaluation of a family, row by row."""
    if figure.family in ("initialization_and_zeroing", "FOMAML_SOMAML"):
        return np.array([2500 * (row // 13) + 200 * (row % 13) + 1 for row in range(155)])
    return np.arange(150) * 200 + 1


@pytest.mark.slow
class TestRaw:
    """Tests with the raw results, against every value of the tables."""

    @pytest.mark.parametrize(
        "row", SUMMARY, ids=lambda row: f"{row['section']} {'-'.join(named(row).values())} {row['test_head']}"
    )
    def test_runs_give_the_tables(self, stored, row):
        cell = [
            run
            for run in stored[SECTION[row["section"]]]
            if run.head == row["test_head"] and all(run.labels[axis] == label for axis, label in named(row).items())
        ]
        assert len(cell) == int(row["n"])
        found = [run.accuracy[:, int(row["test_steps"])] for run in cell]
        centres = {step: [int(np.abs(run.updates - step).argmin()) for run in cell] for step in at(row["at"])}
        means = {  # near the start the first five evaluations, whatever they are centred on
            step: np.mean([curve[max(0, i - 2) :][:5].mean() for curve, i in zip(found, index, strict=True)])
            for step, index in centres.items()
        }
        assert means == pytest.approx(at(row["at"]), abs=CLOSE)
        last = [curve[-5:].mean() for curve in found]
        assert np.mean(last) == pytest.approx(float(row["last_5"]), abs=CLOSE)
        assert np.std(last) == pytest.approx(float(row["last_5_sd"]), abs=CLOSE)
        assert np.mean([curve[-1] for curve in found]) == pytest.approx(float(row["last"]), abs=CLOSE)
        assert np.mean([curve.max() for curve in found]) == pytest.approx(float(row["best"]), abs=CLOSE)
        assert {int(run.updates[-1]) for run in cell} == {int(end) for end in row["ends"].split(",")}

    @pytest.mark.parametrize("name", sorted({row["figure"] for row in DRAWN}))
    def test_curves_are_the_printed_ones(self, raw, name):
        found = curves(raw, FIGURE[name])
        for row in (row for row in DRAWN if row["figure"] == name):
            wanted = {**named(row), "test_head": row["test_head"]}
            (curve,) = [one for one in found if all(one.cell[key] == label for key, label in wanted.items())]
            drawn = dict(zip(curve.x, curve.drawn, strict=True))
            expected = at(row["at"])
            assert {x: drawn[x] for x in expected} == pytest.approx(expected, abs=CLOSE)

    def test_contrastive_curves_end_where_the_paper_has_them(self, raw):
        """The values at 15,000 were read from the print to 0.1 %."""
        expected = {
            ("Fig. 7", "first", "contrastive, no interference"): 0.461,
            ("Fig. 7", "first", "contrastive, zeroing"): 0.469,
            ("Fig. 7", "second", "MAML, zeroing"): 0.478,
            ("Fig. 7", "second", "contrastive, zeroing"): 0.477,
            ("Fig. 8", "first", "contrastive, full"): 0.449,
            ("Fig. 8", "first", "contrastive, no noise"): 0.462,
            ("Fig. 8", "first", "contrastive, no interference"): 0.461,
            ("Fig. 8", "first", "contrastive, neither"): 0.467,
        }
        found = {
            tuple(curve.cell[key] for key in ("figure", "order", "arm")): dict(zip(curve.x, curve.drawn, strict=True))[
                15000
            ]
            for name in ("Fig. 7", "Fig. 8")
            for curve in curves(raw, FIGURE[name])
        }
        assert found == pytest.approx(expected, abs=6e-4)

    def test_committed_tables_are_computed_from_it(self, raw_path):
        computed = tables(raw_path)
        assert {path.name for path in OUT.glob("*.csv")} == {
            *computed,
            *(path.name for path in OUT.glob("*_by_hand.csv")),
        }
        for name, text in computed.items():
            assert (OUT / name).read_bytes() == text.encode(), name

    def test_committed_extract_is_computed_from_it(self, raw):
        assert extract(raw) == EXTRACT.read_text()

    @pytest.mark.parametrize("sweep", sorted(SOURCES))
    def test_our_endpoint_on_their_records_gives_the_tables_values(self, raw, raw_path, sweep):
        """Records read like our runs give the same number as the values computed from the raw rows."""
        theirs = as_records(raw_path, sweep)
        for _, rows in values(raw, sweep).groupby(["test_head", "test_steps", "outer_step"]):
            first = rows.iloc[0]
            endpoint = endpoint_of(
                "test_accuracy",
                head=first["test_head"],
                steps=int(first["test_steps"]),
                at=(int(first["outer_step"]),),
                window=5,
            )
            frame = endpoint_values(theirs.plan, theirs.records, endpoint).set_index("trial_id")
            for _, row in rows.iterrows():
                labels = [row[axis] for axis in AXES[sweep]]
                read = frame.loc[f"authors {sweep} {' · '.join(labels)} · s{row['seed']}"]
                if read["reason"]:
                    assert row["updates"] - row["outer_step"] not in (0, 1)  # they have no evaluation just there
                else:
                    assert read["value"] == pytest.approx(row["value"], abs=1e-12)
                    assert read["evaluations"] == row["evaluations"]

    def test_every_record_is_whole_and_sorted_as_a_legend_would_be(self, raw_path):
        theirs = as_records(raw_path, "head_scale", ("task", "head"))
        heads = tuple(dict.fromkeys(trial.labels["head"] for trial in theirs.plan))
        assert heads == ("random", "x0.7", "x0.5", "zero-init", "zeroing")
        assert {trial.trial_id for trial in theirs.plan} == theirs.records.keys()
        record = theirs.records[theirs.plan[0].trial_id]
        assert record["evaluations"][0]["accuracy"]["trained"] == []
        assert all(math.isnan(sd) for sd in record["evaluations"][0]["sd"]["zeroed"])
        assert len(record["evaluations"][0]["accuracy"]["zeroed"]) == 11

    def test_a_run_can_be_read_as_if_it_had_been_stopped(self, raw_path):
        theirs = as_records(raw_path, "zeroing_vs_steps", until=16999)
        ends = {trial.labels["task"]: trial.target for trial in theirs.plan if trial.seed != 225}
        assert ends == {
            "mini-ImageNet 5w1s": 16800,
            "mini-ImageNet 5w5s": 16800,
            "Omniglot 5w1s": 2970,
            "Omniglot 5w5s": 2970,
        }
        assert all(
            record["evaluations"][-1]["step"] == record["step"] == record["done_step"] == record["target"]
            for record in theirs.records.values()
        )
        with pytest.raises(AnalysisError, match="no evaluation at or before outer step -1"):
            as_records(raw_path, "zeroing_vs_steps", until=-1)

    def test_cosine_records_have_the_matrices_as_probes(self, raw_path):
        theirs = as_records(raw_path, "cosine_similarity", ("head",))
        assert len(theirs.plan) == 30
        probes = theirs.records[theirs.plan[0].trial_id]["probes"]
        assert [probe["step"] for probe in probes] == list(range(1, 102, 10))
        assert np.array(probes[0]["cosine"]).shape == (10, 10)


class TestBadInput:
    def test_a_file_that_is_not_there_and_one_that_is_another(self, tmp_path, capsys):
        assert main([str(tmp_path / "none.csv"), "--out", str(tmp_path)]) == 2
        assert "can't be read" in capsys.readouterr().err
        (tmp_path / "other.csv").write_text("a,b\n1,2\n")
        with pytest.raises(AnalysisError, match="lacks the columns family, dataset"):
            read_raw(tmp_path / "other.csv")
        (tmp_path / "cut.csv.gz").write_bytes(b"\x1f\x8b\x08\x00")
        with pytest.raises(AnalysisError, match="can't be read"):
            read_raw(tmp_path / "cut.csv.gz")

    def test_copies_prefixes_and_stopped_runs_are_left_out(self, tmp_path):
        used, other = {"used_in_figure": "Fig13"}, {"used_in_figure": ""}
        path = few(
            tmp_path,
            [
                {"seed": 1, "source_file": "a/seed1/test.csv", **used},
                {"seed": 2, "source_file": "a/.ipynb_checkpoints/test.csv", **used},
                {"seed": 3, "source_file": "a/seed3/test.csv", "note": "run stopped after 4 of 8 epochs", **used},
                {"seed": 4, "source_file": "a/seed4/test.csv", "note": "prefix of a longer run", **other},
                {"seed": 5, "source_file": "a/seed5/train.csv", "split": "train", **used},
            ],
        )
        (run,) = runs(read_raw(path), "fixed_channel")
        assert (run.seed, run.head, run.labels["head"]) == (1, "zeroed", "zero-init")
        assert run.accuracy.tolist() == [[0.2, 0.3], [0.2, 0.4]]
        assert outer_steps(run).tolist() == [0, 200]

    def test_a_run_that_is_cut_off_is_named(self, tmp_path):
        path = few(tmp_path, [{"seed": 1, "source_file": "a/seed1/test.csv", "used_in_figure": "Fig13"}])
        lines = path.read_text().splitlines()
        path.write_text("\n".join(lines[:-1]) + "\n")
        with pytest.raises(AnalysisError, match=r"a/seed1/test\.csv has 3 numbers for 2 evaluations of 2 inner steps"):
            runs(read_raw(path), "fixed_channel")

    def test_no_runs_no_sweep_no_axis(self, tmp_path):
        path = few(tmp_path, [{"seed": 1, "source_file": "a/test.csv", "used_in_figure": "Fig13"}])
        with pytest.raises(AnalysisError, match="no runs of 5_way_25_shot"):
            as_records(path, "large_shots")
        with pytest.raises(AnalysisError, match="no runs for sweep 'quickstart'"):
            as_records(path, "quickstart")
        with pytest.raises(AnalysisError, match="no axis 'channels'"):
            as_records(path, "large_shots", ("head", "channels"))

    @pytest.mark.slow
    def test_axes_that_would_pool_cells_are_refused(self, raw_path):
        with pytest.raises(AnalysisError, match=r"task, head don't distinguish.*add one of order, inner_steps"):
            as_records(raw_path, "omniglot_basic", ("task", "head"))


def few(folder: Path, files: list[dict]) -> Path:
    """Write a raw file with two evaluations of two numbers of inner steps for each of `files`."""
    same = {
        "family": "fixed_channel",
        "dataset": "mini-ImageNet",
        "ways": 5,
        "shots": 1,
        "order": "FO",
        "zeroing": "at_init",
        "init_scale": "0",
        "inner_steps_train": "5",
        "split": "test",
        "metric": "accuracy",
        "test_w": "zeroed",
        "variant": "",
        "note": "",
    }
    rows = [
        same | {"iteration_or_epoch": 200 * row + 1, "eval_index": row, "inner_step_test": steps, "value": value} | one
        for one in files
        for row, scores in enumerate(([0.2, 0.3], [0.2, 0.4]))
        for steps, value in enumerate(scores)
    ]
    pd.DataFrame(rows)[list(COLUMNS)].to_csv(folder / "few.csv", index=False)
    return folder / "few.csv"
