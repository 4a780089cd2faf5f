"""A trainer as stored data plans and names as the trainer itself does, trains nothing, and is refused when hostile."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.plugs.toy_function import toy
from trainers.described import describe, from_description
from trainers.maml.trainer import MAML
from trainers.trainer import MEMBERS, ConfigError, Metric, Task, TrainerError, Wanted

TOY = describe(toy)


def stored(trainer):
    return from_description(json.loads(json.dumps(describe(trainer))))


def test_a_description_describes_itself():
    assert describe(stored(toy)) == TOY


def test_it_has_every_member():
    assert not {name for name in MEMBERS if not hasattr(stored(toy), name)}


def test_it_resolves_as_the_trainer_itself():
    config = stored(toy).resolve({"lr": 1, "seed": 3})
    assert config.model_dump() == toy.resolve({"lr": 1, "seed": 3}).model_dump()
    with pytest.raises(ConfigError, match="lr: should be a valid number"):
        stored(toy).resolve({"lr": "1"})


def test_the_first_trainer_can_be_described_too():
    trainer = stored(MAML)
    assert (trainer.name, trainer.length, trainer.packable) == ("maml", "outer_steps", MAML.packable)
    assert trainer.metrics == MAML.metrics
    assert trainer.protocols == MAML.protocols
    assert set(trainer.records) == set(MAML.records)
    forms = {name: form.model_json_schema() for name, form in MAML.records.items()}
    assert {name: form.model_json_schema() for name, form in trainer.records.items()} == forms
    assert "query_loss" in forms["training"]["properties"]
    values = MAML.protocols["omniglot"]
    assert trainer.resolve(values).model_dump() == MAML.resolve(values).model_dump()


def test_it_names_metrics_and_what_is_never_measured():
    trainer = stored(toy)
    assert trainer.metrics["loss"] == Metric(words="loss", better="lower")
    config = trainer.resolve({"steps": 10})
    assert list(trainer.unmeasured(config, Wanted("loss", {}, (10,), 1))) == []
    assert list(trainer.unmeasured(config, Wanted("loss", {"split": "val"}, (11,), 1))) == [
        ("split", "loss has no coordinate split; it has no coordinates"),
        ("at", "step 11 is never reached, because steps is 10"),
    ]


def test_it_reads_the_records_of_checkpoints(tmp_path):
    config = toy.resolve({"steps": 3})
    *_, chunk = toy.train(Task(configs=[config], states=[toy.begun(config)]))
    (state,) = chunk.states()
    toy.save_together([(tmp_path / "state", state)])
    found = stored(toy).records_in((tmp_path / "state").read_bytes()[65:])
    assert [step for step, _, _ in found] == [1, 2, 3]
    assert stored(toy).point_in(tmp_path / "state") == toy.point_in(tmp_path / "state")


def test_it_refuses_to_train():
    trainer = stored(toy)
    config = trainer.resolve({})
    state = trainer.begun(config)
    with pytest.raises(TrainerError, match="trainer toy: only its description is here, so it can't train; put its"):
        trainer.train(Task(configs=[config], states=[state]))
    with pytest.raises(ValueError, match="only its description is here"):
        trainer.engine(config, "cpu")
    assert "only its description" in trainer.cannot_treat("python", config, "cpu")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"name": ""}, "name must be one line of text"),
        ({"name": 3}, "name must be one line of text"),
        ({"name": "a\nb"}, "name must be one line of text"),
        ({"form": 2}, "form must be 1, got 2; a newer sweeper may read it"),
        ({"form": True}, "form must be 1, got True"),
        ({"code": "import os"}, "must have the keys form, name"),
        ({"length": 3}, "length must be the name of a field or null"),
        ({"length": "lr"}, "length names 'lr', which is no field of type int"),
        ({"resumes": 1}, "resumes must be true or false"),
        ({"fields": {}}, "needs a field seed of type int"),
        ({"fields": None}, "fields must be a mapping"),
        ({"packable": ["speed"]}, "packable names 'speed', which is no field"),
        ({"packable": "seed"}, "packable must be a list of names"),
        ({"packable": [["seed"]]}, "packable must be a list of names"),
        ({"metrics": {}}, "metrics must be a list of names"),
        ({"records": [1]}, "records must be a mapping of names to JSON schemas"),
        ({"records": {"weight": 1}}, "the form of records weight must be a JSON schema of at most"),
        ({"records": {"weight": {"title": "x" * 100_000}}}, "the form of records weight must be a JSON schema of at"),
        ({"protocols": []}, "protocols must be a mapping"),
        ({"protocols": {"fast": {"speed": 1}}}, "protocol 'fast' must map fields to values"),
        ({"protocols": {"fast": {"lr": [1]}}}, "protocol 'fast' has a value that is not plain"),
    ],
)
def test_a_hostile_description_is_refused_in_a_sentence(changed, message):
    with pytest.raises(TrainerError, match="description of ") as caught:
        from_description(TOY | changed)
    assert message in str(caught.value)
    assert len(str(caught.value)) < 700


@pytest.mark.parametrize("given", [None, [], "toy", 3, {}])
def test_what_is_no_description_is_refused(given):
    with pytest.raises(TrainerError, match="description of a trainer"):
        from_description(given)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(list(TOY)), JSON_VALUES)
def test_any_other_description_is_refused_or_describes_itself(key, value):
    try:
        trainer = from_description(TOY | {key: value})
    except TrainerError as error:
        assert str(error).startswith("description of ")
    else:
        again = json.loads(json.dumps(describe(trainer)))
        assert describe(from_description(again)) == again
