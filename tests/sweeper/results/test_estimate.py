"""What is left of a plan, from what finished trials like it took."""

import itertools
import time

import pytest

from sweeper.planning.expand import expand
from sweeper.results import journal
from sweeper.results.estimate import CHECKPOINTS_KEPT, JOURNAL_BYTES, Estimate, estimate
from sweeper.results.survey import survey
from sweeper.sweepfile.sweep import load
from tests.sweeper.played import begin, command, reach, run


@pytest.fixture
def clock(monkeypatch):
    """Return a list whose one number is the time in seconds that the journals are stamped with."""
    now = [1_700_000_000.0]
    monkeypatch.setattr(journal.time, "time_ns", lambda: round(now[0] * 1e9))
    return now


@pytest.fixture
def planned(write_sweep):
    """Return the trials of the tiny sweep with some of its lines replaced, one cell, seeds 0 and 1."""

    def plan(*lines):
        return expand(load(write_sweep("  inner_steps: [1]", *lines)))

    return plan


def train(results, spec, clock, seconds, step=None, **facts):
    """Journal an attempt that took `seconds` to its end."""
    journal = begin(results, spec, **facts)
    clock[0] += seconds
    last = spec.target if step is None else step
    reach(journal, last)
    journal.end(journal.attempts, "done" if last == spec.target else "interrupted", step=last)


def left(results, specs, device="cpu") -> Estimate:
    surveyed = survey(results, specs)
    todo = [standing for standing in surveyed.standings if standing.state != "done"]
    return estimate(todo, surveyed.summaries, device)


def seconds_of_another(results, clock, mine, other, **facts) -> float | None:
    """Return the estimate for `mine` once `other` took 8 s for its 4 steps, or None if that tells nothing of it."""
    train(results, other, clock, 8.0, **facts)
    found = left(results, [mine])
    return None if found.unknown else found.worker_s


@pytest.mark.parametrize("line", ["seeds: [5, 6]", "  order: first\n  head_scale: 0.0",
                                  "  order: first\n  inner_lr: 0.3", "  order: first\n  outer_lr: 0.01",
                                  "  order: first\n  zero_head_every: 1"])  # fmt: skip
def test_seed_head_and_rates_make_no_difference_in_cost(results, clock, planned, line):
    assert seconds_of_another(results, clock, planned()[0], planned(line)[0]) == 8.0


@pytest.mark.parametrize("line", ["  order: first\n  eval_steps: 3", "  ways: 4", "  channels: 5", "  queries: 4",
                                  "  order: second", "  meta_batch_size: 3", "  eval_every: 1",
                                  "  order: first\n  network: conv4_pooled",
                                  "  order: first\n  dtype: float64"])  # fmt: skip
def test_what_costs_more_or_less_a_step_tells_nothing(results, clock, planned, line):
    assert seconds_of_another(results, clock, planned()[0], planned(line)[0]) is None


def test_another_number_of_inner_steps_tells_nothing(results, clock, specs):
    one, _, two, _ = specs
    assert seconds_of_another(results, clock, one, two) is None


def test_a_longer_target_costs_as_much_a_step(results, clock, planned):
    assert seconds_of_another(results, clock, planned("  outer_steps: 20")[1], planned()[0]) == 40.0


def test_trials_on_another_kind_of_device_tell_nothing(results, clock, planned):
    first, second = planned()
    train(results, first, clock, 8.0, device="cuda")
    assert left(results, [second], "cpu").unknown == 1
    assert left(results, [second], "cuda").worker_s == 8.0


def test_a_member_of_a_pack_took_its_share_of_the_packs_time(results, clock, planned):
    first, second = planned()
    train(results, first, clock, 8.0, pack=4)
    assert left(results, [second]).worker_s == 2.0


def test_the_time_between_two_attempts_is_nobodys(results, clock, planned):
    first, second = planned()
    killed = begin(results, first)
    clock[0] += 3.0
    reach(killed, 2)
    clock[0] += 100_000.0  # killed without an end, and run again the day after
    train(results, first, clock, 5.0)
    assert left(results, [second]).worker_s == 8.0


