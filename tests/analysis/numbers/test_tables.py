import csv
import io
from dataclasses import replace

import pytest

from analysis.contract.question import TableSpec
from analysis.errors import AnalysisError
from analysis.numbers.endpoint import PERCENT, PLAIN, Unit, endpoint_values
from analysis.numbers.stats import paired
from analysis.numbers.tables import Difference, Table, cells, contrast, table
from analysis.pages.latex import latex, latex_text
from analysis.pages.markup import csv_text, markdown, markdown_text

AXES = ("task", "zeroing", "steps")
SPEC = TableSpec(rows=("task", "zeroing"), columns="steps")


@pytest.fixture
def values(make_trial, make_record, endpoint):
    """One task, zeroing none or every step, steps 1 or 5, three seeds; one seed diverged, one cell did not run."""
    scores = {
        ("none", "1"): (0.50, 0.52, 0.54),
        ("none", "5"): (0.60, 0.64, None),
        ("every step", "1"): (0.7, 0.7, 0.73),
    }
    plan, records = [], {}
    for zeroing, steps in (("none", "1"), ("none", "5"), ("every step", "1"), ("every step", "5")):
        for seed in range(3):
            trial = make_trial({"task": "A_1 & B", "zeroing": zeroing, "steps": steps}, seed)
            plan.append(trial)
            if (zeroing, steps) in scores:
                score = scores[zeroing, steps][seed]
                record = make_record(trial, {60: score}) if score else make_record(trial, {}, "diverged", 7)
                records[trial.trial_id] = record
    return endpoint_values(plan, records, endpoint)


@pytest.fixture
def made(values) -> Table:
    return table(values, AXES, SPEC, "Caption.", 1)


NOTES = [
    "Percent; ± is half the 95 % t-interval over seeds (3 planned per cell; no interval below three seeds).",
    "task A_1 & B, zeroing none, steps 5: seed 2 (A_1 & B-none) diverged at step 7.",
    "task A_1 & B, zeroing every step, steps 5: seed 0 (A_1 & B-ever) not run; seed 1 (A_1 & B-ever) not run; "
    "seed 2 (A_1 & B-ever) not run.",
]


def test_markdown_prints_means_intervals_and_what_is_missing(made) -> None:
    # Half widths: t(0.975, 2) = 4.3027 times sd / sqrt(3) = 0.02 / sqrt(3) and 0.017321 / sqrt(3).
    assert markdown(made) == "\n".join(
        [
            "Caption.",
            "",
            "| task | zeroing | steps 1 | steps 5 |",
            "| --- | --- | ---: | ---: |",
            "| A_1 & B | none | 52.0 ± 5.0 | 62.0 (2 of 3) |",
            "| A_1 & B | every step | 71.0 ± 4.3 | - (0 of 3) |",
            "",
            *(f"- {note}" for note in NOTES),
            "",
        ]
    )


def test_latex_is_a_booktabs_tabular_with_everything_escaped(made) -> None:
    assert latex(made) == "\n".join(
        [
            r"% Needs \usepackage{booktabs, siunitx} before \begin{document}.",
            "% Fits the line of a page of one column; on a page of two columns, use table*.",
            "% Caption.",
            *(f"% {note}" for note in NOTES),
            r"\noindent\begin{tabular}{llS[table-format=2.1]@{}lS[table-format=2.1]@{}l}",
            r"\toprule",
            r" &  & \multicolumn{4}{c}{steps} \\",
            r"\cmidrule(lr){3-6}",
            r"task & zeroing & \multicolumn{2}{c}{1} & \multicolumn{2}{c}{5} \\",
            r"\midrule",
            r"A\_1 \& B & none & 52.0 & ~$\pm$ 5.0 & 62.0 & ~(2 of 3) \\",
            r"A\_1 \& B & every step & 71.0 & ~$\pm$ 4.3 & {--} & ~(0 of 3) \\",
            r"\bottomrule",
            r"\end{tabular}",
            "",
        ]
    )


