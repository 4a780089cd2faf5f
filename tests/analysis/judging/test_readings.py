"""The readings of a sweep, by cell and by one side of a contrast, and the authors' values of the same numbers."""

import math
from dataclasses import replace

import pandas as pd
import pytest

from analysis.contract.question import Endpoint, Side
from analysis.judging.readings import Readings, facts_of, published_values, step_of
from analysis.numbers.endpoint import PERCENT
from analysis.paper.margins import TaskFacts
from analysis.paper.published import Published
from tests.analysis import any_trainer
from tests.analysis.any_trainer import ACCURACY, LOSS, planned, recorded
from tests.analysis.endpoints import endpoint_of, read_otherwise

AXES = ("inner_steps", "zeroing")
SCORED = endpoint_of("test_accuracy", head="zeroed", steps=1)
GAP = endpoint_of("support_query_gap")


@pytest.fixture
def plan(make_trial):
    """Two cells of two seeds; the second is half as long."""
    return [
        make_trial({"inner_steps": steps, "zeroing": "none"}, seed, target)
        for steps, target in (("7", 60), ("1", 20))
        for seed in (0, 1)
    ]


@pytest.fixture
def readings(plan, make_record) -> Readings:
    """Of the first cell both seeds ran; of the second one diverged, and one has a run without a record."""
    records = {
        plan[0].trial_id: make_record(plan[0], {20: 0.25, 60: 0.5}),
        plan[1].trial_id: make_record(plan[1], {20: 0.375, 60: 0.75}),
        plan[2].trial_id: make_record(plan[2], {}, "diverged", 7),
    }
    return Readings(plan, AXES, records, frozenset((plan[0].trial_id, plan[3].trial_id)))


def side(endpoint: Endpoint = SCORED, **labels: str) -> Side:
    return Side(labels=labels, endpoint=endpoint)


def published(**columns: list) -> Published:
    """Return the authors' numbers of the cells 1 and 7, all without zeroing."""
    return Published(
        sweep="x", axes=AXES, rules=(), sentences={}, differences={}, plotted=(), by_hand=(),
        measured=pd.DataFrame(columns),
    )  # fmt: skip


@pytest.fixture
def theirs() -> Published:
    """Two seeds of cell 7 at outer step 60, of which one is at 20, too, and one seed of cell 1 at 20."""
    return published(
        inner_steps=["7", "7", "7", "1"],
        zeroing=["none"] * 4,
        test_head=["zeroed"] * 4,
        test_steps=[1] * 4,
        outer_step=[60, 60, 20, 20],
        seed=[1, 2, 1, 1],
        single=[0.5, 0.6, 0.7, 0.8],
        value=[0.51, 0.61, 0.71, 0.81],
        support_query_gap=[0.1, 0.2, 0.3, 0.4],
    )


def test_a_run_without_its_record_has_a_reason_of_its_own(readings, plan) -> None:
    """One that has a record is read, whatever other runs of it lack."""
    frame = readings.frame(SCORED)
    assert frame["trial_id"].tolist() == [trial.trial_id for trial in plan]
    assert frame["reason"].tolist() == ["", "", "diverged at step 7", "tracked without its trial.json.gz"]
    assert frame["value"].tolist() == pytest.approx([0.5, 0.75, math.nan, math.nan], nan_ok=True)


def test_the_frame_of_an_endpoint_is_made_once(readings) -> None:
    other = read_otherwise(SCORED, head="trained")
    assert readings.frame(SCORED) is readings.frame(read_otherwise(SCORED))
    assert readings.frame(other)["value"].tolist()[:2] == [0.25, 0.375]


def test_the_cells_are_those_of_the_plan_in_its_order(readings) -> None:
    seven, one = readings.cells(SCORED)
    assert (seven.labels, one.labels) == (
        {"inner_steps": "7", "zeroing": "none"},
        {"inner_steps": "1", "zeroing": "none"},
    )
    assert (seven.values, one.values) == ({0: 0.5, 1: 0.75}, {})
    assert [(miss.seed, miss.reason) for miss in one.missing] == [
        (0, "diverged at step 7"),
        (1, "tracked without its trial.json.gz"),
    ]
    assert (seven.unit, seven.step) == (PERCENT, "outer step")


