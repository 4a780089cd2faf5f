"""What a plug raises or returns by mistake is one sentence with the trainer and the member."""

import pytest

from tests.sweeper.plugged import PACKED
from trainers.guarded import ANSWERS
from trainers.maml.trainer import MAML
from trainers.registry import find
from trainers.trainer import DEFAULT, MEMBERS, ConfigError, Reference, TrainerError
from trainers.tuned import TUNED, Tuned, kernels

ARGUMENTS = {"code": 0, "engines": 1, "engine": 2, "cannot_treat": 3, "prepare": 2, "unmeasured": 2, "said": 2,
             "progress": 2, "outcome": 2}  # fmt: skip


def found(tmp_path, more=""):
    (tmp_path / "own.py").write_text(f"{PACKED}\n\n{more}\n")
    return find(Reference("own.py:TOY", str(tmp_path)))


def asked(trainer, name):
    arguments = [{}] if name == "resolve" else [None] * ARGUMENTS.get(name, 1)
    return getattr(trainer, name)(*arguments, **({"all_of_them": True} if name == "points" else {}))


@pytest.mark.parametrize("name", ["resolve", *ANSWERS])
def test_an_error_of_any_kind_is_told_with_its_line(tmp_path, name):
    more = f"def bad(*a, **k):\n    raise KeyError('boom')\n\n\nOwn.{name} = bad"
    with pytest.raises(TrainerError, match=rf"^trainer own: {name} raised KeyError: 'boom' \(own.py, line \d+\)$"):
        asked(found(tmp_path, more), name)


@pytest.mark.parametrize("name", ["resolve", *ANSWERS])
def test_an_answer_of_another_type_is_told_with_what_is_expected(tmp_path, name):
    wrong = "{}.keys()" if name != "point_in" else "[]"
    with pytest.raises(TrainerError, match=rf"^trainer own: {name} must return .*, got "):
        asked(found(tmp_path, f"Own.{name} = lambda *a, **k: {wrong}"), name)


def test_what_a_member_may_raise_passes(tmp_path):
    more = """
def no(*a, **k):
    raise ValueError("not here")


Own.engine = Own.records_in = no
"""
    trainer = found(tmp_path, more)
    for name in ("engine", "records_in"):
        with pytest.raises(ValueError, match=r"^not here$"):
            asked(trainer, name)
    with pytest.raises(ConfigError):
        trainer.resolve({"rate": "high"})


def test_right_answers_pass_as_they_are(tmp_path):
    trainer = found(tmp_path)
    config = trainer.resolve({})
    assert (trainer.recipe(config), trainer.dataset(config), trainer.engines("cpu")) == ({}, "", ("python",))
    assert trainer.progress("readings", {"loss": 0.5}) == 0.5
    assert all(hasattr(trainer, member) for member in MEMBERS)


def test_a_generator_that_fails_when_it_is_read_is_told_too(tmp_path):
    more = "def bad(*a):\n    yield ('key', 'why')\n    raise KeyError('boom')\n\n\nOwn.unmeasured = bad"
    with pytest.raises(TrainerError, match=r"^trainer own: unmeasured raised KeyError: 'boom'"):
        asked(found(tmp_path, more), "unmeasured")


def test_a_tuned_plug_stays_one_and_others_are_none(tmp_path):
    assert not isinstance(found(tmp_path), Tuned) and kernels(found(tmp_path), "python") == {}
    members = "\n".join(f"Own.{name} = lambda self, *a: {{'compiler': '1'}}" for name in TUNED if name != "modules")
    tuned = found(tmp_path, f"Own.modules = ('json',)\n{members}")
    assert set(TUNED) <= vars(tuned).keys()  # where Python 3.12 and later look
    assert isinstance(tuned, Tuned) and kernels(tuned, "python") == {"compiler": "1"}


def test_maml_is_not_guarded():
    assert find(Reference(DEFAULT, "")) is MAML


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("Own.packable = None", "its members can't be read: TypeError"),
        ("Own.metrics = ['loss']", "its members can't be read: AttributeError"),
        ("class Config(BaseModel):\n    rate: list[float] = [0.5]\n    steps: int = 4\n    seed: int = 0\n\n\n"
         "Own.config = Config", "field rate: .* is no plain type"),
    ],
)  # fmt: skip
def test_members_that_can_not_be_read_are_told_when_the_trainer_is_found(tmp_path, more, said):
    with pytest.raises(TrainerError, match=said):
        found(tmp_path, more)