def test_csv_has_one_row_a_cell_in_fractions_and_per_seed_values(made) -> None:
    rows = list(csv.DictReader(io.StringIO(csv_text(made))))
    assert list(rows[0]) == [
        *("task", "zeroing", "steps", "at", "n", "planned", "mean", "sd", "low", "high"),
        *("evaluations", "seeds", "values", "missing"),
    ]
    assert [(row["zeroing"], row["steps"], row["n"], row["planned"]) for row in rows] == [
        ("none", "1", "3", "3"),
        ("none", "5", "2", "3"),
        ("every step", "1", "3", "3"),
        ("every step", "5", "0", "3"),
    ]
    assert float(rows[0]["mean"]) == pytest.approx(0.52)
    assert float(rows[0]["high"]) == pytest.approx(0.52 + 4.302652729911275 * 0.02 / 3**0.5)
    assert (rows[1]["seeds"], rows[1]["values"], rows[1]["low"]) == ("0;1", "0.6;0.64", "")
    assert rows[1]["missing"] == "seed 2 (A_1 & B-none-5-s2): diverged at step 7"
    assert (rows[3]["mean"], rows[3]["values"]) == ("", "")


def test_the_contrast_pairs_by_seed_and_keeps_the_sign(values) -> None:
    made = contrast(values, AXES, SPEC, "zeroing")
    # Per seed +20, +18, +19 points: mean 19, sd 1, half width 4.3027 / sqrt(3).
    assert markdown(made).splitlines()[2:5] == [
        "| task | steps 1 | steps 5 |",
        "| --- | ---: | ---: |",
        "| A_1 & B | +19.0 ± 2.5 (n = 3) | - (n = 0) |",
    ]
    assert r"A\_1 \& B & +19.0 & ~$\pm$ 2.5 (n = 3) & - (n = 0) \\" in latex(made)
    rows = list(csv.DictReader(io.StringIO(csv_text(made))))
    assert list(rows[0]) == ["task", "steps", "at", "contrast", "n", "difference", "low", "high", "p", "seeds"]
    assert (rows[0]["contrast"], rows[0]["n"], rows[0]["seeds"]) == ("every step - none", "3", "0;1;2")
    assert float(rows[0]["difference"]) == pytest.approx(0.19)


def test_a_place_the_sweep_does_not_plan_is_blank(values) -> None:
    planned = values[~((values["zeroing"] == "every step") & (values["steps"] == "5"))]
    assert "| A_1 & B | every step | 71.0 ± 4.3 |  |" in markdown(table(planned, AXES, SPEC, "", 1))


def test_several_outer_steps_become_the_first_column(make_trial, make_record, endpoint) -> None:
    trial = make_trial({"steps": "1"})
    plan = endpoint_values([trial], {trial.trial_id: make_record(trial, {20: 0.25, 60: 0.75})}, endpoint)
    both = endpoint_values(
        [trial],
        {trial.trial_id: make_record(trial, {20: 0.25, 60: 0.75})},
        replace(endpoint, at=(20, 60)),
    )
    spec = TableSpec(rows=(), columns="steps")
    assert markdown(table(plan, ("steps",), spec, "", 1)).splitlines()[4] == "| 75.0 |"
    assert markdown(table(both, ("steps",), spec, "", 1)).splitlines()[2:6] == [
        "| outer step | steps 1 |",
        "| --- | ---: |",
        "| 20 | 25.0 |",
        "| 60 | 75.0 |",
    ]


def test_a_short_window_is_said(values) -> None:
    assert "3 of 4 cells average fewer evaluations than the window of 5; the fewest is 1." in markdown(
        table(values, AXES, SPEC, "", 5)
    )


def test_an_axis_left_out_is_refused_by_name(values) -> None:
    with pytest.raises(AnalysisError, match="would average over zeroing"):
        table(values, AXES, TableSpec(rows=("task",), columns="steps"), "", 1)


