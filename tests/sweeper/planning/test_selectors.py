"""Picking trials by label, value, seed or id; what a mistake is told."""

import pytest
from click.testing import CliRunner

from sweeper.cli import main
from sweeper.errors import SweepError
from sweeper.planning.expand import expand
from sweeper.planning.selectors import select
from sweeper.sweepfile.sweep import load
from tests.sweeper.played import command, run

SWEEP = """\
version: 1
name: picked
question: Which ones?
fixed: {use: strokes, order: first, queries: 3, channels: 4, outer_steps: 4}
matrix:
  task:
    3-way, 1-shot: {ways: 3}
    5-way, 2-shot: {ways: 5, shots: 2}
  zeroing:
    none: {zero_head_every: 0}
    every step: {zero_head_every: 1, head_bias: false}
  inner_lr: [0.4, 1.0e-2]
seeds: 2
endpoint: {metric: test_accuracy, head: zeroed, steps: 1, at: last, window: 1}
"""


@pytest.fixture
def sweep_file(tmp_path):
    path = tmp_path / "picked.yaml"
    path.write_text(SWEEP)
    return path


@pytest.fixture
def plan(sweep_file):
    """Return sixteen trials: two tasks, two zeroings, two rates, two seeds."""
    return expand(load(sweep_file))


def agreeing(plan, condition):
    return [spec for spec in plan if condition(spec)]


@pytest.mark.parametrize(
    ("selector", "condition"),
    [
        ("zeroing=none", lambda spec: spec.labels["zeroing"] == "none"),
        ("zeroing=every step", lambda spec: spec.labels["zeroing"] == "every step"),
        ("task=3-way, 1-shot", lambda spec: spec.config.ways == 3),
        ("task=3-way, 1-shot,zeroing=none", lambda spec: spec.config.ways == 3 and spec.labels["zeroing"] == "none"),
        (" zeroing = none , seed = 1 ", lambda spec: spec.labels["zeroing"] == "none" and spec.seed == 1),
        ("seed=1", lambda spec: spec.seed == 1),
        ("inner_lr=0.4", lambda spec: spec.config.inner_lr == 0.4),
        ("inner_lr=4e-1", lambda spec: spec.config.inner_lr == 0.4),
        ("inner_lr=0.010", lambda spec: spec.config.inner_lr == 0.01),
        ("ways=5,inner_lr=.01", lambda spec: spec.config.ways == 5 and spec.config.inner_lr == 0.01),
        ("head_scale=1", lambda spec: True),
        ("head_bias=false", lambda spec: not spec.config.head_bias),
        ("head_bias=true", lambda spec: spec.config.head_bias),
        ("eval_adapts=null,order=first", lambda spec: True),
    ],
)
def test_a_selector_picks_what_agrees_with_all_its_terms(plan, selector, condition):
    expected = agreeing(plan, condition)
    assert expected
    assert select(plan, [selector], "--only") == expected


SEEDS = (2**53, 2**53 + 1, 2**63 - 1)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_large_seed_picks_its_own_trials_alone(tmp_path, seed):
    path = tmp_path / "picked.yaml"
    path.write_text(SWEEP.replace("seeds: 2", f"seeds: {list(SEEDS)}"))
    specs = expand(load(path))
    picked = select(specs, [f"seed={seed}"], "--only")
    assert len(picked) == 8 and {spec.seed for spec in picked} == {seed}
    assert select(specs, [f"seed={seed}.0"], "--only") == picked
    for wrong in ("nan", "sNaN", "inf", f"{seed}.5"):
        with pytest.raises(SweepError, match="no trial of this plan matches"):
            select(specs, [f"seed={wrong}"], "--only")


def test_the_start_of_an_id_picks_one_trial_or_several(plan):
    assert select(plan, [plan[3].trial_id], "--only") == [plan[3]]
    assert select(plan, [plan[3].trial_id[:4]], "--only") == agreeing(
        plan, lambda spec: spec.trial_id.startswith(plan[3].trial_id[:4])
    )
    alike = [type(plan[0])(**{**vars_of(spec), "trial_id": "abcd" + spec.trial_id[4:]}) for spec in plan[:3]]
    assert select([*alike, *plan[3:]], ["abcd"], "--only") == alike


