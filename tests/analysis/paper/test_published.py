"""Tests of the committed tables of the authors' numbers, as a report reads them. They don't need the raw results."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.paper.authors.families import AXES, SOURCES
from analysis.paper.authors.figures import FIGURES
from analysis.paper.published import FOLDER, load, matrices

CLOSE = 1e-4  # of which half is the rounding of the tables compared with
LABELS = ("task", "order", "inner_steps", "zeroing", "head", "arm")
FIVE_SHOT = {"task": "mini-ImageNet 5w5s", "inner_steps": "5"}


def summary() -> list[pd.Series]:
    rows = pd.read_csv(Path(__file__).with_name("authors_summary.csv"), dtype=str, keep_default_na=False)
    return [row for _, row in rows.iterrows()]


@pytest.mark.parametrize(("every", "total"), [pytest.param(1, 768, marks=pytest.mark.slow), (12, None)])
def test_measured_means_around_a_step_are_those_of_the_tables(every, total):
    compared = 0
    for row in summary()[::every]:
        published = load(row["sweep"])
        labels = {axis: row[axis] for axis in LABELS if row[axis]}
        for pair in row["at"].split():
            step, expected = pair.split(":")
            found = published.centred(labels, row["test_head"], int(row["test_steps"]), int(step))
            if found:
                assert len(found) == int(row["n"])
                assert np.mean(list(found.values())) == pytest.approx(float(expected), abs=CLOSE), (labels, step)
                compared += 1
    assert compared > 20
    if total is not None:
        assert compared == total  # all but nine whose window has the first evaluation of all in it


def test_values_are_of_just_that_cell_head_and_step_or_there_are_none():
    published = load("zeroing_vs_steps")
    none, zeroing = ({**FIVE_SHOT, "zeroing": label} for label in ("none", "every step"))
    found = published.values(zeroing, "zeroed", "inner_steps", 200)
    assert found == published.values(zeroing, "zeroed", 5, 200, window=1)  # at 200 there is one evaluation
    assert set(found) == {222, 223, 224, 225}
    gaps = [found[seed] - value for seed, value in published.values(none, "zeroed", 5, 200).items()]
    assert np.mean(gaps) == pytest.approx(0.0893, abs=1e-4)
    assert published.values(none, "trained", 5, 200) == {}  # not stored
    assert published.values(none, "zeroed", 5, 300) == {}
    assert published.values(none, "zeroed", 4, 200) == {}
    assert published.values(none, "zeroed", 5, 200, window=3) == {}
    assert published.values(FIVE_SHOT, "zeroed", 5, 200) == {}  # with and without zeroing
    assert published.values({**none, "channels": "32"}, "zeroed", 5, 200) == {}
    assert published.values({**none, "order": "second"}, "zeroed", 5, 200) == {}


def test_a_window_of_five_ends_at_the_step_and_one_around_it_does_not():
    published = load("memorisation")
    cell = {"task": "mini-ImageNet 5w5s", "head": "zeroing"}
    last, around, single = (
        np.mean(list(found.values()))
        for found in (
            published.values(cell, "zeroed", 10, 2000),
            published.centred(cell, "zeroed", 10, 2000),
            published.values(cell, "zeroed", 10, 2000, window=1),
        )
    )
    assert last < around  # accuracy rises there
    assert around == pytest.approx(0.5768, abs=CLOSE)
    assert single != pytest.approx(last, abs=1e-4)
    assert published.centred(cell, "zeroed", 10, 200) == {}  # two evaluations before it would be needed


@pytest.mark.parametrize("sweep", sorted(SOURCES))
def test_every_cell_says_where_its_numbers_come_from(sweep):
    published = load(sweep)
    assert published.axes == AXES[sweep]
    assert set(published.measured["rule"]) == {rule.rule for rule in published.rules if rule.kind == "measured"}
    assert {curve.figure for curve in published.plotted} == {
        rule.rule for rule in published.rules if rule.kind == "plotted"
    }
    assert all(rule.files and rule.smoothing and rule.test_steps and rule.x_spacing for rule in published.rules)
    assert published.measured["value"].between(0, 1).all()


@pytest.mark.parametrize("figure", FIGURES, ids=lambda figure: figure.name)
def test_every_figure_is_told_in_one_sentence_and_its_differences(figure):
    published = load(figure.sweep)
    assert published.sentences[figure.name].startswith(figure.name)
    assert published.sentences[figure.name].endswith(".")
    assert (figure.name in published.differences) == (figure.name not in ("Fig. 12", "Fig. 13"))


def test_drawn_abscissas_and_true_steps_are_kept_apart():
    def curve(sweep: str, figure: str):
        return next(curve for curve in load(sweep).plotted if curve.figure == figure)

    fig3, fig4 = curve("test_time_zeroing", "Fig. 3"), curve("zeroing_vs_steps", "Fig. 4")
    fig13, fig14 = curve("memorisation", "Fig. 13"), curve("omniglot_basic", "Fig. 14")
    assert fig3.outer_step == tuple(2 * x for x in fig3.x)
    assert fig13.outer_step == fig13.x
    assert fig14.outer_step == tuple(30 * x for x in fig14.x)
    true = dict(zip(fig4.x, fig4.outer_step, strict=True))
    assert (true[10000], true[14000]) == (9700, 13500)  # 70 evaluations: 5 times 13 and 5


def test_contrastive_curves_carry_their_printed_names():
    swapped = {
        curve.legend: curve.labels["arm"]
        for curve in load("contrastive_equivalence").plotted
        if curve.figure == "Fig. 8"
    }
    assert swapped["n1 off, n2 on"] == "contrastive, no noise"
    assert swapped["n1 on, n2 off"] == "contrastive, no interference"


def test_cosines_of_fig_2_are_those_of_the_tables():
    published = load("cosine_similarity")
    expected = {
        ("random", 1): (0.281, 0.243, 0.315, 0.241, 0.037),
        ("random", 101): (0.273, 0.146, 0.322, 0.140, 0.147),
        ("zero-init", 11): (0.292, 0.174, 0.340, 0.166, 0.139),
        ("zero-init", 101): (0.261, 0.095, 0.391, 0.072, 0.287),
        ("zeroing", 51): (0.264, 0.101, 0.379, 0.079, 0.267),
        ("zeroing", 101): (0.223, 0.056, 0.428, 0.027, 0.370),
    }
    metrics = (
        *("support_query_same", "support_query_other", "query_query_same", "query_query_other"),
        "query_query_gap_without_self",
    )
    for (head, step), values in expected.items():
        found = [published.probe_values({"head": head}, metric, step) for metric in metrics]
        assert [len(by_seed) for by_seed in found] == [10] * 5
        assert [np.mean(list(by_seed.values())) for by_seed in found] == pytest.approx(values, abs=6e-4)
    assert published.probe_values({"head": "random"}, "query_query_gap", 2) == {}


def test_matrices_of_fig_2_have_the_query_classes_by_all_classes():
    shown = matrices()
    assert len(shown) == 3 * 3 * 5 * 10
    last = shown[(shown["head"] == "zeroing") & (shown["outer_step"] == 101)]
    own = last[last["query"].str[-1] == last["other"].str[-1]]
    assert own.loc[own["other"].str.startswith("support"), "value"].mean() == pytest.approx(0.223, abs=6e-4)


def test_what_no_stored_result_has_was_written_by_hand_with_its_source():
    shares = [one for one in load("contrastive_equivalence").by_hand if one.figure == "Fig. 9"]
    by_step: dict[tuple[str, int], float] = {}
    for one in shares:
        key = (one.labels["arm"], one.outer_step)
        by_step[key] = by_step.get(key, 0.0) + one.value
    assert len(by_step) == 30
    assert all(total == pytest.approx(1, abs=4e-3) for total in by_step.values())
    quoted = load("maml_vs_anil").by_hand
    assert {one.labels["method"] for one in quoted} == {"MAML", "ANIL"}
    assert {(one.labels["task"], one.labels["method"]): one.value for one in quoted}["Omniglot 20w5s", "ANIL"] == 0.98
    assert all("Raghu" in one.source and one.outer_step is None for one in quoted)


def test_a_sweep_that_nobody_published_is_empty():
    published = load("quickstart")
    assert published.values({"zeroing": "none"}, "zeroed", 1, 60) == {}
    assert (published.axes, published.plotted, published.rules, published.by_hand) == ((), (), (), ())
    assert published.steps({}, "zeroed", 1) == ()
    assert published.probe_values({}, "support_query_gap", 1) == {}


def test_the_tables_stay_small():
    assert sum(path.stat().st_size for path in FOLDER.glob("*.csv")) < 700_000
