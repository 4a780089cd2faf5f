"""The simulation of a large sweep, a small one of it: nothing is run twice, and a trial that was would be seen."""

import pytest

from benchmarks.simulation import faults_of, simulate
from sweeper.planning.expand import expand
from sweeper.results.journal import Journal
from sweeper.results.paths import Results
from sweeper.sweepfile.sweep import load
from tests.budget import budget

TRIALS = budget(200, 300)


@pytest.mark.slow
@pytest.mark.parametrize(("pack", "slots", "seed"), [(1, 24, 3), (8, 8, 9)])
def test_every_trial_is_trained_once_whatever_is_lost_on_the_way(tmp_path, pack, slots, seed):
    """A lost pack stays a pack, so it takes fewer slots for the larger packs to meet every loss."""
    found = simulate(tmp_path, trials=TRIALS, slots=slots, pack=pack, seed=seed)
    assert found.faults == {}
    assert found.trials == TRIALS == found.states["done"] + found.states["diverged"] + found.states["failed"]
    events = found.ledger.events
    assert {"driver killed", "worker lost", "node lost"} <= events.keys()
    assert ("out of memory in a pack" in events) == (pack > 1)
    assert sum(found.ledger.dealt.values()) == TRIALS + sum(found.ledger.interrupted.values()) > TRIALS


@pytest.mark.slow
def test_its_check_sees_an_attempt_too_many_an_end_too_few_and_a_step_twice(tmp_path):
    found = simulate(tmp_path, trials=200, slots=24, seed=3)
    results, specs = Results.at(tmp_path / "results"), expand(load(tmp_path / "simulated.yaml"))
    again, endless, double = [spec for spec in specs if found.ledger.ended[spec.trial_id] == "done"][:3]
    journal = Journal(results.trial(again.trial_id).journal)
    journal.open_attempt(journal.first)
    path = results.trial(endless.trial_id).journal
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    path = results.trial(double.trial_id).journal
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:2] + lines[1:]))
    faults = faults_of(specs, results, found.ledger)
    assert faults.keys() == {again.trial_id, endless.trial_id, double.trial_id}
    assert faults[again.trial_id].startswith("attempts ")
    assert faults[endless.trial_id] == "ends [], ended done"
    assert faults[double.trial_id].startswith("steps ")
