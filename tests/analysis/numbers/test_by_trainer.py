"""Endpoints whose trainers are read differently: each trial by its own trainer's number, and words that fit all."""

import math
from dataclasses import replace

import pytest

from analysis.contract.question import Endpoint
from analysis.numbers.endpoint import axis_title, bounds_of, endpoint_sentence, metric_sentence, read, step_read
from analysis.numbers.measurements import any_reading, measured, measurement_of, number_of
from tests.analysis import any_trainer
from tests.analysis.any_trainer import ACCURACY, LOSS, planned, recorded
from tests.analysis.endpoints import endpoint_of

SCORED = endpoint_of("test_accuracy", head="zeroed", steps=1)
TOY = planned({"zeroing": "none"})


def together(**by_trainer: Endpoint) -> Endpoint:
    """Return the endpoint of a sweep with these trainers."""
    return replace(next(iter(by_trainer.values())), by_trainer=tuple(by_trainer.items()))


def test_each_trial_is_read_by_its_own_trainers_number(make_trial, make_record) -> None:
    both = together(maml=SCORED, toy=ACCURACY)
    trial = make_trial({"zeroing": "none"})
    record, other = make_record(trial, {60: 0.7}), recorded(TOY, {20: {"accuracy/val": 0.4}})
    assert read(trial, record, both, "last") == (0.7, "", 1)
    assert read(TOY, other, both, "last") == (0.4, "", 1)
    (evaluation,), (reading,) = measured(trial, record, both, 60), measured(TOY, other, both, 60)
    assert (number_of(trial, record, both, evaluation), number_of(TOY, other, both, reading)) == ((0.7, ""), (0.4, ""))


def test_each_trial_is_read_where_its_own_validation_is_best() -> None:
    readings = {20: {"loss": 0.3, "accuracy/val": 0.5}, 40: {"loss": 0.2, "accuracy/val": 0.4}, 60: {"loss": 0.9}}
    by_loss = replace(ACCURACY, at="best val", validation=LOSS)
    both = together(toy=replace(by_loss, validation=ACCURACY), third=by_loss)
    third = replace(TOY, trainer="third")
    assert step_read(TOY, recorded(TOY, readings), both, "best val") == 20
    assert step_read(third, recorded(third, readings), both, "best val") == 40
    assert read(third, recorded(third, readings), both, "best val") == (0.4, "", 1)


def test_the_sentence_names_the_trainers_of_each_number_once() -> None:
    three = together(toy=ACCURACY, maml=SCORED, second=ACCURACY)
    scored = "Test accuracy after 1 inner step with the head zeroed before adaptation"
    assert metric_sentence(three) == f"Accuracy, split val (toy, second); {scored} (maml)"
    assert endpoint_sentence(three) == (
        f"Accuracy, split val (toy, second); {scored} (maml), at the last step, one measurement"
    )


def test_the_title_of_an_axis_names_each_number_once() -> None:
    three = together(toy=ACCURACY, maml=SCORED, second=ACCURACY)
    assert axis_title(three) == "accuracy, split val (%) or test accuracy (%)"


def test_the_bounds_are_the_widest() -> None:
    reward, loss = any_trainer.endpoint_of("reward"), replace(LOSS, declared=replace(LOSS.declared, most=5.0))
    assert bounds_of(together(toy=ACCURACY, second=loss)) == (0.0, 5.0)
    assert bounds_of(together(toy=loss, second=ACCURACY)) == (0.0, 5.0)
    assert bounds_of(together(toy=ACCURACY, second=reward)) == (-math.inf, math.inf)


@pytest.mark.parametrize(
    ("by_trainer", "many", "some"),
    [
        ({"maml": SCORED, "toy": ACCURACY}, "measurements", True),
        ({"maml": SCORED, "second": endpoint_of("val_accuracy", head="zeroed", steps=1)}, "evaluations", False),
        ({"toy": ACCURACY, "second": LOSS}, "readings", True),
    ],
)
def test_the_words_of_a_measurement_fit_all_trainers(by_trainer, many: str, some: bool) -> None:
    both = together(**by_trainer)
    assert measurement_of(both).many == many
    assert any_reading(both) is some
