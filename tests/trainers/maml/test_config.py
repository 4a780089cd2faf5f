"""Configs that can't be are refused before anything is loaded, with every reason, the value and what is allowed."""

import json
import subprocess
import sys

import pytest

from trainers.maml.config import resolve
from trainers.trainer import ConfigError

EXPLICIT = {"algorithm": "contrastive", "order": "first"}


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
        ({"algorithm": "sgd"}, "algorithm", "'maml', 'anil', 'contrastive', 'boil', 'reptile' or 'imaml', got 'sgd'"),
        ({"order": True}, "order", "'first' or 'second', got True"),
        ({"inner_steps": 2.0}, "inner_steps", "got 2.0"),
        ({"eval_split": "val"}, "eval_split", "has no validation classes; use test, or omniglot_split 1028/172/423"),
        ({"dataset": "strokes", "omniglot_split": "1028/172/423"}, "omniglot_split", "has no meaning for strokes"),
        ({"innner_lr": 0.1}, "innner_lr", "unknown field"),
        ({"dataset": "cifar"}, "dataset", "got 'cifar'"),
        ({"outer_lr": 0.0}, "outer_lr", "greater than 0, got 0.0"),
        ({"bn_eps": 0.0}, "bn_eps", "greater than 0, got 0.0"),
        (EXPLICIT | {"inner_steps": 0}, "inner_steps", "0, but contrastive in first order needs at least 1"),
        (EXPLICIT | {"order": "second", "inner_steps": 2}, "inner_steps", "2, but contrastive in second order needs"),
        (EXPLICIT | {"order": "second", "inner_steps": 0}, "inner_steps", "needs exactly 1"),
        (EXPLICIT | {"loss": "squared_error"}, "loss", "squared_error, but contrastive is derived from cross_entropy"),
        ({"interference": False}, "interference", "false is only for algorithm contrastive"),
        ({"coefficient": "reduced"}, "coefficient", "'reduced' is only for algorithm contrastive"),
        ({"algorithm": "anil", "second_order_form": "printed"}, "second_order_form", "'printed' is only for algorithm"),
        (
            {"algorithm": "anil", "head_update": "released"},
            "head_update",
            "'released' is only for algorithm contrastive",
        ),
        ({"dataset": "mini_imagenet", "rotations": True}, "rotations", "a rotated photograph is not a new class"),
        (
            {"rotations": True, "label_rule": "groups"},
            "rotations",
            "rotations need label_rule random, and it is groups",
        ),
        ({"rotations": True, "label_rule": "consecutive"}, "rotations", "random, and it is consecutive"),
        (
            {"dataset": "mini_imagenet", "train_split": "test", "ways": 21},
            "ways",
            "21 ways, but mini_imagenet has a split of 20 classes",
        ),
        ({"train_split": "val"}, "train_split", "'train' or 'test', got 'val'"),
        ({"label_rule": "fixed"}, "label_rule", "'random', 'groups' or 'consecutive', got 'fixed'"),
        ({"loss": "hinge"}, "loss", "got 'hinge'"),
        ({"probe_episodes": 0}, "probe_episodes", "greater than or equal to 1, got 0"),
        ({"probe_every": -1}, "probe_every", "greater than or equal to 0, got -1"),
        ({"probe_first": -1, "probe_every": 10}, "probe_first", "greater than or equal to 0, got -1"),
        ({"probe_first": 1}, "probe_first", "1, but probe_every is 0, so no probe is ever taken"),
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


@pytest.mark.parametrize(
    "values",
    [
        EXPLICIT,
        EXPLICIT | {"inner_steps": 7, "interference": False, "coefficient": "reduced", "head_update": "released"},
        {"algorithm": "contrastive", "order": "second", "inner_steps": 1, "second_order_form": "printed"},
        {"rotations": True},
        {"dataset": "strokes", "rotations": True, "episode_pool": 9},
        {"dataset": "mini_imagenet", "label_rule": "groups"},
        {"dataset": "mini_imagenet", "train_split": "test", "ways": 20},
        {"algorithm": "anil", "loss": "squared_error", "inner_steps": 0},
        {"dataset": "mini_imagenet", "shots": 25},
        {"ways": 20, "shots": 5},
    ],
    ids=str,
)
def test_what_the_paper_does_is_allowed(values):
    config = resolve({"dataset": "omniglot"} | values)
    assert values.items() <= config.model_dump().items()


def test_several_impossible_combinations_are_given_at_once():
    found = problems(algorithm="contrastive", inner_steps=2, loss="squared_error", ways=500, shots=9)
    assert [field for field, _ in found] == ["inner_steps", "loss", "shots", "ways"]


def test_a_config_is_refused_with_nothing_of_weight_loaded():
    refused = [
        EXPLICIT | {"inner_steps": 0},
        {"algorithm": "contrastive", "order": "second", "inner_steps": 2},
        EXPLICIT | {"loss": "squared_error"},
        {"interference": False},
        {"dataset": "mini_imagenet", "rotations": True},
        {"outer_lr": 0.0},
        {"inner_lr": -1.0},
        {"dataset": "mini_imagenet", "train_split": "test", "ways": 21},
        {"shots": 6},
        {"algorithm": "sgd"},
        {"algorithm": "reptile"},
    ]
    program = f"""
import json, sys
from trainers.maml.config import resolve
from trainers.trainer import ConfigError
refused = 0
for values in {refused!r}:
    try:
        resolve({{"dataset": "omniglot"}} | values)
    except ConfigError:
        refused += 1
heavy = ("torch", "numpy", "PIL", "ray", "mlflow")
print(json.dumps([refused, [name for name in heavy if name in sys.modules]]))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [len(refused), []]
