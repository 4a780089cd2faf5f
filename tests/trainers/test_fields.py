"""Descriptions of fields: read from classes, sweep files and JSON, and the models that they describe."""

import dataclasses
import json
import math
from dataclasses import dataclass, field
from enum import Enum
from typing import Annotated, Literal

import annotated_types
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, PositiveInt
from pydantic import Field as PydanticField

from trainers.fields import REQUIRED, Field, fields_as_json, fields_from_mapping, fields_of, model_of, resolve
from trainers.plain_fields import FURTHEST, plain_fields
from trainers.trainer import ConfigError, TrainerError


@dataclass
class Fit:
    rate: float
    layers: int = field(default=2, metadata={"ge": 1, "description": "layers of the network"})
    decay: float | None = None
    bounded: Annotated[float, annotated_types.Interval(gt=0, le=1)] = 1
    kind: Literal["a", "b"] = "a"
    width: Literal[1, 2, None] = None
    deep: bool = False
    note: Annotated[str, PydanticField(description="a remark")] = ""


class FitModel(BaseModel):
    rate: float
    layers: int = PydanticField(2, ge=1, description="layers of the network")
    decay: float | None = None
    bounded: Annotated[float, PydanticField(gt=0, le=1)] = 1
    kind: Literal["a", "b"] = "a"
    width: Literal[1, 2] | None = None
    deep: bool = False
    note: str = PydanticField("", description="a remark")


FIT = {
    "rate": Field(type="float"),
    "layers": Field(type="int", default=2, ge=1, description="layers of the network"),
    "decay": Field(type="float", nullable=True, default=None),
    "bounded": Field(type="float", default=1.0, gt=0, le=1),
    "kind": Field(type="str", default="a", choices=("a", "b")),
    "width": Field(type="int", nullable=True, default=None, choices=(1, 2)),
    "deep": Field(type="bool", default=False),
    "note": Field(type="str", default="", description="a remark"),
}


@pytest.mark.parametrize("config", [Fit, FitModel])
def test_a_class_and_its_description_say_the_same(config):
    assert fields_of(config, "trainer fit") == FIT


def test_a_description_survives_json_and_its_own_model():
    assert fields_from_mapping(json.loads(json.dumps(fields_as_json(FIT))), "file") == FIT
    assert fields_of(model_of("Fit", FIT), "model") == FIT


def test_a_type_alone_describes_a_field():
    assert fields_from_mapping({"lr": "float"}, "file") == {"lr": Field(type="float")}


def test_the_model_is_strict_and_frozen():
    model = model_of("Fit", FIT)
    config = resolve(model, {"rate": 1, "layers": 3})
    assert (config.rate, type(config.rate), config.bounded, type(config.bounded)) == (1.0, float, 1.0, float)
    with pytest.raises(Exception, match="frozen"):
        config.rate = 2.0


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({}, ("rate", "required and not given")),
        ({"rate": 1, "speed": 2}, ("speed", "unknown field")),
        ({"rate": "1"}, ("rate", "should be a valid number, got '1'")),
        ({"rate": True}, ("rate", "should be a valid number, got True")),
        ({"rate": math.nan}, ("rate", "should be a finite number, got nan")),
        ({"rate": math.inf}, ("rate", "should be a finite number, got inf")),
        ({"rate": 1, "layers": 0}, ("layers", "should be greater than or equal to 1, got 0")),
        ({"rate": 1, "layers": 2.0}, ("layers", "should be a valid integer, got 2.0")),
        ({"rate": 1, "layers": None}, ("layers", "should be a valid integer, got None")),
        ({"rate": 1, "kind": "c"}, ("kind", "should be 'a' or 'b', got 'c'")),
        ({"rate": 1, "width": 3}, ("width", "should be 1 or 2, got 3")),
        ({"rate": 1, "note": "x" * 2001}, ("note", f"String should have at most 2000 characters, got {'x' * 0}")),
    ],
)
def test_a_value_that_is_not_allowed_is_told_with_its_field(values, problem):
    with pytest.raises(ConfigError) as caught:
        resolve(model_of("Fit", FIT), values)
    (found,) = caught.value.problems
    assert found.field == problem[0]
    assert found.message.startswith(problem[1].removesuffix("got "))


def test_every_fault_is_told_at_once():
    with pytest.raises(ConfigError) as caught:
        resolve(model_of("Fit", FIT), {"layers": 0, "deep": 1})
    assert [problem.field for problem in caught.value.problems] == ["rate", "layers", "deep"]


