"""What `plan` and `status` say of every trial, and why a run would train it."""

import json

import pytest

from analysis.contract.lifecycle import STATES
from sweeper.planning.expand import expand
from sweeper.results.locks import Lock
from sweeper.sweepfile.sweep import load
from tests.sweeper.command import environment, sweeper
from tests.sweeper.played import begin, command, finish, reach


@pytest.fixture
def asked(results):
    """Return an asker: the facts that `plan --json` gives of a sweep file."""

    def ask(path, *options):
        return json.loads(command("plan", path, "--results", results.root, "--json", *options).stdout)

    return ask


def whys(plan) -> dict[int, tuple[str, str]]:
    return {trial["seed"]: (trial["state"], trial["why"]) for trial in plan["trials"]}


def test_plan_says_of_each_trial_why_it_would_run_or_would_not(write_sweep, results, asked):
    path = write_sweep("  inner_steps: [1]", "seeds: 8", "  outer_steps: 6")
    specs = expand(load(path))
    shorter = expand(load(write_sweep("  inner_steps: [1]", "seeds: 8")))
    path = write_sweep("  inner_steps: [1]", "seeds: 8", "  outer_steps: 6")
    finish(results, specs[1])
    finish(results, specs[2], status="diverged", step=1, message="diverged at step 1: query loss nan")
    finish(results, specs[3], status="failed", step=2,
           message="Traceback (most recent call last):\n  File\n    x\nValueError: no\nmore\n")  # fmt: skip
    finish(results, specs[4], status="interrupted", step=3, message="the run was stopped")
    finish(results, shorter[5])
    reach(begin(results, specs[6]), 2)
    reach(begin(results, specs[7]), 4)
    lock = Lock(results.trial(specs[7].trial_id))
    assert lock.take()
    plan = asked(path)
    lock.release()
    assert whys(plan) == {
        0: ("new", "new"),
        1: ("done", "done at step 6"),
        2: ("diverged", "diverged at step 1: query loss nan"),
        3: ("failed", "failed at step 2: ValueError: no"),
        4: ("interrupted", "interrupted at step 3 of 6"),
        5: ("interrupted", "longer target: at step 4 of 6"),
        6: ("interrupted", "interrupted at step 2 of 6"),
        7: ("running", "running at step 4 of 6"),
    }
    assert plan["counts"] == dict(zip(STATES, (1, 1, 1, 3, 1, 1), strict=True))
    assert sum(plan["counts"].values()) == len(plan["trials"]) == 8
    assert plan["estimate"]["trials"] == 4  # what a run would train: not the failed one
    text = command("plan", path, "--results", results.root).stdout.splitlines()
    told = {line.split()[0]: line for line in text}
    for trial in plan["trials"]:
        state = trial["why"] if trial["state"] != "running" else "interrupted at step 4 of 6"  # let go meanwhile
        assert told[trial["trial_id"]].endswith(f"  {state}")
    assert "8 trials: 1 done, 1 diverged, 4 interrupted, 1 failed, 1 new" in text
    assert text[-1].startswith("5 to run: ")


def test_a_raised_recipe_and_changed_data_are_named_with_the_trial_they_replace(
    write_sweep, results, specs, asked, monkeypatch
):
    for spec in specs[:2]:
        finish(results, spec)
    results.note_digests({"strokes": "ab" * 32})
    plan = asked(write_sweep())
    assert [trial["why"] for trial in plan["trials"]] == [
        *(f"new: the data changed since {spec.trial_id}" for spec in specs[:2]),
        "new",
        "new",
    ]
    assert plan["counts"]["new"] == 4
    (results.root / "digests.json").unlink()
    names = dict(specs[0].recipe)
    raised = names | {"core": names["core"] + 2, "strokes": names.get("strokes", 0) + 1}
    monkeypatch.setattr("trainers.maml.trainer.recipe_of", lambda config: raised)
    why = asked(write_sweep())["trials"][0]["why"]
    assert why.startswith(f"new: recipe raised since {specs[0].trial_id} (")
    assert f"core {names['core']} to {names['core'] + 2}" in why
    assert f"strokes {names.get('strokes', 0)} to {names.get('strokes', 0) + 1}" in why


def test_of_several_older_trainings_the_newest_recipe_is_spoken_of(write_sweep, results, asked, monkeypatch):
    for version in (3, 1, 2):
        monkeypatch.setattr("trainers.maml.trainer.recipe_of", lambda config, version=version: {"core": 10 + version})
        finish(results, expand(load(write_sweep()))[0])
    monkeypatch.setattr("trainers.maml.trainer.recipe_of", lambda config: {"core": 14})
    assert asked(write_sweep())["trials"][0]["why"].endswith("(core 13 to 14)")


def test_a_trial_trained_past_an_earlier_target_that_it_was_never_evaluated_at_says_so(write_sweep, results, asked):
    finish(results, expand(load(write_sweep("  inner_steps: [1]", "  outer_steps: 9")))[0])
    plan = asked(write_sweep("  inner_steps: [1]", "  outer_steps: 6"))
    assert whys(plan)[0] == ("interrupted", "trained to step 9, not evaluated at step 6")


def test_orphans_are_kept_listed_and_outside_every_sum(write_sweep, results, specs, asked):
    for spec in specs:
        finish(results, spec)
    stranger = expand(load(write_sweep("  channels: 5")))[0]
    finish(results, stranger, sweep="another")
    path = write_sweep("seeds: 1")
    orphaned = sorted(spec.trial_id for spec in specs if spec.seed == 1)
    text = command("plan", path, "--results", results.root).stdout.splitlines()
    assert [line.split()[0] for line in text if "orphan" in line] == orphaned
    assert "2 trials: 2 done" in text
    status = json.loads(command("status", path, "--results", results.root, "--json").stdout)
    assert (status["planned"], status["done"], status["orphaned"]) == (2, 2, 2)
    assert status["orphans"] == orphaned
    assert all(results.trial(trial_id).journal.exists() for trial_id in orphaned)
    assert len(asked(path)["trials"]) == 2


def test_only_narrows_the_trials_the_counts_and_the_estimate(write_sweep, results, specs, asked):
    finish(results, specs[0])
    plan = asked(write_sweep(), "--only", "inner_steps=1")
    assert whys(plan) == {0: ("done", "done at step 4"), 1: ("new", "new")}
    assert (plan["counts"]["done"], plan["counts"]["new"], plan["estimate"]["trials"]) == (1, 1, 1)
    assert plan["estimate"].keys() == {"trials", "worker_s", "unknown", "disk_bytes", "device"}


@pytest.mark.slow
@pytest.mark.parametrize("extra", [{}, {"NO_COLOR": "1"}, {"NO_COLOR": "1", "FORCE_COLOR": "1"}])
def test_a_pipe_gets_no_escape_codes(write_sweep, results, specs, tmp_path, extra):
    finish(results, specs[0], status="failed", step=2, message="ValueError: x")
    assert "TERM" in environment(TERM="xterm-256color")
    for name in ("plan", "status"):
        ended = sweeper(name, write_sweep(), cwd=tmp_path, TERM="xterm-256color", **extra)
        assert ended.code == 0
        assert "failed at step 2: ValueError: x" in ended.out
        assert "\x1b" not in ended.out + ended.err
