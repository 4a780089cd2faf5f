"""Passes: when they are due, where a run goes on within one, and the records that they give."""

import numpy as np
import pytest

from trainers.maml.engines.adam import Moments
from trainers.maml.evaluation import Pass, Position, due, nothing_scored, position, records_of
from trainers.maml.run_state import RunState
from trainers.trainer import Record

BOTH = ("trained", "zeroed")


def state(step: int, correct: tuple[int, int, int] = (0, 0, 0), *records: tuple[int, str]) -> RunState:
    return RunState(
        step=step,
        params={},
        moments=Moments({}, {}),
        correct=np.zeros(correct, dtype=np.int64),
        records=tuple(Record(at, key, {}) for at, key in records),
    )


def test_passes_follow_every_nth_step_but_not_the_start_and_the_last_step_always(tiny):
    often, never = tiny(eval_every=2, outer_steps=5), tiny(outer_steps=5)
    assert [step for step in range(4) if due(tiny(eval_every=1, outer_steps=2), step)] == [1, 2, 3]
    assert [step for step in range(7) if due(often, step)] == [2, 4, 5, 6]
    assert [step for step in range(7) if due(never, step)] == [5, 6]


def test_a_pass_scores_what_the_config_says(tiny):
    own = tiny(eval_every=2, eval_steps=3, eval_episodes=7, eval_heads="zeroed", eval_each_step=False)
    last = own.model_copy(update={"eval_split": "both", "final_episodes": 9, "final_steps": 1})
    assert due(tiny(), 6) == (Pass("evaluation", BOTH, (0, 1, 2), 3, ("test",)),)
    assert due(own, 2) == (Pass("evaluation", ("zeroed",), (3,), 7, ("test",)),)
    assert due(last, 4) == (Pass("evaluation", ("zeroed",), (3,), 7, ("val", "test")),)
    assert due(last, 6) == (*due(last, 4), Pass("final", BOTH, (0, 1), 9, ("test",)))


def test_before_its_first_episode_a_pass_has_scores_of_no_episode(tiny):
    (passed,) = due(tiny(eval_split="both"), 6)
    for found, shape in ((nothing_scored(passed, 5), (5, 4, 0, 3)), (nothing_scored(None, 5), (5, 0, 0, 0))):
        assert (found.shape, found.dtype) == (shape, np.int64)


def test_a_position_in_words_names_the_pass_only_if_it_has_begun():
    assert str(Position(4, "final", 0)) == str(Position(4, None, 0)) == "step 4"
    assert str(Position(4, "final", 2)) == "step 4, 2 episodes into its final pass"


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (state(3), Position(3, None, 0)),
        (state(2), Position(2, "evaluation", 0)),
        (state(2, (2, 1, 3)), Position(2, "evaluation", 1)),
        (state(2, (1, 1, 3)), Position(2, "evaluation", 0)),  # scores of fewer heads
        (state(2, (2, 1, 2)), Position(2, "evaluation", 0)),  # scores after fewer inner steps
        (state(4, (2, 2, 3), (2, "evaluation")), Position(4, "evaluation", 2)),
        (state(4, (2, 2, 3), (4, "evaluation")), Position(4, None, 0)),
        (state(6, (2, 2, 3)), Position(6, "evaluation", 2)),
        (state(6, (2, 4, 2), (6, "evaluation")), Position(6, "final", 4)),
        (state(6, (2, 4, 3), (6, "evaluation")), Position(6, "final", 0)),
        (state(6, (2, 4, 2), (6, "evaluation"), (6, "final")), Position(6, None, 0)),
    ],
    ids=str,
)
def test_a_run_goes_on_in_its_first_pass_without_a_record_by_the_scores_of_that_pass(tiny, found, expected):
    config = tiny(eval_every=2, final_episodes=5, final_steps=1)
    assert position(config, found) == expected


@pytest.mark.parametrize(
    ("correct", "mean", "sd"), [([9], 1.0, 0.0), ([9, 0], 0.5, 0.5**0.5), ([9, 0, 0], 1 / 3, 3**-0.5)]
)
def test_the_spread_over_episodes_is_that_of_a_sample_and_0_for_a_single_one(tiny, correct, mean, sd):
    (passed,) = due(tiny(eval_every=2, eval_heads="zeroed", eval_each_step=False), 2)
    (record,) = records_of(passed, tiny(), 2, np.array(correct).reshape(1, -1, 1))
    assert record == Record(
        2,
        "evaluation",
        {
            "split": "test",
            "episodes": len(correct),
            "accuracy": {"zeroed": [None, None, pytest.approx(mean)]},
            "sd": {"zeroed": [None, None, pytest.approx(sd)]},
        },
    )


def test_a_pass_has_a_record_of_each_split_and_the_last_one_the_scores_of_its_last_split(tiny):
    config = tiny(eval_split="both", eval_every=2, eval_each_step=False, outer_steps=4)
    correct = np.array([[9, 0], [9, 9], [0, 0], [0, 9]])[..., None]
    (passed,) = due(config, 4)
    earlier, ended = (records_of(passed, config, step, correct) for step in (2, 4))
    assert [(record.step, record.key, record.value["split"]) for record in earlier] == [
        (2, "evaluation_val", "val"),
        (2, "evaluation", "test"),
    ]
    assert [record.value["accuracy"] for record in earlier] == [
        {"trained": [None, None, 0.5], "zeroed": [None, None, 1.0]},
        {"trained": [None, None, 0.0], "zeroed": [None, None, 0.5]},
    ]
    assert [record.value for record in ended[:2]] == [record.value for record in earlier]
    scores = {"trained": [[], [], [0, 0]], "zeroed": [[], [], [0, 9]]}
    assert ended[2:] == [Record(4, "scores", {"queries": 9, "correct": scores})]


def test_where_a_longer_pass_follows_the_evaluation_that_pass_has_the_scores(tiny):
    config = tiny(final_episodes=2, eval_heads="zeroed", inner_steps=0)
    passes = due(config, 6)
    found = [records_of(passed, config, 6, np.zeros((passed.rows, 2, 1), dtype=np.int64)) for passed in passes]
    assert [[record.key for record in records] for records in found] == [["evaluation"], ["final", "scores"]]
