import math
from dataclasses import replace

import pytest

from analysis.numbers.endpoint import endpoint_sentence, endpoint_values, metric_sentence, read, why_not
from analysis.numbers.measurements import number_of
from tests.analysis.endpoints import endpoint_of, read_otherwise


@pytest.fixture
def trial(make_trial):
    return make_trial({"zeroing": "none"})  # target 60, an evaluation every 20


def test_a_window_of_one_reads_the_evaluation_at_the_target(trial, make_record, endpoint) -> None:
    record = make_record(trial, {20: 0.3, 40: 0.5, 60: 0.7})
    assert read(trial, record, endpoint, 60) == (0.7, "", 1)


def test_the_window_averages_the_last_evaluations_up_to_the_step(trial, make_record, endpoint) -> None:
    record = make_record(trial, {20: 0.3, 40: 0.5, 60: 0.7})
    assert read(trial, record, read_otherwise(endpoint, window=2), 60) == (pytest.approx(0.6), "", 2)
    assert read(trial, record, read_otherwise(endpoint, window=2), 40) == (pytest.approx(0.4), "", 2)


def test_a_window_longer_than_the_trial_averages_what_there_is_and_says_how_many(trial, make_record, endpoint) -> None:
    record = make_record(trial, {20: 0.3, 40: 0.5, 60: 0.7})
    assert read(trial, record, read_otherwise(endpoint, window=5), 60) == (pytest.approx(0.5), "", 3)


@pytest.mark.parametrize("status", ["done", "running", "interrupted", "diverged", "failed"])
def test_a_trial_trained_further_gives_the_number_at_its_planned_target(trial, make_record, endpoint, status) -> None:
    short = make_record(trial, {20: 0.3, 40: 0.5, 60: 0.7})
    longer = make_record(trial, {20: 0.3, 40: 0.5, 60: 0.7, 80: 0.8, 100: 0.9}, status, step=110)
    window = read_otherwise(endpoint, window=2)
    assert read(trial, longer, window, 60) == read(trial, short, window, 60)


def test_an_evaluation_at_an_earlier_target_off_the_schedule_is_ignored(trial, make_record, endpoint) -> None:
    grown = make_record(trial, {20: 0.3, 40: 0.5, 50: 0.0, 60: 0.7})
    assert read(trial, grown, read_otherwise(endpoint, window=3), 60) == (pytest.approx(0.5), "", 3)


def test_a_target_off_the_schedule_is_read_itself(make_trial, make_record, endpoint) -> None:
    trial = make_trial({}, target=50)
    record = make_record(trial, {20: 0.3, 40: 0.5, 50: 0.7})
    assert read(trial, record, read_otherwise(endpoint, window=2), 50) == (pytest.approx(0.6), "", 2)


def test_without_a_schedule_only_the_step_itself_counts(trial, make_record, endpoint) -> None:
    record = make_record(trial, {20: 0.3, 60: 0.7})
    assert read(replace(trial, config={"eval_every": 0}), record, read_otherwise(endpoint, window=5), 60) == (
        0.7,
        "",
        1,
    )


@pytest.mark.parametrize(
    ("scores", "status", "step", "reason"),
    [
        ({20: 0.3}, "running", 35, "running at step 35 of 60"),
        ({20: 0.3}, "diverged", 35, "diverged at step 35"),
        ({20: 0.3}, "interrupted", 35, "interrupted at step 35"),
        ({20: 0.3}, "failed", 35, "failed"),
        ({20: 0.3}, "done", 30, "trained to step 30 of 60"),
        ({20: 0.3, 80: 0.4}, "done", 80, "no evaluation at step 60"),
        ({60: [0.2]}, "done", 60, "inner step 1 not scored"),
    ],
)
def test_a_trial_without_the_number_says_why(trial, make_record, endpoint, scores, status, step, reason) -> None:
    value, found, evaluations = read(trial, make_record(trial, scores, status, step), endpoint, 60)
    assert math.isnan(value) and (found, evaluations) == (reason, 0)


def test_head_split_and_inner_steps_are_those_of_the_endpoint(make_trial, make_record, endpoint) -> None:
    trial = make_trial({}, inner_steps=2)
    record = make_record(trial, {60: [0.2, 0.5, 0.8]}, split="val")
    trained = endpoint_of("val_accuracy", head="trained", steps="inner_steps", at="last", window=1)
    assert read(trial, record, trained, 60).value == 0.4
    assert read(trial, record, endpoint, 60).reason == "no evaluation at step 60"


def test_the_frame_has_a_row_for_every_planned_trial_and_outer_step(make_trial, make_record, endpoint) -> None:
    plan = [make_trial({"zeroing": name}, seed) for name in ("none", "every step") for seed in (0, 1)]
    records = {plan[0].trial_id: make_record(plan[0], {20: 0.3, 60: 0.7})}
    frame = endpoint_values(plan, records, read_otherwise(endpoint, at=(20, 60)))
    assert list(frame["at"]) == ["20"] * 4 + ["60"] * 4
    assert list(frame["zeroing"].cat.categories) == ["none", "every step"]  # the plan's order, not the alphabet's
    assert list(frame["reason"]) == ["", "not run", "not run", "not run"] * 2
    assert frame["value"].tolist() == pytest.approx([0.3, *[math.nan] * 3, 0.7, *[math.nan] * 3], nan_ok=True)