def test_of_a_trial_trained_in_part_only_what_is_left_counts(results, clock, planned):
    first, second = planned()
    train(results, first, clock, 8.0)
    train(results, second, clock, 50.0, step=3)
    assert left(results, [first, second]).worker_s == 2.0


def test_a_trial_wanted_to_two_targets_is_one_trial_to_the_furthest(results, clock, planned):
    first, second = planned()
    train(results, first, clock, 8.0)
    longer = planned("  outer_steps: 8")[1]
    for todo in itertools.permutations([second, longer]):
        found = left(results, todo)
        assert (found.trials, found.worker_s) == (1, 16.0)


def made(trials=4, worker_s=0.0, unknown=0, disk_bytes=2_000_000, device="cpu"):
    return Estimate(trials=trials, worker_s=worker_s, unknown=unknown, disk_bytes=disk_bytes, device=device)


@pytest.mark.parametrize(
    ("found", "workers", "sentence"),
    [
        (made(trials=0), 2, "nothing to run"),
        (made(unknown=4), 2, "4 to run: no estimate yet, since no trial like these has finished; 2 MB of disk"),
        (made(worker_s=30.0), 2, "4 to run: under 1 min on 2 cpu workers; 2 MB of disk"),
        (made(worker_s=600.0), 2, "4 to run: about 5 min on 2 cpu workers; 2 MB of disk"),
        (made(worker_s=36_000.0), 1, "4 to run: about 10.0 h on 1 cpu worker; 2 MB of disk"),
        (made(worker_s=600.0), 64, "4 to run: about 2 min on 4 cpu workers; 2 MB of disk"),
        (made(worker_s=36_000.0, device="cuda"), 2,
         "4 to run: about 5.0 h on 2 cuda workers, 10.0 GPU-hours; 2 MB of disk"),
        (made(worker_s=60.0, device="cuda", disk_bytes=10), 1,
         "4 to run: about 1 min on 1 cuda worker, under 0.1 GPU-hours; under 1 MB of disk"),
        (made(worker_s=600.0, unknown=3, disk_bytes=3_400_000_000), 2,
         "4 to run: about 10 min on 1 cpu worker for 1 of them, no estimate yet for the other 3; 3.4 GB of disk"),
    ],
)  # fmt: skip
def test_an_estimate_in_words(found, workers, sentence):
    assert found.sentence(workers) == sentence


def test_plan_and_run_say_it_for_what_is_to_run_and_of_a_rerun_for_the_whole_trial(results, write_sweep, specs, clock):
    for spec in specs:
        train(results, spec, clock, 600.0)
    path = write_sweep("seeds: 3")
    plan = command("plan", path, "--results", results.root, "--workers", "2")
    assert "2 to run: about 10 min on 2 cpu workers; " in plan.stdout
    rerun = run(results, path, "--rerun", "seed=0,inner_steps=1", "--only", "seed=0")
    assert "1 to run: about 10 min on 1 cpu worker; " in rerun.stderr


def test_the_disk_needed_is_that_of_the_checkpoints_on_disk(results, write_sweep):
    path = write_sweep("  inner_steps: [1]", "  channels: 32")
    specs = expand(load(path))
    assert run(results, path).exit_code == 0
    sizes = [results.trial(spec.trial_id).checkpoints(4)[0].stat().st_size for spec in specs]
    assert len(sizes) == 2
    fresh = estimate(survey(results, specs).standings, {}, "cpu")
    assert CHECKPOINTS_KEPT * sum(sizes) == pytest.approx(fresh.disk_bytes - len(sizes) * JOURNAL_BYTES, rel=0.2)


@pytest.mark.slow
def test_a_real_run_is_estimated_by_the_time_it_took(results, write_sweep):
    longer = ("  inner_steps: [1]", "  outer_steps: 60", "  eval_every: 60")
    began = time.perf_counter()
    assert run(results, write_sweep(*longer, "seeds: 1")).exit_code == 0
    took_s = time.perf_counter() - began
    assert 0 < left(results, expand(load(write_sweep(*longer, "seeds: 2")))).worker_s < took_s
