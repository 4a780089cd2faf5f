"""What a run plans and what it leaves out."""

import pytest

from sweeper.errors import SweepError
from sweeper.planning.expand import expand
from sweeper.results.survey import Standing, judge, survey
from sweeper.results.trial_summary import TrialSummary
from sweeper.running.batch import pending, prepare_run, refuse_other_device
from sweeper.running.engine_choice import engines_of
from sweeper.sweepfile.sweep import load


def summary(**changed) -> TrialSummary:
    known = {"trial_id": "t", "point": "p", "digest": "d", "recipe": {"core": 1}, "sweeps": ["tiny"], "message": ""}
    known |= {"attempt": 1, "status": "done", "step": 4, "target": 4, "done_step": 4, "evaluated": [2, 4]}
    return TrialSummary(
        **known | {"device": "cpu", "engine": "loop", "pack": 1, "cost_class": "k", "worker_s": 8.0} | changed
    )


@pytest.mark.parametrize(
    ("known", "target", "held", "state", "why"),
    [
        (None, 4, False, "new", "new"),
        (summary(), 4, False, "done", "done at step 4"),
        (summary(), 2, False, "done", "done at step 4"),
        (summary(), 3, False, "interrupted", "trained to step 4, not evaluated at step 3"),
        (summary(), 9, False, "interrupted", "longer target: at step 4 of 9"),
        (summary(status="interrupted", step=6, target=9), 4, False, "done", "done at step 4"),
        (summary(status="running", done_step=0), 4, True, "running", "running at step 4 of 4"),
        (summary(status="running", done_step=0, step=2), 4, False, "interrupted", "interrupted at step 2 of 4"),
        (
            summary(status="diverged", done_step=0, message="diverged at step 2"),
            4,
            False,
            "diverged",
            "diverged at step 2",
        ),
        (
            summary(status="failed", done_step=0, message="ValueError: x"),
            4,
            False,
            "failed",
            "failed at step 4: ValueError: x",
        ),
    ],
)
def test_a_trial_stands_where_its_journal_and_its_lock_say(known, target, held, state, why):
    assert judge(known, target, held=held) == (state, why)


def test_a_run_takes_new_and_interrupted_trials_and_failed_ones_when_asked(specs):
    states = ["done", "diverged", "running", "interrupted", "failed", "new"]
    standings = [
        Standing(spec=specs[index % len(specs)], state=state, why="", summary=None)
        for index, state in enumerate(states)
    ]
    taken = {id(standing): standing.state for standing in standings}
    assert len(taken) == 6
    assert pending(standings, retry_failed=False) == [standings[3].spec, standings[5].spec]
    assert pending(standings, retry_failed=True) == [standings[3].spec, standings[4].spec, standings[5].spec]


def test_later_plans_name_the_copy_of_the_data_that_was_trained_on(write_sweep, results, tmp_path):
    """Copies of mini-ImageNet differ in their bytes, and with them the trials' ids."""
    sweep = load(write_sweep())
    results.ensure_writable()
    results.note_digests({"mini_imagenet": "ab" * 32})
    mini = load(write_sweep("  use: mini_imagenet"))
    assert expand(mini, None, results.digests())[0].trial_id != expand(mini)[0].trial_id
    prepared = prepare_run([sweep], None, results, tmp_path)
    results.note_digests({name: array["digest"] for name, array in prepared.data.items()})
    assert results.digests().keys() == {"mini_imagenet", "strokes"}
    found = survey(results, expand(sweep, None, results.digests())).standings
    assert [standing.spec for standing in found] == list(prepared.parts[0].specs)


def test_a_failed_trial_of_another_device_blocks_a_run_only_if_it_is_to_be_retried(specs):
    standing = Standing(spec=specs[0], state="failed", why="", summary=summary(status="failed"))
    refuse_other_device([standing], "cuda")
    with pytest.raises(SweepError, match="began on cpu"):
        refuse_other_device([standing], "cuda", retry_failed=True)


def test_an_arithmetic_that_a_device_lacks_is_refused_before_anything_runs(write_sweep):
    specs = expand(load(write_sweep("  use: strokes\n  arithmetic: bf16")))
    with pytest.raises(SweepError, match=f"{specs[0].trial_id} .* can't run here: arithmetic bf16 needs --device cuda"):
        engines_of(specs, [], "cpu", None)
    assert set(engines_of(specs, [], "cuda", None).values()) == {"unfold"}
