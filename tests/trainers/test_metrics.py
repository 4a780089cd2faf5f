"""Declared metrics: read from lists and mappings, kept as JSON, and measured values checked against them."""

import json
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainers.metrics import measured, metrics_as_json, metrics_of
from trainers.trainer import WHOLE, Metric, TrainerError

METRICS = {
    "accuracy": Metric(
        words="Accuracy", unit="%", better="higher", coordinates={"split": ("train", "val")}, least=0.0, most=1.0
    ),
    "loss": Metric(words="loss", better="lower"),
    "by_depth": Metric(words="by depth", coordinates={"depth": (WHOLE,), "head": ("a", WHOLE)}),
}


def test_names_alone_are_metrics():
    assert metrics_of(["train_loss"], "trainer fit") == {"train_loss": Metric(words="train loss")}
    assert metrics_of({"loss": None, "acc": {"better": "higher"}}, "trainer fit") == {
        "loss": Metric(words="loss"),
        "acc": Metric(words="acc", better="higher"),
    }


def test_the_empty_list_is_any_whole_number():
    (metric,) = metrics_of({"by_depth": {"coordinates": {"depth": []}}}, "trainer fit").values()
    assert metric.coordinates == {"depth": (WHOLE,)}


def test_metrics_survive_json():
    assert metrics_of(METRICS, "trainer fit") == METRICS
    assert metrics_of(json.loads(json.dumps(metrics_as_json(METRICS))), "stored") == METRICS


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("loss", "metrics must be a list of names"),
        ([], "metrics must be a list of names"),
        ({}, "metrics must be a list of names"),
        (None, "metrics must be a list of names"),
        ([1], "metrics must be a list of names"),
        ({"a/b": None}, "a metric may not be called 'a/b'"),
        ({"": None}, "a metric may not be called ''"),
        ({"loss": 3}, "metric loss: must be a mapping of words, axis"),
        ({"loss": {"word": "x"}}, "metric loss: unknown key 'word'; known are words"),
        ({"loss": {"words": 3}}, "metric loss: words must be one line"),
        ({"loss": {"words": "a\nb"}}, "metric loss: words must be one line"),
        ({"loss": {"better": "more"}}, "metric loss: better must be higher or lower, got 'more'"),
        ({"loss": {"least": math.nan}}, "metric loss: least must be a finite number, got nan"),
        ({"loss": {"least": 2, "most": 1}}, "metric loss: least 2.0 is more than most 1.0"),
        ({"loss": {"coordinates": ["split"]}}, "metric loss: coordinates must be a mapping"),
        ({"loss": {"coordinates": {"at": []}}}, "metric loss: a coordinate may not be called 'at'"),
        ({"loss": {"coordinates": {"split": "val"}}}, "metric loss: coordinate split must be a list of its values"),
        ({"loss": {"coordinates": {"split": ["a/b"]}}}, "metric loss: coordinate split has the value 'a/b'"),
        ({"loss": {"coordinates": {"split": [True]}}}, "metric loss: coordinate split has the value True"),
        (
            {"loss": {"coordinates": {"split": [1]}}},
            "metric loss: coordinate split has the value 1; a value is 1 to 64",
        ),
        ({"loss": {"coordinates": {"split": ["1", "1"]}}}, "metric loss: coordinate split has a value twice"),
    ],
)
def test_a_faulty_declaration_is_told_in_a_sentence(given, message):
    with pytest.raises(TrainerError) as caught:
        metrics_of(given, "trainer fit")
    assert str(caught.value).startswith(f"trainer fit: {message}")


@pytest.mark.parametrize(
    "value", [1, 0.5, np.float32(0.5), np.float64(0.5), np.int64(1), np.array(0.5), Fraction(1, 2)]
)
def test_every_kind_of_number_is_measured_as_a_float(value):
    found = measured("trainer fit", METRICS, 3, {"loss": value})
    assert found == {"loss": float(value)}
    assert type(found["loss"]) is float


def test_a_number_of_torch_is_measured_as_a_float():
    torch = pytest.importorskip("torch")
    assert measured("trainer fit", METRICS, 3, {"loss": torch.tensor(0.5, requires_grad=True)}) == {"loss": 0.5}


def test_coordinates_are_in_the_name():
    given = {"accuracy/val": 1, "accuracy/train": 0, "by_depth/12/1": -3, "by_depth/0/a": 0}
    assert measured("trainer fit", METRICS, 3, given) == given


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (0.5, "yielded 0.5; expected a mapping of metrics to numbers"),
        (None, "yielded None; expected a mapping of metrics to numbers; yield {} for a step"),
        ([("loss", 1)], "yielded [('loss', 1)]; expected a mapping"),
        ({"los": 1}, "metric 'los' is not declared; declared are accuracy, loss, by_depth"),
        ({3: 1}, "metric 3 is not declared"),
        ({"accuracy": 1}, "metric 'accuracy' must be named accuracy/SPLIT"),
        ({"loss/val": 1}, "metric 'loss/val' must be named loss"),
        ({"accuracy/test": 1}, "metric 'accuracy/test': split must be train, val, got 'test'"),
        ({"by_depth//a": 1}, "metric 'by_depth//a': depth must be a whole number from 0, got ''"),
        ({"by_depth/01/a": 1}, "metric 'by_depth/01/a': depth must be a whole number from 0, got '01'"),
        ({"by_depth/1/b": 1}, "metric 'by_depth/1/b': head must be a, a whole number from 0, got 'b'"),
        ({"loss": "0.5"}, "metric loss must be a number, got '0.5' (str)"),
        ({"loss": True}, "metric loss must be a number, got True (bool)"),
        ({"loss": np.bool_(True)}, "metric loss must be a number, got np.True_ (bool)"),
        ({"loss": None}, "metric loss must be a number, got None (NoneType)"),
        ({"loss": 1j}, "metric loss must be a number, got 1j (complex)"),
        ({"loss": np.zeros(1)}, "metric loss must be a number, got array([0.]) (ndarray)"),
        ({"loss": math.nan}, "metric loss must be a finite number, got nan; leave it out of this step"),
        ({"loss": -math.inf}, "metric loss must be a finite number, got -inf"),
        ({"loss": 10**400}, "metric loss must be a finite number, got inf"),
        ({"accuracy/val": 97.5}, "metric accuracy/val is 97.5, outside 0.0 to 1.0; a metric in % is measured as a"),
        ({"accuracy/val": -0.1}, "metric accuracy/val is -0.1, outside 0.0 to 1.0"),
    ],
)
def test_a_faulty_measurement_is_told_with_its_step(given, message):
    with pytest.raises(TrainerError) as caught:
        measured("trainer fit", METRICS, 3, given)
    assert str(caught.value).startswith(f"trainer fit: step 3: {message}")


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
KEYS = st.sampled_from(["words", "axis", "unit", "better", "coordinates", "least", "most", "measured"])


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.text("ab_/1", max_size=3), st.dictionaries(KEYS, JSON_VALUES) | JSON_VALUES) | JSON_VALUES)
def test_any_other_declaration_is_refused_or_survives_json(found):
    try:
        metrics = metrics_of(found, "trainer fit")
    except TrainerError as error:
        assert str(error).startswith("trainer fit: ")
    else:
        assert metrics_of(json.loads(json.dumps(metrics_as_json(metrics))), "stored") == metrics
