from analysis.tidy import tidy


def test_every_accuracy_is_one_row_in_order(make_trial, make_record) -> None:
    plan = [make_trial({"steps": "5"}), make_trial({"steps": "1"})]
    records = {trial.trial_id: make_record(trial, {40: 0.6, 20: 0.4}) for trial in plan}
    frame = tidy(plan, records)
    assert len(frame) == 2 * 2 * 2 * 2  # trials, evaluations, heads, inner steps 0 and 1
    assert list(frame["steps"].cat.categories) == ["5", "1"] and frame["steps"].cat.ordered
    first = frame[(frame["trial_id"] == plan[0].trial_id) & (frame["head"] == "zeroed")]
    assert first[["outer_step", "inner_step", "accuracy"]].values.tolist() == [
        [20, 0, 0.2],
        [20, 1, 0.4],
        [40, 0, 0.2],
        [40, 1, 0.6],
    ]


def test_a_plan_without_records_is_an_empty_frame_with_all_columns(make_trial) -> None:
    frame = tidy([make_trial({"steps": "5"})], {})
    assert frame.empty and {"steps", "seed", "accuracy", "episodes"} <= set(frame.columns)