def test_the_unit_has_the_decimals_that_the_values_need() -> None:
    trial = planned({"lr": "0.1"})
    readings = Readings([trial], ("lr",), {trial.trial_id: recorded(trial, {60: {"loss": 25.0}})})
    assert readings.unit(LOSS) == (1.0, 2, "nats")
    (cell,) = readings.cells(LOSS)
    assert (cell.unit, cell.step, cell.values) == ((1.0, 2, "nats"), "step", {0: 25.0})


def test_a_side_has_its_values_by_seed_and_a_reason_for_each_other_seed(readings) -> None:
    assert readings.side(side(inner_steps="7", zeroing="none")) == ({0: 0.5, 1: 0.75}, {})
    assert readings.side(side(inner_steps="1")) == ({}, {0: "diverged at step 7", 1: "not run"})
    assert readings.side(side(inner_steps="5")) is None


def test_a_side_is_read_by_its_own_endpoint_at_its_first_step(readings) -> None:
    early = read_otherwise(SCORED, at=(20, 60), head="trained")
    assert readings.side(side(early, inner_steps="7")).by_seed == {0: 0.125, 1: 0.1875}


def test_the_facts_are_those_of_the_sides_own_cell(plan, make_trial) -> None:
    facts = {"dataset": "omniglot", "order": "second", "shots": 5}
    own = replace(plan[2], config=plan[2].config | facts)
    readings = Readings([*plan[:2], own, replace(plan[3], config={})], AXES, {})
    assert readings.facts(side(inner_steps="1")) == TaskFacts("omniglot", "second", 5, "test_accuracy")
    assert readings.facts(side(GAP, inner_steps="1")) == TaskFacts("omniglot", "second", 5, "support_query_gap")
    assert facts_of(plan[0], GAP) == TaskFacts("", "", 0, "support_query_gap")


def test_a_number_of_another_trainer_has_no_facts() -> None:
    trial = planned({"lr": "0.1"})
    assert Readings([trial], ("lr",), {}).facts(side(ACCURACY, lr="0.1")) is None


def test_a_side_reads_at_its_first_step_or_at_the_end_of_the_trial(plan) -> None:
    assert step_of(side(), plan[0]) == 60
    assert step_of(side(read_otherwise(SCORED, at="best val")), plan[2]) == 20
    assert step_of(side(read_otherwise(SCORED, at=(20, 60))), plan[0]) == 20


def test_the_authors_values_are_at_the_step_and_the_labels_of_our_side(readings, theirs) -> None:
    assert readings.published_of(side(inner_steps="7", zeroing="none"), theirs) == {1: 0.5, 2: 0.6}
    assert readings.published_of(side(inner_steps="7"), theirs) == {1: 0.5, 2: 0.6}
    assert readings.published_of(side(inner_steps="1"), theirs) == {1: 0.8}  # the end of that cell is step 20
    assert readings.published_of(side(read_otherwise(SCORED, at=(20,)), inner_steps="7"), theirs) == {1: 0.7}
    assert readings.published_of(side(GAP, inner_steps="7"), theirs) == {1: 0.1, 2: 0.2}


def test_a_cell_that_is_not_planned_has_the_authors_values_at_the_end_of_the_first_trial(plan, theirs) -> None:
    only_one = Readings(plan[2:], AXES, {})
    assert only_one.published_of(side(inner_steps="7"), theirs) == {1: 0.7}
    assert only_one.published_of(side(inner_steps="5"), theirs) == {}


@pytest.mark.parametrize(
    ("endpoint", "expected"),
    [
        (SCORED, {1: 0.5, 2: 0.6}),
        (read_otherwise(SCORED, window=5), {1: 0.51, 2: 0.61}),
        (read_otherwise(SCORED, window=3), {}),
        (read_otherwise(SCORED, head="trained"), {}),
        (read_otherwise(SCORED, steps=5), {}),
        (read_otherwise(SCORED, at="best val"), {}),
        (read_otherwise(SCORED, metric="val_accuracy"), {}),
        (read_otherwise(SCORED, metric="final_accuracy"), {}),
        (GAP, {1: 0.1, 2: 0.2}),
        (read_otherwise(GAP, at="best val"), {}),
        (endpoint_of("query_query_gap"), {}),
        (any_trainer.endpoint_of("accuracy", split="val"), {}),
    ],
)
def test_only_test_accuracies_and_probes_were_published(theirs, endpoint: Endpoint, expected) -> None:
    assert published_values(theirs, {"inner_steps": "7", "zeroing": "none"}, endpoint, 60) == expected