@pytest.mark.parametrize(
    ("label", "written"),
    [
        ("=1+1", "'=1+1"),
        ("+cmd", "'+cmd"),
        ("-x", "'-x"),
        ("@a", "'@a"),
        ("-1", "-1"),
        ("+1e-3", "+1e-3"),
        ("a=b", "a=b"),
    ],
)
def test_no_label_can_start_a_formula(make_trial, endpoint, label: str, written: str) -> None:
    frame = endpoint_values([make_trial({"steps": label})], {}, endpoint)
    text = csv_text(table(frame, ("steps",), TableSpec(rows=(), columns="steps"), "", 1))
    assert next(csv.DictReader(io.StringIO(text)))["steps"] == written


def test_text_cannot_become_markup() -> None:
    assert latex_text("50% of $x_1^2$ {a}\\b #~") == (
        r"50\% of \$x\_1\textasciicircum{}2\$ \{a\}\textbackslash{}b \#\textasciitilde{}"
    )
    assert markdown_text("a|b\n<i> *c* [d]") == r"a\|b \<i> \*c\* \[d]"


NATS = Unit(1.0, 2, "nats")


@pytest.mark.parametrize(
    ("unit", "of_contrast", "of_table"),
    [(PERCENT, "percentage points, ", "Percent; "), (NATS, "in nats, ", "In nats; "), (PLAIN, "", "")],
)
def test_a_table_names_its_unit(values, unit: Unit, of_contrast: str, of_table: str) -> None:
    made = contrast(values, AXES, SPEC, "zeroing", unit)
    assert made.caption == f"zeroing: every step - none, {of_contrast}paired by seed"
    assert made.notes == (
        "± is half the 95 % t-interval over common seeds. Intervals are not adjusted for their number.",
    )
    assert table(values, AXES, SPEC, "", 1, unit).notes == (
        f"{of_table}± is half the 95 % t-interval over seeds (3 planned per cell; no interval below three seeds).",
    )


def test_a_difference_of_two_seeds_has_no_interval() -> None:
    apart = paired({0: 0.5, 1: 0.7}, {0: 0.4, 1: 0.4})
    made = Difference(unit=PERCENT, at="last", labels={}, contrast="b - a", paired=apart)
    assert made.text() == "+20.0 (n = 2)"


def test_a_cell_averages_as_few_measurements_as_the_seed_with_the_fewest(make_trial, make_record, endpoint) -> None:
    plan = [make_trial({"steps": "1"}, seed) for seed in range(3)]
    records = {
        plan[0].trial_id: make_record(plan[0], {20: 0.5, 40: 0.5, 60: 0.5}),
        plan[1].trial_id: make_record(plan[1], {40: 0.5, 60: 0.5}),
    }
    (cell,) = cells(endpoint_values(plan, records, replace(endpoint, window=3)), ("steps",), ("steps",)).values()
    assert (cell.evaluations, cell.planned, list(cell.values)) == (2, 3, [0, 1])


def test_what_is_missing_is_named_with_its_step(make_trial, endpoint) -> None:
    frame = endpoint_values([make_trial({"steps": "1"})], {}, replace(endpoint, at=(20, 60)))
    made = table(frame, ("steps",), TableSpec(rows=(), columns="steps"), "", 1)
    assert made.missing == (
        "outer step 20, steps 1: seed 0 (1-s0) not run.",
        "outer step 60, steps 1: seed 0 (1-s0) not run.",
    )


def test_the_seeds_of_a_sweep_without_axes_stay_in_their_order(make_trial, make_record, endpoint) -> None:
    plan = [make_trial({}, seed) for seed in range(100)]
    records = {trial.trial_id: make_record(trial, {60: trial.seed / 100}) for trial in plan}
    (cell,) = cells(endpoint_values(plan, records, endpoint), (), ()).values()
    assert list(cell.values.items()) == [(seed, seed / 100) for seed in range(100)]
