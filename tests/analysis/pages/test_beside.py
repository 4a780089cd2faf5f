"""Tests of our values compared with the authors': the same outer step, and a verdict only for the paper's config."""

from dataclasses import replace

import pytest

from analysis.contract.question import PlannedTrial, Side
from analysis.judging.readings import Readings
from analysis.pages.beside import drawn_table, values_table
from analysis.paper.published import load
from tests.analysis.endpoints import endpoint_of, read_otherwise

AXES = ("task", "head")
CONFIG = {"dataset": "mini_imagenet", "order": "first", "shots": 5, "outer_steps": 15000, "eval_episodes": 400,
          "eval_every": 100}  # fmt: skip
SCORED = {"eval_steps": 2, "eval_heads": "both", "eval_each_step": True, "eval_every": 100, "probe_every": 0}
ENDPOINT = endpoint_of("test_accuracy", head="zeroed", steps=1, at="last", window=1)


@pytest.fixture
def make_readings(make_trial, make_record):
    """Return readings at 200 outer steps: for each head, three seeds around the authors' mean of that head."""

    def make(*heads: str, shift: float = 0.0, **changed) -> Readings:
        plan: list[PlannedTrial] = []
        records = {}
        for head in heads or ("random",):
            for seed in range(3):
                trial = make_trial({"task": "mini-ImageNet 5w5s", "head": head}, seed, target=200)
                trial = replace(trial, config=CONFIG | changed, paper=CONFIG)
                plan.append(trial)
                value = theirs(head) + shift + 0.001 * (seed - 1)
                records[trial.trial_id] = make_record(trial, {200: value})
        return Readings(plan, AXES, records)

    return make


def theirs(head: str) -> float:
    values = load("head_scale").values({"task": "mini-ImageNet 5w5s", "head": head}, "zeroed", 1, 200, 1)
    assert len(values) == 4
    return sum(values.values()) / 4


def verdicts(readings: Readings) -> list[str]:
    table = values_table(readings, ENDPOINT, load("head_scale"))
    assert table.heads == ("task", "head", "outer step", "ours", "authors'", "ours - authors'", "verdict")
    return [row[-1] for row in table.rows]


def test_values_of_the_papers_own_config_agree_differ_or_stay_open(make_readings) -> None:
    (agrees,), (differs,) = verdicts(make_readings()), verdicts(make_readings(shift=0.1))
    assert agrees.startswith("agrees") and differs.startswith("differs")


def test_another_config_gets_no_verdict_but_its_numbers(make_readings) -> None:
    readings = make_readings(eval_episodes=50)
    table = values_table(readings, ENDPOINT, load("head_scale"))
    (row,) = table.rows
    assert row[2:4] == ("200", f"{100 * theirs('random'):.1f} ± 0.2 (n = 3)")
    assert row[-1] == "no verdict (the config differs from the paper's in eval_episodes 50 (paper 400))"
    assert row[5] == "+0.0"


def test_a_cell_that_the_paper_does_not_have_gets_no_verdict_but_its_numbers(make_readings) -> None:
    found = make_readings()
    plan = [replace(trial, paper=None) for trial in found.plan]
    (word,) = verdicts(Readings(plan, AXES, found.records))
    assert word == "no verdict (the paper has no such cell)"


@pytest.mark.parametrize(
    "changed", [{"eval_steps": 3}, {"eval_heads": "zeroed"}, {"eval_each_step": False}, {"eval_every": 50}]
)
def test_a_field_that_changes_nothing_of_what_is_read_refuses_no_verdict(make_readings, changed) -> None:
    readings = make_readings()
    plan = [
        replace(trial, config=CONFIG | SCORED | changed | {"probe_every": 7}, paper=CONFIG | SCORED)
        for trial in readings.plan
    ]
    (found,) = verdicts(Readings(plan, AXES, readings.records))
    assert found.startswith("agrees")


@pytest.mark.parametrize(
    ("every", "window", "said"),
    [
        (50, 5, "ours 50 to 200, the authors' 200 alone"),
        (80, 5, "ours 80 to 200, the authors' 200 alone"),
        (100, 1, ""),
    ],
)
def test_the_distance_of_evaluations_counts_where_several_are_averaged(make_record, make_readings, every, window, said):
    readings = make_readings()
    paper = CONFIG | SCORED | {"eval_every": 200}
    plan = [replace(t, config=CONFIG | SCORED | {"eval_every": every}, paper=paper) for t in readings.plan]
    records = {t.trial_id: make_record(t, dict.fromkeys([*range(every, 200, every), 200], 0.4)) for t in plan}
    endpoint = read_otherwise(ENDPOINT, window=window)
    table = values_table(Readings(plan, AXES, records), endpoint, load("head_scale"))
    assert (f"eval_every {every} (paper 200)" in table.rows[0][-1]) == bool(said)
    assert table.notes[1:] == ((f"The two sides are means over other outer steps: {said}.",) if said else ())


def test_a_cell_that_the_authors_lack_is_left_out(make_readings) -> None:
    readings = make_readings()
    alone = [replace(trial, labels={**trial.labels, "head": "x0.9"}) for trial in readings.plan]
    assert values_table(Readings(alone, AXES, readings.records), ENDPOINT, load("head_scale")) is None
    assert values_table(readings, ENDPOINT, load("quickstart")) is None


def test_what_was_drawn_is_told_of_planned_cells_alone_and_is_not_what_was_measured(make_readings) -> None:
    table = drawn_table(make_readings(), ENDPOINT, load("head_scale"))
    assert {row[1] for row in table.rows} == {"mini-ImageNet 5w5s, first, 5, random, head zeroed at test"}
    drawn = {row[2]: (row[3], row[4]) for row in table.rows}
    assert drawn["2,000"][0] != drawn["2,000"][1]


def test_a_side_is_read_by_seed_and_one_that_is_not_planned_is_none(make_readings) -> None:
    readings = make_readings("random", "zeroing")
    of = Side(labels={"head": "zeroing"}, endpoint=ENDPOINT)
    assert readings.side(of).by_seed.keys() == {0, 1, 2} and not readings.side(of).missing
    later = replace(of, endpoint=read_otherwise(ENDPOINT, at=(400,)))
    assert set(readings.side(later).missing.values()) == {"trained to step 200 of 400"}
    assert readings.side(replace(of, labels={"head": "x0.5"})) is None
    published = load("head_scale")
    assert readings.published_of(of, published).keys() == {222, 223, 224, 225}
    assert readings.published_of(later, published) == {}
    assert readings.facts(of) == ("mini_imagenet", "first", 5, "test_accuracy")


def test_an_endpoint_is_read_once_and_a_run_without_its_record_says_so(make_readings) -> None:
    readings = make_readings()
    lost = readings.plan[0].trial_id
    records = {name: record for name, record in readings.records.items() if name != lost}
    again = Readings(readings.plan, AXES, records, frozenset([lost]))
    assert again.frame(ENDPOINT) is again.frame(replace(ENDPOINT))
    (cell,) = again.cells(ENDPOINT)
    assert [(miss.seed, miss.reason) for miss in cell.missing] == [(0, "tracked without its trial.json.gz")]
