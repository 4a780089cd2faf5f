"""Runs of a search with three workers that are killed for good: nothing is lost, doubled or changed."""

import os
import random
import signal
import time
from pathlib import Path

import pytest

from sweeper.results.fold import fold
from sweeper.results.paths import Results
from sweeper.search.journal import read_state
from sweeper.search.propose import replayed
from sweeper.search.trials import known
from sweeper.search.value import value_at
from tests.budget import budget
from tests.forks import Forked, fork
from tests.places import ROOT
from tests.sweeper.search.hunt import lines, search_in, write_hunt
from tests.waiting import HANG_S

ROUNDS = budget(4, 24)
TRIALS = budget(12, 100)
MOMENTS = ("done", "heard", "asked", "any")
SEED = 7
PROGRAM = "from tests.sweeper.search.three_workers import main; main()"


def hunting(path: Path, results: Results, *words: object) -> Forked:
    """Start the search in a fork."""
    return fork(PROGRAM, [str(path), str(results.root), *map(str, words)], cwd=ROOT, env=os.environ)


@pytest.mark.slow
def test_no_proposal_is_lost_or_doubled_and_each_can_be_made_again(tmp_path):
    path = write_hunt(tmp_path, "  sampler: {name: tpe, startup: 4}", f"  trials: {TRIALS}")
    search, results = search_in(path), Results.at(tmp_path / "results")
    draws, deaths, before = random.Random(SEED), 0, []
    for number in range(ROUNDS):
        moment = MOMENTS[number % len(MOMENTS)]
        process = hunting(path, results, number, moment, draws.randrange(1, 4))
        if moment == "any":
            while process.poll() is None and len(lines(results, search)) < len(before) + draws.randrange(1, 6):
                time.sleep(0.01)
            process.kill()
        _, err = process.communicate(timeout=HANG_S)
        assert process.returncode == -signal.SIGKILL, err
        deaths += 1
        now = lines(results, search)
        assert now[: len(before)] == before
        before = now
    assert deaths == ROUNDS
    process = hunting(path, results, 0, "never", 0)
    _, err = process.communicate(timeout=HANG_S)
    assert process.returncode == 0, err
    state = read_state(results.search(search.search_id))
    assert [made.number for made in state.proposals] == list(range(TRIALS)) and not state.pending
    assert len({(heard.number, heard.rung) for heard in state.history}) == len(state.history)
    assert state.choices
    assert replayed(search, state) == []
    for heard in state.history:
        record = fold(results.trial(state.proposals[heard.number].trial).journal)
        assert value_at(record, search.spec.metric, search.rungs[heard.rung]) == heard.value
    for trial in known(search, results).trials:
        assert fold(results.trial(trial.spec.trial_id).journal)["done_step"] >= trial.spec.target
