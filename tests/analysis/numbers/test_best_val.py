"""`at: best val`: test is read at the first maximum of validation among the evaluations of the schedule."""

from dataclasses import replace

import pytest

from analysis.contract.question import Endpoint
from analysis.numbers.endpoint import endpoint_sentence, endpoint_values, read, step_read
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
