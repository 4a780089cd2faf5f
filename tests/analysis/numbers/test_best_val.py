"""`at: best val`: test is read at the first maximum of validation among the evaluations of the schedule."""

import math
from dataclasses import replace

import pytest

from analysis.contract.question import Endpoint
from analysis.numbers.endpoint import endpoint_sentence, endpoint_values, read, step_read
from tests.analysis.any_trainer import ACCURACY, LOSS, planned, recorded
from tests.analysis.endpoints import endpoint_of


@pytest.fixture
def trial(make_trial):
    return make_trial({"zeroing": "none"})  # target 60, an evaluation every 20


@pytest.fixture
def best() -> Endpoint:
    validation = endpoint_of("val_accuracy", head="zeroed", steps=1)
    return replace(endpoint_of("test_accuracy", head="zeroed", steps=1, at="best val"), validation=validation)


def both(make_record, trial, val, test, status="done", **more):
    record = make_record(trial, test, status, **more)
    scored = make_record(trial, val, status, **more)["evaluations"]
    return record | {"evaluations": [*record["evaluations"], *({**one, "split": "val"} for one in scored)]}


@pytest.mark.parametrize(
    ("val", "step"),
    [
        ({20: 0.3, 40: 0.5, 60: 0.4}, 40),
        ({20: 0.5, 40: 0.5, 60: 0.4}, 20),  # the first of equal ones
        ({20: 0.1, 40: 0.2, 60: 0.3}, 60),
        ({20: 0.3, 30: 0.9, 40: 0.5, 60: 0.4}, 40),  # 30 is off the schedule: the end of a shorter target
        ({20: 0.3, 40: 0.5, 60: 0.4, 80: 0.9}, 40),  # beyond the planned end
    ],
)
def test_test_is_read_where_validation_is_best(trial, make_record, best, val, step) -> None:
    record = both(make_record, trial, val, {at: at / 1000 for at in val})
    assert read(trial, record, best, "best val") == (step / 1000, "", 1)
    assert step_read(trial, record, best, "best val") == step
    (row,) = endpoint_values([trial], {trial.trial_id: record}, best).to_dict("records")
    assert (row["at"], row["read_step"], row["value"]) == ("best val", step, step / 1000)


def test_the_numbers_of_test_choose_nothing(trial, make_record, best) -> None:
    """Any numbers of test give the same step."""
    val = {20: 0.3, 40: 0.5, 60: 0.4}
    for test in ({20: 1.0, 40: 0.0, 60: 1.0}, {20: 0.0, 40: 1.0, 60: 0.0}):
        assert step_read(trial, both(make_record, trial, val, test), best, "best val") == 40


def test_a_trial_without_validation_at_its_end_has_no_number(trial, make_record, best) -> None:
    record = both(make_record, trial, {20: 0.3, 40: 0.5}, {20: 0.3, 40: 0.5}, "running", step=45)
    assert read(trial, record, best, "best val").reason == "validation: running at step 45 of 60"
    assert read(trial, None, best, "best val").reason == "not run"


def test_it_is_said(best) -> None:
    said = "at the first outer step with the best validation up to the planned end, one evaluation"
    assert endpoint_sentence(best).endswith(said)


def losses(*found: float) -> dict[int, dict[str, float]]:
    """Losses at steps 20, 40, ..., each with an accuracy of a thousandth of the step."""
    return {20 * n: {"loss": loss, "accuracy/val": 20 * n / 1000} for n, loss in enumerate(found, 1)}


@pytest.mark.parametrize(
    ("found", "step"), [((0.9, 0.1, 0.5), 40), ((0.1, 0.9, 0.5), 20), ((0.9, 0.1, 0.1), 40), ((-1.0, -3.0, 2.0), 40)]
)
def test_a_loss_is_best_where_it_is_first_lowest(found: tuple[float, ...], step: int) -> None:
    trial, best = planned({}), replace(ACCURACY, at="best val", validation=LOSS)
    record = recorded(trial, losses(*found))
    assert step_read(trial, record, best, "best val") == step
    assert read(trial, record, best, "best val") == (step / 1000, "", 1)


def test_the_end_is_read_if_validation_was_never_measured(trial, make_record, best) -> None:
    record = make_record(trial, {20: 0.3, 60: 0.7})
    assert step_read(trial, record, best, "best val") == 60
    value, reason, evaluations = read(trial, record, best, "best val")
    assert math.isnan(value) and (reason, evaluations) == ("validation: no evaluation at step 60", 0)


def test_validation_counts_for_best_val_alone(trial, make_record, best) -> None:
    record = both(make_record, trial, {20: 0.9, 40: 0.5}, {20: 0.3, 40: 0.5, 60: 0.7})
    assert step_read(trial, record, best, "last") == 60
    assert read(trial, record, best, "last") == (0.7, "", 1)
    assert read(trial, record, best, 40) == (0.5, "", 1)


def test_a_trial_without_length_has_a_best_step_once_it_has_ended() -> None:
    trial, best = planned({}, target=0), replace(ACCURACY, at="best val", validation=LOSS)
    assert read(trial, recorded(trial, losses(0.1, 0.2)), best, "best val") == (0.02, "", 1)
    running = read(trial, recorded(trial, losses(0.1, 0.2), "running"), best, "best val")
    assert math.isnan(running.value) and running[1:] == ("validation: running at step 40", 0)
