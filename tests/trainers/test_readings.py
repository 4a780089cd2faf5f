"""A class that begins with ReadingsTrainer: a whole trainer with packs and records of its own kind."""

from tests.plugs.toy_class import toy
from trainers.registry import checked
from trainers.state_file import State
from trainers.testing import check_growth, check_resume
from trainers.trainer import Task


def trained(*seeds, chunk_s=60):
    configs = [toy.resolve({"seed": seed}) for seed in seeds]
    return list(toy.train(Task(configs=configs, states=[toy.begun(config) for config in configs], chunk_s=chunk_s)))


def test_the_toy_is_a_whole_trainer():
    assert checked(toy, "toy_class.py:toy").name == "toy_class"


def test_it_grows_and_resumes_to_the_bit():
    check_growth(toy, {"seed": 3}, 2, 6)
    check_resume(toy, {"seed": 3})


def test_a_pack_trains_each_run_as_alone():
    (together,) = trained(1, 2)
    for run, seed in enumerate((1, 2)):
        (alone,) = trained(seed)
        assert together.runs[run] == alone.runs[0]
        assert together.states()[run] == alone.states()[0]


def test_its_own_kind_of_record_is_kept_in_a_checkpoint(tmp_path):
    (last,) = trained(1)
    (state,) = last.states()
    assert isinstance(state, State)
    toy.save_together([(tmp_path / "a", state)])
    found = toy.records_in((tmp_path / "a").read_bytes()[65:])
    assert [key for _, key, _ in found].count("weight") == 2
    assert toy.load(tmp_path / "a") == state
    assert toy.said("weight", {"w": 1.0}) == ""