def test_minus_zero_is_zero_and_true_is_no_choice_of_one():
    model = model_of("M", {"rate": Field(type="float"), "n": Field(type="int", default=1, choices=(0, 1))})
    assert math.copysign(1, resolve(model, {"rate": -0.0}).rate) == 1
    with pytest.raises(ConfigError, match="should be a valid integer, got True"):
        resolve(model, {"rate": 1, "n": True})


def test_numbers_with_a_point_can_be_choices():
    model = model_of("M", {"rate": Field(type="float", choices=(0.1, 1.0))})
    assert resolve(model, {"rate": 1}).rate == 1.0
    with pytest.raises(ConfigError, match=r"should be 0\.1 or 1\.0, got 0\.2"):
        resolve(model, {"rate": 0.2})


@pytest.mark.parametrize("name", ["copy", "json", "lambda", "class", "schema", "model", "model_size", "x" * 64])
def test_a_field_may_have_any_usual_name(name):
    config = resolve(model_of("M", fields_from_mapping({name: "int"}, "file")), {name: 3})
    assert vars(config) == {name: 3}
    assert config.model_copy(update={name: 4}).model_dump() == {name: 4}


class Colour(Enum):
    RED = 1


@pytest.mark.parametrize(
    "annotation", [list[int], dict[str, int], tuple[int, int], int | str, bytes, complex, Colour, Fit, object, None]
)
def test_a_type_that_a_sweep_file_can_not_give_is_refused(annotation):
    config = dataclasses.make_dataclass("Config", [("odd", annotation)])
    with pytest.raises(TrainerError, match=r"^trainer fit: field odd: .* is no plain type; use int, float"):
        fields_of(config, "trainer fit")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], "fields must be a mapping of names"),
        ({"lr": 3}, "field lr: must be a mapping"),
        ({"lr": {}}, "field lr: type must be int, float, str, bool, got None"),
        ({"lr": "number"}, "field lr: type must be int, float, str, bool, got 'number'"),
        ({"lr": {"type": "float", "min": 0}}, "field lr: unknown key 'min'; known are type, nullable"),
        ({"lr": {"type": "float", "default": "0.1"}}, "field lr: default: should be a valid number, got '0.1'"),
        ({"lr": {"type": "float", "gt": 0, "default": 0}}, "field lr: default: should be greater than 0, got 0"),
        ({"lr": {"type": "float", "ge": "0"}}, "field lr: ge: should be a valid number, got '0'"),
        ({"lr": {"type": "float", "ge": math.nan}}, "field lr: ge: should be a finite number"),
        ({"lr": {"type": "str", "ge": 0}}, "field lr: ge is for numbers, and its type is str"),
        ({"lr": {"type": "int", "ge": 5, "le": 3}}, "field lr: >= 5 and <= 3 leave no value"),
        ({"lr": {"type": "int", "gt": 3, "le": 3}}, "field lr: > 3 and <= 3 leave no value"),
        ({"lr": {"type": "int", "choices": []}}, "field lr: choices must be a list of 1 to 1000 values"),
        ({"lr": {"type": "int", "choices": [1, "2"]}}, "field lr: choices: should be a valid integer, got '2'"),
        ({"lr": {"type": "int", "choices": [1, 1]}}, "field lr: choice 1 is given twice"),
        ({"lr": {"type": "int", "choices": [1], "ge": 0}}, "field lr: has choices and bounds"),
        ({"lr": {"type": "int", "choices": [1], "default": 2}}, "field lr: default: should be 1, got 2"),
        ({"lr": {"type": "int", "nullable": "yes"}}, "field lr: nullable must be true or false"),
        ({"lr": {"type": "int", "description": 3}}, "field lr: description must be a text"),
        ({"lr": {"type": ["int"]}}, "field lr: type must be"),
        ({"use": "int"}, "a field may not be called 'use'"),
        ({"model_dump": "int"}, "a field may not be called 'model_dump'"),
        ({"learning rate": "int"}, "a field may not be called 'learning rate'"),
        ({"": "int"}, "a field may not be called ''"),
        ({3: "int"}, "a field may not be called 3"),
        ({f"f{n}": "int" for n in range(1001)}, "1001 fields; at most 1000"),
    ],
)
def test_a_faulty_description_is_told_in_a_sentence(given, message):
    with pytest.raises(TrainerError) as caught:
        fields_from_mapping(given, "trainer fit")
    assert str(caught.value).startswith(f"trainer fit: {message}")
    assert len(str(caught.value)) < 700


