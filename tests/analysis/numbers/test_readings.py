"""Numbers of any trainer: read by name from its readings, at or before a step, or missing with the reason."""

import math

import pytest

from analysis.contract.question import Endpoint
from analysis.numbers.endpoint import (
    PERCENT,
    axis_title,
    bounds_of,
    endpoint_sentence,
    endpoint_values,
    in_unit,
    read,
    step_read,
    unit_of,
)
from tests.analysis.any_trainer import ACCURACY, LOSS, endpoint_of, planned, recorded

TRIAL = planned({"lr": "0.1"})  # target 60


def values(*scores: float) -> dict[int, dict[str, float]]:
    """Validation accuracies at steps 20, 40, 60, ..., each with an accuracy on the training data."""
    return {20 * (n + 1): {"accuracy/val": score, "accuracy/train": 1.0} for n, score in enumerate(scores)}


def test_a_number_is_read_by_its_name_with_its_coordinates() -> None:
    record = recorded(TRIAL, values(0.3, 0.5, 0.7))
    assert read(TRIAL, record, ACCURACY, "last") == (0.7, "", 1)
    assert read(TRIAL, record, endpoint_of("accuracy", split="train"), "last") == (1.0, "", 1)
    assert read(TRIAL, record, ACCURACY, 40) == (0.5, "", 1)


def test_the_window_averages_the_last_readings_that_hold_the_name() -> None:
    readings = values(0.3, 0.5, 0.7)
    readings[50] = {"loss": 1.0}  # holds another name
    record = recorded(TRIAL, dict(sorted(readings.items())))
    assert read(TRIAL, record, endpoint_of("accuracy", split="val", window=2), "last") == (pytest.approx(0.6), "", 2)
    assert read(TRIAL, record, endpoint_of("accuracy", split="val", window=9), "last") == (pytest.approx(0.5), "", 3)


def test_between_two_readings_the_earlier_one_counts_once_the_step_is_passed() -> None:
    record = recorded(TRIAL, values(0.3, 0.5))
    assert read(TRIAL, record, ACCURACY, "last") == (0.5, "", 1)  # done at 60, and last measured at 40
    assert read(TRIAL, record, ACCURACY, 30) == (0.3, "", 1)
    running = recorded(TRIAL, values(0.3, 0.5), "running")
    assert read(TRIAL, running, ACCURACY, 30).value == 0.3
    assert read(TRIAL, running, ACCURACY, 50).reason == "running at step 40 of 60"


@pytest.mark.parametrize("status", ["done", "running", "interrupted", "diverged", "failed"])
def test_a_trial_trained_further_gives_the_number_at_its_planned_target(status: str) -> None:
    longer = recorded(TRIAL, values(0.3, 0.5, 0.7, 0.9), status)
    assert read(TRIAL, longer, ACCURACY, "last") == (0.7, "", 1)


@pytest.mark.parametrize(
    ("readings", "status", "step", "reason"),
    [
        (values(0.3), "running", 35, "running at step 35 of 60"),
        (values(0.3), "diverged", 35, "diverged at step 35"),
        (values(0.3), "interrupted", 35, "interrupted at step 35"),
        (values(0.3), "failed", 35, "failed"),
        (values(0.3), "done", 30, "trained to step 30 of 60"),
        ({20: {"loss": 0.3}}, "done", 60, "no reading of accuracy/val at or before step 60"),
        ({80: {"accuracy/val": 0.3}}, "done", 80, "no reading of accuracy/val at or before step 60"),
        ({}, "done", 60, "no reading of accuracy/val at or before step 60"),
    ],
)
def test_a_trial_without_the_number_says_why(readings, status: str, step: int, reason: str) -> None:
    value, found, number = read(TRIAL, recorded(TRIAL, readings, status, step), ACCURACY, "last")
    assert math.isnan(value) and (found, number) == (reason, 0)
    assert read(TRIAL, None, ACCURACY, "last").reason == "not run"


def test_a_trainer_without_length_is_read_where_its_trial_ended() -> None:
    trial = planned({}, target=0)
    done = recorded(trial, values(0.3, 0.5))
    assert (read(trial, done, ACCURACY, "last"), step_read(trial, done, ACCURACY, "last")) == ((0.5, "", 1), 40)
    assert read(trial, done, ACCURACY, 20).value == 0.3
    for status, reason in (
        ("running", "running at step 40"),
        ("diverged", "diverged at step 40"),
        ("failed", "failed"),
    ):
        assert read(trial, recorded(trial, values(0.3, 0.5), status), ACCURACY, "last").reason == reason
    once = recorded(trial, {0: {"loss": 2.5}})  # a program that measures once, at its only step
    assert read(trial, once, LOSS, "last") == (2.5, "", 1)
    assert read(trial, once, ACCURACY, "last").reason == "no reading of accuracy/val at or before step 0"
    assert step_read(trial, None, ACCURACY, "last") == 0


