"""A search whose matrix chooses trainers: each cell has its trainer's space, metric and confirmation."""

import pytest

from sweeper.errors import SweepFileError
from sweeper.planning.searched import searches_of
from sweeper.sweepfile.sweep import load
from tests.sweeper.plugged import ENDLESS, TOY

SEVERAL = """\
version: 1
name: tuned
question: Which method is best after equal tuning?
fixed: {use: strokes, ways: 3, outer_steps: 9, steps: 9, eval_split: val, eval_every: 1, eval_episodes: 3}
matrix:
  method:
    MAML: {inner_steps: 1}
    ProtoNet: {trainer: protonet}
    mine: {trainer: toy.py:TOY}
seeds: 1
when: {inner_lr: {method: MAML}, outer_lr: {method: [MAML]}, lr: {method: ProtoNet}, rate: {method: mine}}
search:
  space:
    inner_lr: {log: [0.01, 1]}
    outer_lr: {log: [0.001, 0.1]}
    lr: {log: [0.001, 0.1]}
    rate: {uniform: [0.1, 0.9]}
  sampler: random
  trials: 9
  metric: {name: accuracy, split: val, head: trained, steps: inner_steps, better: higher,
    trainers: {toy: {name: error}}}
  rungs: {first: 1, factor: 3, last: 9}
  confirm: {best: 1, seeds: 2}
"""
PROTONET = """\
version: 1
name: alone
question: The same?
trainer: protonet
fixed: {use: strokes, ways: 3, outer_steps: 9, eval_split: val, eval_every: 1, eval_episodes: 3}
seeds: 1
search:
  space: {lr: {log: [0.001, 0.1]}}
  sampler: random
  trials: 9
  metric: {name: accuracy, split: val}
  rungs: {first: 1, factor: 3, last: 9}
"""


@pytest.fixture
def write(tmp_path):
    endless = ENDLESS[ENDLESS.index("@trainer") :].replace("TOY", "ENDLESS").replace('"toy"', '"endless"')
    (tmp_path / "toy.py").write_text(f"{TOY}\n\n{endless}")

    def written(*changes: tuple[str, str], text: str = SEVERAL):
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        path = tmp_path / "tuned.yaml"
        path.write_text(text)
        return load(path)

    return written


WITHOUT_MINE = (
    ("    mine: {trainer: toy.py:TOY}\n", ""),
    (", rate: {method: mine}", ""),
    ("    rate: {uniform: [0.1, 0.9]}\n", ""),
    (", better: higher,\n    trainers: {toy: {name: error}}}", "}"),
    (", steps: 9", ""),
    ("seeds: 2}", "seeds: 2, on: test}"),
)


def test_a_cell_searches_the_dimensions_of_its_trainer_with_the_same_number_of_proposals(write) -> None:
    maml, protonet, mine = searches_of(write())
    assert [one.name for one in maml.space] == ["inner_lr", "outer_lr"]
    assert [one.name for one in protonet.space] == ["lr"]
    assert [one.name for one in mine.space] == ["rate"]
    assert [one.metric.name for one in (maml, protonet, mine)] == [
        "val_accuracy/trained/inner_steps", "accuracy/val", "error",
    ]  # fmt: skip
    assert {one.spec.trials for one in (maml, protonet, mine)} == {9}
    spec = protonet.trial({"lr": 0.01}, 1)
    assert (spec.trainer.name, spec.target, spec.config.lr) == ("protonet", 3, 0.01)
    assert spec.labels == {"method": "ProtoNet", "inner_lr": "-", "outer_lr": "-", "lr": "0.01", "rate": "-"}
    assert spec.name() == "strokes · method ProtoNet · lr 0.01 · s0"


def test_each_search_has_the_id_and_the_trials_of_one_in_a_file_of_its_own(write) -> None:
    _, ours, _ = searches_of(write())
    (alone,) = searches_of(write(text=PROTONET))
    assert ours.search_id == alone.search_id
    assert ours.trial({"lr": 0.02}, 2).trial_id == alone.trial({"lr": 0.02}, 2).trial_id


def test_a_confirmation_measures_the_split_as_its_trainer_does(write) -> None:
    maml, protonet = searches_of(write(*WITHOUT_MINE))
    assert maml.confirmation({"inner_lr": 0.1, "outer_lr": 0.01}, 7).config.eval_split == "test"
    assert protonet.confirmation({"lr": 0.01}, 7).config.eval_split == "test"
    assert [one.metric for one in maml.spec.endpoint.each] == ["test_accuracy", "accuracy"]
    both = searches_of(write(*WITHOUT_MINE, ("eval_split: val", "eval_split: both")))[1]
    confirmed, searched = both.confirmation({"lr": 0.01}, 0), both.trial({"lr": 0.01}, 2)
    assert confirmed.trial_id == searched.trial_id  # as ever: both measures what on wants


SHORT = ("trainers: {toy: {name: error}}", "trainers: {}")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (
            [(", lr: {method: ProtoNet}", "")],
            "search.space.lr: trainer maml has no lr; let the dimension apply to the others alone, with when: "
            "{lr: {method: [ProtoNet]}}",
        ),
        ([("rate: {method: mine}", "rate: {method: MAML}")], "trainer maml has no rate; let the dimension apply"),
        (
            [("rate: {method: mine}", "rate: {method: MAML}")],
            "no dimension applies at method mine, so there is nothing to search; let one apply there",
        ),
        ([("rate: {method: mine}", "rate: {lr: 0.1}")], "when.rate.lr: lr is searched, and what is searched in a cell"),
        ([("rate: {method: mine}", "rat: {method: mine}")], "when.rat: unknown axis; did you mean 'rate'?"),
        (
            [SHORT],
            "search.metric.name: 'accuracy' on split 'val' is no metric of toy: loss, error; give what it is compared "
            "by in search.metric.trainers",
        ),
        ([("{toy: {name", "{toi: {name")], "search.metric.trainers.toi: no trainer of this sweep; did you mean 'toy'?"),
        (
            [("{name: error}", "{name: error, better: lower}")],
            "search.metric.trainers.toy.better: is the same for all trainers; give it above",
        ),
        (
            [("{name: error}", "{name: loss}")],
            "val_accuracy of maml is in %, but loss of toy has no unit; read numbers of one unit",
        ),
        ([("steps: inner_steps,", "steps: inner_steps, hed: 1,")], "search.metric.hed: unknown key; did you mean"),
        (
            [(" better: higher,", "")],
            "search.metric.name: error says itself neither; write better: higher or better: lower",
        ),
        (
            [("eval_every: 1,", "eval_every: 9,")],
            "search.rungs: no evaluation is made at step 1, because eval_every is 9 (at strokes · method ProtoNet)",
        ),
        (
            [("toy.py:TOY", "toy.py:ENDLESS")],
            "search.rungs: trainer endless has no length, so no trial can go on to a longer one",
        ),
        (
            [("seeds: 2}", "seeds: 2, on: test}")],
            "search.confirm.on: trainer toy measures no error on split 'test'",
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(write, changes, says) -> None:
    with pytest.raises(SweepFileError) as caught:
        searches_of(write(*changes))
    assert says in str(caught.value)
