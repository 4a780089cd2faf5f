"""A search with three workers of a real Ray whose driver is killed: nothing is lost, doubled or changed.

Each round starts a Ray of its own, so this is behind SWEEPER_LONG. `test_killed` kills between two given lines.
"""

import random
import signal
import time

import pytest

from sweeper.results.fold import fold
from sweeper.results.paths import Results
from sweeper.search.journal import read_state
from sweeper.search.propose import replayed
from sweeper.search.trials import known
from sweeper.search.value import value_at
from tests.budget import LONG
from tests.sweeper.command import start, sweeper
from tests.sweeper.plugged import TOY
from tests.sweeper.search.hunt import lines, search_in, write_hunt
from tests.waiting import HANG_S, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not LONG, reason="starts a Ray for each round: SWEEPER_LONG=1")]

ROUNDS = 4
TRIALS = 45
TRIES = 3
UNABLE = "Ray does not start on this machine"
"""Ray may not start in time on a busy machine. Such a run is no round, and is tried again."""
SEED = 3
SLOW = TOY.replace("        yield", "        import time; time.sleep(0.2)\n        yield")


def test_no_proposal_is_lost_or_doubled_when_the_driver_of_three_workers_is_killed(tmp_path):
    path = write_hunt(tmp_path, "  sampler: {name: tpe, startup: 4}", f"  trials: {TRIALS}", code=SLOW)
    search, results = search_in(path), Results.at(tmp_path / "results")
    words = ["run", "hunt.yaml", "--workers", "3", "--device", "cpu", "--tracking-uri", "none"]
    moments, before = random.Random(SEED), []
    deaths = 0
    for _ in range(ROUNDS * TRIES):
        process = start(words, tmp_path, fresh=True)
        more = len(before) + moments.randrange(8, 16)
        wait_until(lambda more=more, process=process: len(lines(results, search)) >= more or process.poll() is not None)
        time.sleep(moments.uniform(0, 0.3))
        process.kill()
        _, err = process.communicate(timeout=HANG_S)
        if UNABLE in err:
            continue
        assert process.returncode == -signal.SIGKILL, (deaths, err)
        deaths += 1
        now = lines(results, search)
        assert now[: len(before)] == before
        assert max(len(line["pending"]) for line in now if line["kind"] == "asked") >= 1  # several train at once
        before = now
        if deaths == ROUNDS:
            break
    assert deaths == ROUNDS
    for _ in range(TRIES):
        ended = sweeper(*words, cwd=tmp_path)
        if UNABLE not in ended.err:
            break
    assert ended.code == 0, ended.err
    assert lines(results, search)[: len(before)] == before
    state = read_state(results.search(search.search_id))
    assert [made.number for made in state.proposals] == list(range(TRIALS)) and not state.pending
    assert len({(heard.number, heard.rung) for heard in state.history}) == len(state.history)
    assert state.choices and replayed(search, state) == []
    for heard in state.history:
        record = fold(results.trial(state.proposals[heard.number].trial).journal)
        assert value_at(record, search.spec.metric, search.rungs[heard.rung]) == heard.value
    for trial in known(search, results).trials:
        assert fold(results.trial(trial.spec.trial_id).journal)["done_step"] >= trial.spec.target