def test_the_frame_has_the_step_of_each_trial() -> None:
    plan = [planned({}, seed, target=0) for seed in range(2)]
    records = {plan[0].trial_id: recorded(plan[0], values(0.3, 0.5))}
    frame = endpoint_values(plan, records, ACCURACY)
    assert frame["read_step"].tolist() == [40, 0] and frame["reason"].tolist() == ["", "not run"]


def test_the_sentence_names_the_declared_words_the_coordinates_and_the_step() -> None:
    assert endpoint_sentence(ACCURACY) == "Accuracy, split val, at the last step, one reading"
    assert endpoint_sentence(endpoint_of("loss", at=(10, 20), window=3)) == (
        "Loss, at step 10 and 20, mean of the last 3 readings"
    )
    assert axis_title(ACCURACY) == "accuracy, split val (%)"
    assert (axis_title(LOSS), axis_title(endpoint_of("reward"))) == ("loss (nats)", "mean reward")


def test_unit_and_bounds_are_those_that_are_declared() -> None:
    assert unit_of(ACCURACY, [0.123456]) == PERCENT and in_unit(0.5, unit_of(ACCURACY)) == "50.0 %"
    assert bounds_of(ACCURACY) == (0.0, 1.0) and bounds_of(LOSS) == (0.0, math.inf)
    assert bounds_of(endpoint_of("reward")) == (-math.inf, math.inf)


@pytest.mark.parametrize(
    ("found", "text"),
    [
        ([0.00012346], "0.0001235 nats"),
        ([0.85], "0.8500 nats"),
        ([-5.25, math.nan], "-5.250 nats"),
        ([123456.7], "123457 nats"),
        ([0.0], "0.000 nats"),
        ([], None),
    ],
)
def test_a_number_that_is_no_percentage_has_as_many_decimals_as_the_largest_needs(found, text: str | None) -> None:
    unit = unit_of(LOSS, found)
    assert unit.name == "nats"
    if text is not None:
        assert in_unit(found[0], unit) == text


@pytest.mark.parametrize(
    ("found", "digits"), [([0.5, -20.0, 3.0], 2), ([math.nan, math.inf, 0.02], 5), ([math.nan], 3)]
)
def test_the_largest_finite_number_sets_the_decimals(found: list[float], digits: int) -> None:
    assert unit_of(LOSS, found).digits == digits


def test_a_title_names_each_coordinate() -> None:
    facts = {"words": "score", "coordinates": {"split": (), "last_layer": ()}}
    read_twice = Endpoint.of("score", facts, {"split": "val", "last_layer": 3}, at="last", window=1)
    assert axis_title(read_twice) == "score, split val, last layer 3"


def test_a_step_is_passed_once_a_later_one_is_reached_or_the_trial_is_done_there() -> None:
    """At the step itself, a running trial may still measure."""
    readings = values(0.3)
    assert read(TRIAL, recorded(TRIAL, readings, "running", 35), ACCURACY, 34) == (0.3, "", 1)
    assert read(TRIAL, recorded(TRIAL, readings, "running", 35), ACCURACY, 35).reason == "running at step 35 of 60"
    assert read(TRIAL, recorded(TRIAL, readings, "running", 35, done_step=35), ACCURACY, 35) == (0.3, "", 1)
    not_there = recorded(TRIAL, readings, "running", 35, done_step=34)
    assert read(TRIAL, not_there, ACCURACY, 35).reason == "running at step 35 of 60"
    one_step = planned({}, target=1)
    assert read(one_step, recorded(one_step, {0: {"accuracy/val": 0.3}}), ACCURACY, "last") == (0.3, "", 1)


@pytest.mark.parametrize("status", ["diverged", "interrupted"])
def test_a_trial_that_ended_early_at_the_very_step_says_so(status: str) -> None:
    record = recorded(TRIAL, {60: {"loss": 0.3}}, status)
    assert read(TRIAL, record, ACCURACY, "last").reason == f"{status} at step 60"