def test_an_axis_named_like_a_column_keeps_its_own(make_trial, endpoint) -> None:
    frame = endpoint_values([make_trial({"value": "a"})], {}, endpoint)
    assert list(frame["value (axis)"]) == ["a"] and frame["value"].isna().all()


def test_the_last_pass_is_read_by_its_own_metric_at_the_target_alone(trial, make_record, endpoint) -> None:
    final = read_otherwise(endpoint, metric="final_accuracy", window=1)
    record = make_record(trial, {60: 0.7})
    assert read(trial, record, final, 60).reason == "no final pass at step 60"
    shorter, own = ({**found, "split": "test"} for found in make_record(trial, {40: 0.3, 60: 0.9})["evaluations"])
    assert read(trial, record | {"finals": [shorter, own]}, final, 60) == (0.9, "", 1)
    assert read(trial, record | {"finals": [shorter, own]}, final, 40).value == 0.3
    assert read(trial, record | {"finals": [shorter]}, final, 60).reason == "no final pass at step 60"


def test_what_an_evaluation_passed_by_is_no_number(trial, make_record, endpoint) -> None:
    record = make_record(trial, {60: 0.7})
    record["evaluations"][0]["accuracy"] = {"zeroed": [None, 0.7]}
    assert read(trial, record, endpoint, 60).value == 0.7
    assert read(trial, record, read_otherwise(endpoint, steps=0), 60).reason == "inner step 0 not scored"
    assert read(trial, record, read_otherwise(endpoint, head="trained"), 60).reason == "head trained not scored"


def test_the_sentence_names_head_steps_time_and_window(endpoint) -> None:
    assert endpoint_sentence(endpoint) == (
        "Test accuracy after 1 inner step with the head zeroed before adaptation, at the planned last outer step, "
        "one evaluation"
    )


def test_the_frame_orders_the_steps_as_they_are_read_and_not_as_text(trial, make_record, endpoint) -> None:
    records = {trial.trial_id: make_record(trial, {20: 0.3, 100: 0.7})}
    frame = endpoint_values([trial], records, read_otherwise(endpoint, at=(20, 100)))
    assert list(frame["at"].cat.categories) == ["20", "100"] and frame["at"].cat.ordered
    columns = ("trial_id", "cell", "seed", "zeroing", "at", "read_step", "value", "reason", "evaluations")
    assert tuple(frame.columns) == columns
    assert frame["cell"].tolist() == ["none", "none"] and frame["read_step"].tolist() == [20, 100]


def test_a_trial_that_did_not_run_averages_nothing(trial, endpoint) -> None:
    value, reason, evaluations = read(trial, None, endpoint, 60)
    assert math.isnan(value) and (reason, evaluations) == ("not run", 0)
    assert why_not(trial, None, "probe", 60) == "not run"


def test_the_evaluation_before_training_is_on_no_schedule(trial, make_record, endpoint) -> None:
    record = make_record(trial, {0: 0.2, 20: 0.3, 40: 0.5, 60: 0.7})
    assert read(trial, record, read_otherwise(endpoint, window=9), 60) == (pytest.approx(0.5), "", 3)


def test_a_schedule_of_every_step_counts_the_first(trial, make_record, endpoint) -> None:
    record = make_record(trial, {0: 0.0, 1: 0.2, 2: 0.4, 3: 0.6})
    each = replace(trial, config={"eval_every": 1})
    assert read(each, record, read_otherwise(endpoint, window=9), 3) == (pytest.approx(0.4), "", 3)


@pytest.mark.parametrize(
    ("given", "reason"), [({"steps": 5}, "inner step 5 not scored"), ({"head": "own"}, "head own not scored")]
)
def test_a_score_that_is_missing_is_no_zero(trial, make_record, endpoint, given, reason: str) -> None:
    value, found, evaluations = read(trial, make_record(trial, {60: 0.7}), read_otherwise(endpoint, **given), 60)
    assert math.isnan(value) and (found, evaluations) == (reason, 0)
    (evaluation,) = make_record(trial, {60: 0.7})["evaluations"]
    number = number_of(trial, make_record(trial, {60: 0.7}), read_otherwise(endpoint, **given), evaluation)
    assert math.isnan(number.value) and number.reason == reason


def test_the_sentence_names_the_inner_steps_of_training_and_the_trained_head(endpoint) -> None:
    assert metric_sentence(read_otherwise(endpoint, head="trained", steps="inner_steps")) == (
        "Test accuracy after as many inner steps as in training with the head as trained"
    )
    assert metric_sentence(read_otherwise(endpoint, steps=5)) == (
        "Test accuracy after 5 inner steps with the head zeroed before adaptation"
    )
