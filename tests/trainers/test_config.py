"""Configs that can't be are refused before anything is loaded, with every reason, the value and what is allowed."""

import pytest

from trainers.config import ConfigError, resolve


def problems(**values) -> list[tuple[str, str]]:
    with pytest.raises(ConfigError) as refused:
        resolve({"dataset": "omniglot"} | values)
    return [tuple(problem) for problem in refused.value.problems]


@pytest.mark.parametrize(
    ("values", "field", "words"),
    [
        ({"shots": 6}, "shots", "shots + queries = 6 + 15 = 21, but omniglot has 20 images of a class"),
        ({"ways": 424}, "ways", "424 ways, but omniglot has a split of 423 classes"),
        ({"ways": "5"}, "ways", "got '5'"),
        ({"ways": 1}, "ways", "greater than or equal to 2, got 1"),
        ({"inner_lr": 0.0}, "inner_lr", "greater than 0, got 0.0"),
        ({"inner_lr": -0.1}, "inner_lr", "greater than 0, got -0.1"),
        ({"outer_lr": float("nan")}, "outer_lr", "got nan"),
        ({"inner_lr": float("inf")}, "inner_lr", "finite number, got inf"),
        ({"algorithm": "reptile"}, "algorithm", "'maml', 'anil' or 'contrastive', got 'reptile'"),
        ({"order": True}, "order", "'first' or 'second', got True"),
        ({"inner_steps": 2.0}, "inner_steps", "got 2.0"),
        ({"eval_split": "val"}, "eval_split", "has no validation classes; use test, or omniglot_split 1028/172/423"),
        ({"dataset": "strokes", "omniglot_split": "1028/172/423"}, "omniglot_split", "has no meaning for strokes"),
        ({"innner_lr": 0.1}, "innner_lr", "unknown field"),
        ({"dataset": "cifar"}, "dataset", "got 'cifar'"),
    ],
)
def test_what_cannot_be_is_refused_with_its_value_and_what_is_allowed(values, field, words):
    ((found, message),) = problems(**values)
    assert found == field
    assert words in message


def test_every_reason_is_given_at_once():
    assert [field for field, _ in problems(ways=1, shots=0, colour="red")] == ["ways", "shots", "colour"]


def test_the_data_set_has_no_default():
    with pytest.raises(ConfigError, match="dataset: required and not given"):
        resolve({})


def test_a_whole_number_serves_as_a_rate_and_is_the_same_config():
    assert resolve({"dataset": "omniglot", "outer_lr": 1}) == resolve({"dataset": "omniglot", "outer_lr": 1.0})


def test_evaluation_takes_as_many_steps_as_training_unless_told_otherwise():
    assert resolve({"dataset": "omniglot", "inner_steps": 7}).scored_steps == 7
    assert resolve({"dataset": "omniglot", "inner_steps": 7, "eval_steps": 3}).scored_steps == 3
