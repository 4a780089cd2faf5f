"""A search on a real Slurm: slots are cancelled, killed and queued again, and no proposal is lost, doubled or changed.

One short search runs in every suite. SWEEPER_LONG makes it longer, with more rounds. SWEEPER_SLURM_SEED is
their seed, and with SWEEPER_SLURM_PRELOAD the slots load that library, such as one whose flock grants every lock.
"""

import os
import random
import subprocess
import sys
import time

import pytest

from sweeper.results.fold import fold
from sweeper.results.paths import Results
from sweeper.search.journal import read_state
from sweeper.search.propose import replayed
from sweeper.search.trials import known
from sweeper.search.value import value_at
from tests.budget import budget
from tests.places import ROOT
from tests.slurm.lab import HASTY
from tests.sweeper.command import sweeper
from tests.sweeper.plugged import TOY
from tests.sweeper.search.hunt import lines, loss_of, search_in, write_hunt
from tests.waiting import wait_until

pytestmark = [pytest.mark.slurm, pytest.mark.slow]

ROUNDS = budget(2, 24)
TRIALS = budget(12, 120)
SEED = int(os.environ.get("SWEEPER_SLURM_SEED", "1"))
PRELOAD = os.environ.get("SWEEPER_SLURM_PRELOAD", "")
SLOW_TOY = TOY.replace("    while True:\n", "    import time\n\n    while True:\n        time.sleep(0.05)\n")
"""The toy with steps of 50 ms."""


class Lab:
    """One search in a folder, submitted again and again."""

    def __init__(self, folder, cluster, **extra):
        self.folder, self.cluster, self.extra = folder, cluster, extra
        self.path = write_hunt(folder, "  sampler: {name: tpe, startup: 4}", f"  trials: {TRIALS}", code=SLOW_TOY)
        self.search, self.results = search_in(self.path), Results.at(folder / "results")
        self.runs = 0

    @property
    def lines(self):
        return lines(self.results, self.search)

    def command(self, *words):
        own = {"PYTHONPATH": str(ROOT)} | self.cluster.environment | self.extra
        return sweeper(words[0], "hunt.yaml", *words[1:], cwd=self.folder, **own)

    def run(self):
        words = ["--executor", "slurm", "--device", "cpu", "--tracking-uri", "none", "--workers", "2", "--detach"]
        done = self.command("run", *words, "--slurm", f"partition=low,python={sys.executable} {HASTY}")
        assert done.code == 0, done.err
        self.runs += 1
        return done

    def until(self, count):
        """Wait until the journal has so many lines, or until there are no jobs; what is queued again begins at once."""

        def there():
            self.cluster.hurry()
            return len(self.lines) >= count or not self.cluster.jobs()

        wait_until(there, self.story)

    def until_idle(self):
        self.until(sys.maxsize)

    def pids(self):
        words = ["pgrep", "-f", f"slot.*{self.results.slurm}|hasty.*{self.results.slurm}"]
        return [int(pid) for pid in subprocess.run(words, capture_output=True, text=True, check=False).stdout.split()]

    def story(self):
        files = sorted(self.results.slurm.glob("*/*.log"))
        return "\n".join(f"== {file}\n{file.read_text(errors='replace')[-3000:]}" for file in files)


@pytest.fixture
def lab(tmp_path, cluster):
    found = Lab(tmp_path, cluster, **({"LD_PRELOAD": PRELOAD} if PRELOAD else {}))
    yield found
    cluster.run("scancel", "--user=root", check=False)
    found.until_idle()


def scancel(lab, draw):
    lab.cluster.run("scancel", *draw.sample(lab.cluster.jobs("RUNNING"), 1), check=False)


def killed(lab, draw):
    for pid in draw.sample(lab.pids(), min(1, len(lab.pids()))):
        os.kill(pid, 9)


def requeue(lab, draw):
    for job in draw.sample(lab.cluster.jobs("RUNNING"), 1):
        lab.cluster.run("scontrol", "requeue", job, check=False)


FAULTS = (killed, scancel, requeue)


def test_a_search_whose_slots_are_killed_cancelled_and_queued_again(lab):
    draw, begun_s = random.Random(SEED), time.monotonic()
    for number in range(ROUNDS):
        lab.run()
        lab.until(len(lab.lines) + draw.randrange(2, 8))
        if lab.cluster.jobs("RUNNING"):
            FAULTS[number % len(FAULTS)](lab, draw)
    while True:
        lab.until_idle()
        done = lab.run()
        if "0 to run on cpu" in done.err:
            break
        assert lab.runs < 3 * ROUNDS + 6, lab.story()
    assert_whole(lab)
    print(f"\n{ROUNDS} faults, {lab.runs} runs, {len(lab.lines)} lines, {time.monotonic() - begun_s:.0f} s")


def assert_whole(lab):
    state = read_state(lab.results.search(lab.search.search_id))
    assert [made.number for made in state.proposals] == list(range(TRIALS)) and not state.pending, lab.story()
    assert len({(heard.number, heard.rung) for heard in state.history}) == len(state.history)
    assert replayed(lab.search, state) == [] and state.choices
    for heard in state.history:
        record = fold(lab.results.trial(state.proposals[heard.number].trial).journal)
        assert value_at(record, lab.search.metric, lab.search.rungs[heard.rung]) == heard.value
    trials = known(lab.search, lab.results).trials
    for trial in trials:
        record = fold(lab.results.trial(trial.spec.trial_id).journal)
        assert record["done_step"] >= trial.spec.target
        assert value_at(record, lab.search.metric, trial.spec.target) == loss_of(trial.spec)
    found = {path.parent.name for path in lab.results.root.glob("trials/*/journal.jsonl")}
    assert found == {trial.spec.trial_id for trial in trials}