def test_a_default_that_is_made_anew_or_an_alias_is_refused():
    made = dataclasses.make_dataclass("Config", [("n", int, field(default_factory=int))])
    with pytest.raises(TrainerError, match="field n: has a default_factory"):
        fields_of(made, "trainer fit")

    class Renamed(BaseModel):
        n: int = PydanticField(1, alias="m")

    with pytest.raises(TrainerError, match="field n: has an alias"):
        fields_of(Renamed, "trainer fit")
    for config in (dict, 3, "Config"):
        with pytest.raises(TrainerError, match="must be a dataclass or a pydantic model"):
            fields_of(config, "trainer fit")


def test_the_seed_has_a_default_and_the_length_has_limits():
    class Own(BaseModel):
        seed: int
        steps: PositiveInt = 10

    found = plain_fields("trainer fit", fields_of(Own, "trainer fit"), "steps")
    assert found["seed"].default == 0
    assert found["steps"] == Field(type="int", default=10, ge=1, le=FURTHEST)


@pytest.mark.parametrize(
    ("given", "length", "message"),
    [
        ({"lr": "float"}, None, "needs a field seed of type int"),
        ({"seed": "float"}, None, "needs a field seed of type int"),
        ({"seed": {"type": "int", "nullable": True}}, None, "needs a field seed of type int"),
        ({"seed": "int"}, "steps", "length names 'steps', which is no field of type int"),
        ({"seed": "int", "steps": "float"}, "steps", "length names 'steps'"),
        ({"seed": "int"}, "seed", "length names 'seed'"),
    ],
)
def test_a_trainer_without_seed_or_length_is_refused(given, length, message):
    with pytest.raises(TrainerError, match=message):
        plain_fields("trainer fit", fields_from_mapping(given, "trainer fit"), length)


NUMBERS = {
    "int": st.integers(-(10**20), 10**20),
    "float": st.floats(allow_nan=False, allow_infinity=False).map(lambda value: value + 0.0),
    "str": st.text(st.characters(codec="utf-8"), max_size=20),
    "bool": st.booleans(),
}


@st.composite
def fields(draw):
    kind = draw(st.sampled_from(list(NUMBERS)))
    values = NUMBERS[kind]
    found = {"type": kind, "nullable": draw(st.booleans()), "description": draw(st.text("abc", max_size=5))}
    how = draw(st.sampled_from(["free", "choices", "bounds"]))
    if how == "choices":
        found["choices"] = tuple(draw(st.lists(values, min_size=1, max_size=4, unique=True)))
        values = st.sampled_from(found["choices"])
    elif how == "bounds" and kind in ("int", "float"):
        low, high = sorted([draw(values), draw(values)])
        if low < high:
            low_name, high_name = draw(st.sampled_from(["ge", "gt"])), draw(st.sampled_from(["le", "lt"]))
            found |= {low_name: low, high_name: high}
            values = values.filter(
                lambda one: (
                    (low < one or (low_name == "ge" and one == low))
                    and (one < high or (high_name == "le" and one == high))
                )
            )
            if kind == "int":
                values = st.integers(low + 1, high - 1) if high - low > 1 else st.nothing()
    if not values.is_empty and draw(st.booleans()):
        found["default"] = None if found["nullable"] and draw(st.booleans()) else draw(values)
    return Field(**found)


@settings(max_examples=25, deadline=None)
@given(
    st.dictionaries(
        st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True).filter(lambda n: n != "use"), fields(), max_size=3
    )
)
def test_any_description_survives_json_and_its_own_model(described):
    stored = json.loads(json.dumps(fields_as_json(described)))
    assert fields_from_mapping(stored, "stored") == described
    assert fields_of(model_of("M", described), "model") == described
    given = {name: one.default for name, one in described.items() if one.default is not REQUIRED}
    model = model_of("M", {name: one for name, one in described.items() if name in given})
    assert vars(resolve(model, {})) == given


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
KEYS = st.sampled_from(["type", "nullable", "default", "ge", "gt", "le", "lt", "choices", "description"])


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.text("ab_ 1", max_size=3), st.dictionaries(KEYS, JSON_VALUES) | JSON_VALUES) | JSON_VALUES)
def test_any_other_description_is_refused_or_understood(found):
    try:
        model_of("M", fields_from_mapping(found, "trainer fit"))
    except TrainerError as error:
        assert str(error).startswith("trainer fit: ")
