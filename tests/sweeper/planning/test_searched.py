"""The searches of a sweep: what their ids depend on, and the trials of their points."""

import pytest

from sweeper.planning.searched import searches_of
from sweeper.sweepfile.sweep import load
from tests.sweeper.search.hunt import search_in, write_hunt

MAML = """\
version: 1
name: tuned
question: Which rates are best?
fixed: {use: strokes, outer_steps: 90, eval_split: val}
seeds: 1
search:
  space: {inner_lr: {log: [0.01, 1]}, inner_steps: {int: [1, 3]}, zeroing: {none: {}, every step: {zero_head_every: 1}}}
  sampler: sobol
  trials: 9
  metric: {name: accuracy, split: val, head: zeroed, steps: inner_steps}
  rungs: {first: 10, factor: 3, last: 90}
  confirm: {best: 2, seeds: 3, on: test}
"""


@pytest.fixture
def tuned(tmp_path):
    def write(old="", new="", name="tuned.yaml"):
        path = tmp_path / name
        assert old in MAML
        path.write_text(MAML.replace(old, new) if old else MAML)
        return path

    return write


def test_the_id_of_a_search_is_its_own_through_names_order_and_growth(tuned):
    wanted = search_in(tuned()).search_id
    for old, new in (
        ("trials: 9", "trials: 90"),
        ("name: tuned", "name: other"),
        ("best: 2, seeds: 3", "best: 1, seeds: 1"),
        ("outer_steps: 90", "outer_steps: 900"),
        (
            "{inner_lr: {log: [0.01, 1]}, inner_steps: {int: [1, 3]}",
            "{inner_steps: {int: [1, 3]}, inner_lr: {log: [0.01, 1]}",
        ),
        ("eval_split: val}", "eval_split: val, ways: 5}"),
    ):
        assert search_in(tuned(old, new)).search_id == wanted, new


def test_another_search_has_another_id(tuned):
    ids = [search_in(tuned()).search_id]
    for old, new in (
        ("0.01, 1", "0.01, 0.9"),
        ("sampler: sobol", "sampler: random"),
        ("seeds: 1\n", "seeds: [1]\n"),
        ("head: zeroed", "head: trained"),
        ("first: 10", "first: 30"),
        ("eval_split: val", "eval_split: val, meta_batch_size: 2"),
        ("every step: {zero_head_every: 1}", "every step: {zero_head_every: 2}"),
    ):
        ids.append(search_in(tuned(old, new)).search_id)
    assert len(set(ids)) == len(ids)


def test_the_trial_of_a_point_is_the_one_a_grid_would_have(tuned, tmp_path):
    from sweeper.planning.expand import expand

    search = search_in(tuned())
    found = search.trial({"inner_lr": 0.05, "inner_steps": 2, "zeroing": "every step"}, 1)
    grid = tmp_path / "grid.yaml"
    grid.write_text(
        "version: 1\nname: grid\nquestion: The same?\nseeds: 1\n"
        "fixed: {use: strokes, outer_steps: 30, eval_split: val, inner_lr: 0.05, inner_steps: 2, zero_head_every: 1}\n"
        "endpoint: {metric: val_accuracy, head: zeroed, steps: inner_steps, at: last, window: 1}\n"
    )
    (same,) = expand(load(grid))
    assert (found.trial_id, found.target, found.config) == (same.trial_id, same.target, same.config)
    assert found.name().endswith("inner_lr 0.05 · inner_steps 2 · zeroing every step · s0")


def test_a_confirmation_measures_on_the_other_split_with_a_fresh_seed(tuned):
    search = search_in(tuned())
    point = {"inner_lr": 0.05, "inner_steps": 2, "zeroing": "none"}
    found = search.confirmation(point, search.spec.confirm.seeds[0])
    assert (found.config.eval_split, found.seed, found.target) == ("test", 1_000_000, 90)
    assert search.spec.endpoint.metric == "test_accuracy"
    assert search.spec.metric.metric == "val_accuracy"
    changed = {name for name, value in found.config if value != getattr(search.trial(point, 2).config, name)}
    assert changed == {"eval_split", "seed"}


def test_a_search_without_rungs_compares_at_full_length(tmp_path):
    search = search_in(write_hunt(tmp_path, "  rungs:"))
    assert search.rungs == (9,)
    longer = search_in(write_hunt(tmp_path, "  rungs:", "fixed: {steps: 12}"))
    assert longer.search_id != search.search_id


def test_examples_stand_for_every_choice(tuned):
    search = searches_of(load(tuned()))[0]
    assert {spec.config.zero_head_every for spec in search.examples} == {0, 1}
    assert {spec.config.inner_steps for spec in search.examples} == {1, 3}


def test_a_searched_field_can_not_have_one_value_in_a_profile_or_on_the_command_line(tuned):
    from sweeper.errors import SweepError
    from sweeper.sweepfile.tries import tried

    path = tuned("seeds: 1\n", "seeds: 1\nprofiles: {smoke: {fixed: {inner_lr: 0.1}}, fine: {fixed: {ways: 3}}}\n")
    sweep = load(path)
    assert searches_of(sweep, "fine")[0].search_id != searches_of(sweep)[0].search_id
    said = "is searched (dimension inner_lr), so it can't have one value; leave it out"
    with pytest.raises(SweepError) as refused:
        searches_of(sweep, "smoke")
    assert str(refused.value) == f"{path}:6:28: profiles.smoke.fixed.inner_lr: {said}"
    with pytest.raises(SweepError, match=r"--set inner_lr=0.1: inner_lr of tuned is searched"):
        tried(sweep, ["inner_lr=0.1"])
    assert searches_of(tried(sweep, ["meta_batch_size=2"]))[0].search_id != searches_of(sweep)[0].search_id


def test_a_search_may_compare_by_one_of_two_splits_that_its_trials_measure(tuned):
    search = search_in(tuned("eval_split: val", "eval_split: both"))
    assert search.trial({"inner_lr": 0.05, "inner_steps": 2, "zeroing": "none"}, 0).config.eval_split == "both"
    assert search.spec.metric.metric == "val_accuracy"