def vars_of(spec):
    return {name: getattr(spec, name) for name in spec.__dataclass_fields__}


def test_several_selectors_are_a_union_in_plan_order(plan):
    expected = agreeing(plan, lambda spec: spec.seed == 1 or spec.labels["zeroing"] == "none" or spec == plan[2])
    assert select(plan, ["zeroing=none", plan[2].trial_id, "seed=1"], "--only") == expected
    assert select(plan, [], "--only") == list(plan)


def test_an_axis_that_only_one_of_two_sweeps_has_picks_from_that_one(plan, specs):
    both = [*plan, *specs]
    assert select(both, ["zeroing=none"], "--only") == agreeing(plan, lambda spec: spec.labels["zeroing"] == "none")


MISTAKES = [
    ("zeroign=none", "'zeroign' is neither an axis of this plan nor a field; did you mean 'zeroing'?"),
    ("zeroing=none,innr_lr=1", "'innr_lr' is neither an axis of this plan nor a field; did you mean 'inner_lr'?"),
    ("colour=red", "'colour' is neither an axis of this plan nor a field; its axes are task, zeroing, inner_lr, seed"),
    ("zeroing=never", "no trial of this plan matches; `sweeper plan` shows them all"),
    ("zeroing=none,zero_head_every=1", "no trial of this plan matches; `sweeper plan` shows them all"),
    ("seed=7", "no trial of this plan matches; `sweeper plan` shows them all"),
    ("head_bias=0", "no trial of this plan matches; `sweeper plan` shows them all"),
    ("ways=three", "no trial of this plan matches; `sweeper plan` shows them all"),
    ("0000000000000000", "no trial of this plan matches; `sweeper plan` shows them all"),
    ("abc", "'abc' is neither axis=label nor the first 4 to 16 digits of a trial's id"),
    ("none", "'none' is neither axis=label nor the first 4 to 16 digits of a trial's id"),
    ("", "'' is neither axis=label nor the first 4 to 16 digits of a trial's id"),
    ("=none", "'=none' is neither axis=label nor the first 4 to 16 digits of a trial's id"),
    ("zeroing=", "'zeroing=' is neither axis=label nor the first 4 to 16 digits of a trial's id"),
    ("zeroing=none,", "'' is neither axis=label nor the first 4 to 16 digits of a trial's id"),
    (",zeroing=none", "'' is neither axis=label nor the first 4 to 16 digits of a trial's id"),
]


@pytest.mark.parametrize(("selector", "sentence"), MISTAKES)
def test_a_mistake_is_named_with_its_option_and_selector(plan, selector, sentence):
    with pytest.raises(SweepError) as caught:
        select(plan, [selector], "--only")
    assert str(caught.value) == f"--only {selector}: {sentence}"


@pytest.mark.parametrize(("selector", "sentence"), [MISTAKES[0], MISTAKES[3], MISTAKES[9]])
def test_a_command_that_is_given_one_says_just_that_and_does_nothing(sweep_file, results, selector, sentence):
    plan = ("plan", sweep_file, "--results", results.root, "--only", selector)
    told = {
        "plan --only": command(*plan),
        "run --only": run(results, sweep_file, "--only", selector),
        "run --rerun": run(results, sweep_file, "--rerun", selector, "--yes"),
    }
    for name, result in told.items():
        option = name.split()[1]
        assert (result.exit_code, result.stdout) == (2, "")
        assert result.stderr == f"{option} {selector}: {sentence}\n"
    assert not results.root.exists()


def test_status_counts_what_is_picked(write_sweep, results):
    words = ["status", str(write_sweep()), "--results", str(results.root), "--only", "seed=1"]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 0, result.stderr
    assert result.stdout.splitlines()[0].split() == ["planned", "2"]
