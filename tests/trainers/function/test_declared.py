"""What a function declares: its config, its metrics and its decorator, and what is said of mistakes in them."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import annotated_types
import pytest
from pydantic import BaseModel, model_validator

from tests.trainers.function.made import chunks, made
from trainers.function.decorator import trainer
from trainers.registry import find
from trainers.trainer import (
    ConfigError,
    Metric,
    Reference,
    TrainerError,
    Wanted,
)


def test_values_that_do_not_go_together_are_told_with_the_field_that_they_name():
    @dataclass
    class Pair:
        low: float = 0.0
        high: float = 1.0
        seed: int = 0

        def __post_init__(self):
            if self.low > self.high:
                raise ValueError(f"high: {self.high} is less than low")

    def fit(config):
        yield {}

    plug = made(fit, config=Pair, length=None)
    with pytest.raises(ConfigError) as caught:
        plug.resolve({"low": 2})
    assert caught.value.problems == (("high", "high: 1.0 is less than low"),)


def test_the_validators_of_a_pydantic_model_hold():
    class Own(BaseModel):
        kinds: ClassVar[int] = 3
        even: Annotated[int, annotated_types.MultipleOf(2)] = 2
        low: int = 0
        seed: int = 0

        @model_validator(mode="after")
        def _ordered(self):
            if self.low > self.even:
                raise ValueError("low is more than even")
            return self

    def fit(config):
        assert isinstance(config, Own)
        yield {"loss": config.even}

    plug = made(fit, config=Own, length=None)
    assert [chunk.step for chunk in chunks(plug, {"even": 4})] == [1, 1]
    with pytest.raises(ConfigError, match="even: should be a multiple of 2, got 3"):
        plug.resolve({"even": 3})
    with pytest.raises(ConfigError, match="low is more than even"):
        plug.resolve({"low": 3})


def test_a_config_class_with_a_bug_is_told():
    @dataclass
    class Broken:
        seed: int = 0

        def __post_init__(self):
            self.missing.append(1)

    def fit(config):
        yield {}

    with pytest.raises(TrainerError, match=r"trainer fit: Broken can't be made of \{'seed': 0\} \(AttributeError"):
        made(fit, config=Broken, length=None).resolve({})


def test_what_is_never_measured_is_told():
    def fit(config):
        yield {}

    plug = made(fit, metrics={"accuracy": Metric(words="Accuracy", coordinates={"split": ("train", "val")})})
    config = plug.resolve({})
    assert list(plug.unmeasured(config, Wanted("accuracy", {"split": "val"}, "last", 1))) == []
    assert list(plug.unmeasured(config, Wanted("accuracy", {}, (5, 9), 1))) == [
        ("split", "accuracy is measured for each split; say which of train, val"),
        ("at", "step 9 is never reached, because steps is 5"),
    ]
    assert list(plug.unmeasured(config, Wanted("accuracy", {"split": "test"}, "last", 1))) == [
        ("split", "test is never measured; split is train, val")
    ]
    assert list(plug.unmeasured(config, Wanted("loss", {}, "last", 1))) == [
        ("metric", "loss is no metric of fit; it has accuracy")
    ]


class Nothing:
    pass


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: trainer(lambda config: 1), "write @trainer(metrics=[...])"),
        (lambda: made(lambda config: 1, metrics=[]), "trainer <lambda>: metrics must be a list of names"),
        (lambda: made(3), "@trainer(...) stands before a function, got 3"),
        (lambda: made(lambda: 1), "the function must take a config"),
        (lambda: made(lambda *configs: 1), "the function must take a config"),
        (lambda: made(lambda config, data: 1), "the function takes data; only a config and a state are given to it"),
        (
            lambda: made(lambda config: 1, config=Nothing),
            "its config must be a dataclass or a pydantic model, got <class",
        ),
        (lambda: made(lambda config: 1, config=None), "config has no type; write config: Config"),
        (lambda: made(lambda config: 1, length="rate"), "length names 'rate', which is no field of type int"),
        (lambda: made(lambda config: 1, name=""), "name must be one line"),
        (lambda: made(lambda config: 1, name="a\nb"), "name must be one line"),
    ],
)
def test_what_can_not_be_a_trainer_is_told_at_once(make, message):
    with pytest.raises(TrainerError) as caught:
        make()
    assert str(caught.value).startswith("trainer")
    assert message in str(caught.value)


def test_a_type_that_can_not_be_read_is_told():
    def fit(config: "Absent"):  # noqa: F821
        yield {}

    with pytest.raises(TrainerError, match=r"the type of config can't be read .*; give it as @trainer\(config"):
        made(fit, config=None)


def test_a_file_whose_decorator_refuses_is_told_in_its_words(tmp_path):
    (tmp_path / "odd.py").write_text(
        "from dataclasses import dataclass\nfrom sweeper import trainer\n\n\n@dataclass\nclass Config:\n"
        "    layers: list = None\n    seed: int = 0\n\n\n@trainer(metrics=['loss'])\n"
        "def fit(config: Config):\n    yield {}\n"
    )
    with pytest.raises(TrainerError) as caught:
        find(Reference("odd.py:fit", str(tmp_path)))
    assert str(caught.value).endswith("that a sweep file can give its values")
    assert "can't be imported: trainer fit: field layers: list is no plain type" in str(caught.value)
