"""Slots that go on with a search, in processes of their own on a played Slurm: nothing is lost, doubled or changed."""

import json
import os
import random
import signal
import time

import pytest

from sweeper.executors.slurm.submission import Submission
from sweeper.results.fold import fold
from sweeper.results.paths import Results
from sweeper.search.journal import read_state
from sweeper.search.propose import replayed
from sweeper.search.trials import known
from sweeper.search.value import value_at
from tests.budget import budget
from tests.chaos.ending import journalled
from tests.forks import fork
from tests.sweeper.command import environment, sweeper
from tests.sweeper.search.hunt import lines, loss_of, search_in, write_hunt
from tests.waiting import HANG_S, wait_until

pytestmark = pytest.mark.slow

SLOT = """
import sys
from pathlib import Path
import sweeper.executors.slurm.search_source as source
from sweeper.executors.slurm import holders, slot
source.LOOK_EVERY_S = source.TRY_EVERY_S = 0.1
{}
sys.exit(slot.main(Path(sys.argv[1])))
"""
SLOW = """
import time
from sweeper.worker.work import Work
step = Work.step
def slowly(self):
    while not Path("go").exists():
        time.sleep(0.05)
    return step(self)
Work.step = slowly
"""
"""A slot whose trials go on only when there is a file `go`."""
BARRING = """
from sweeper.search.in_turns import InTurns
turn = InTurns.turn
def barring(self, free):
    found = turn(self, free)
    if found is not None and len(self.state.proposals) == 1:
        Path(sys.argv[1], "stopped", found.trial_id).touch()
    return found
InTurns.turn = barring
"""
"""A slot whose first trial a person stops as it begins."""
LYING = "import fcntl; fcntl.flock = lambda *_: None"
HERE = ("--device", "cpu", "--tracking-uri", "none")
ROUNDS = budget(3, 24)


class Hunt:
    """The search of `hunt`, its submissions, and the slots that run."""

    def __init__(self, folder, played, *replaced, **more):
        self.folder, self.played, self.results = folder, played, Results.at(folder / "results")
        self.path = write_hunt(folder, *replaced, **more)
        self.search = search_in(self.path)

    def command(self, *words):
        done = sweeper(words[0], "hunt.yaml", *words[1:], cwd=self.folder)
        assert done.code == 0, done.err
        return done

    def submit(self, *words):
        done = self.command("run", "--executor", "slurm", "--detach", *HERE, *words)
        return done, Submission(sorted(self.results.slurm.iterdir())[-1])

    def slot(self, submission, job, quick=""):
        given = environment(**self.played.slot_environment(job))
        return fork(SLOT.format(quick), [str(submission.folder)], cwd=self.folder, env=given)

    @property
    def state(self):
        return read_state(self.results.search(self.search.search_id))

    def assert_whole(self, trials=9):
        """Every proposal was made once and can be made again, and every value is that of its trial."""
        state = self.state
        assert [made.number for made in state.proposals] == list(range(trials)) and not state.pending
        assert len({(heard.number, heard.rung) for heard in state.history}) == len(state.history)
        assert replayed(self.search, state) == [] and state.choices
        for heard in state.history:
            record = fold(self.results.trial(state.proposals[heard.number].trial).journal)
            rung = self.search.rungs[heard.rung]
            assert value_at(record, self.search.metric, rung) == heard.value
        for trial in known(self.search, self.results).trials:
            record = fold(self.results.trial(trial.spec.trial_id).journal)
            assert record["done_step"] >= trial.spec.target
            assert value_at(record, self.search.metric, trial.spec.target) == loss_of(trial.spec)
        found = [path.parent.name for path in self.results.root.glob("trials/*/journal.jsonl")]
        assert sorted(found) == sorted({trial.spec.trial_id for trial in known(self.search, self.results).trials})


@pytest.fixture
def hunt(tmp_path, played):
    return Hunt(tmp_path, played)


def ended(process):
    out, err = process.communicate(timeout=HANG_S)
    return process.returncode, out + err


def test_one_slot_searches_as_an_inline_run_does_and_writes_nothing_else(hunt, tmp_path):
    told, submission = hunt.submit("--workers", "1")
    assert "submitted 1 search to 1 slot: job 100" in told.err
    before = {path.name for path in hunt.results.root.iterdir()}
    code, said = ended(hunt.slot(submission, "100_0"))
    assert code == 0, said
    hunt.assert_whole()
    assert {path.name for path in hunt.results.root.iterdir()} - before == {"trials", "searches"}
    hunt.command("run", "--executor", "inline", "--results", "other", *HERE)
    other = Results.at(tmp_path / "other")
    assert lines(hunt.results, hunt.search) == lines(other, hunt.search)
    assert journalled(hunt.results) == journalled(other)
    hunt.played.change("100_0", state="COMPLETED")
    again = sweeper("run", "hunt.yaml", "--executor", "slurm", *HERE, cwd=tmp_path)
    assert (again.code, "13 done; 0 to run on cpu" in again.err) == (0, True), again.err
    assert len(hunt.played.calls("sbatch")) == 1


def test_the_commands_show_the_search_and_submit_only_what_is_missing(hunt):
    told, _ = hunt.submit("--slurm", "partition=gpu")
    assert "9 to propose by random" in told.err
    assert "submitted 1 search to 9 slots: job 100" in told.err
    name = hunt.search.search_id
    assert f"search {name} in Slurm: 9 slots are queued (reason Priority)" in hunt.command("plan").out
    status = json.loads(hunt.command("status", "--json").out)
    assert status["slurm"]["searches"] == {name: "9 slots are queued (reason Priority)"}
    again, _ = hunt.submit()
    assert "nothing to submit" in again.err
    write_hunt(hunt.folder, "  trials: 12")
    grown, submission = hunt.submit("--workers", "32")
    assert "submitted 1 search to 12 slots: job 101" in grown.err
    assert submission.searched["searches"][0]["trials"] == 12
    hunt.played.change("101", state="CANCELLED")
    assert "submitted 1 search" in hunt.submit()[0].err
    hunt.played.purge()
    assert "in Slurm" not in hunt.command("plan").out
    assert "submitted 1 search" in hunt.submit()[0].err


def test_a_slot_reads_the_sweep_as_it_was_submitted(hunt):
    _, submission = hunt.submit("--workers", "1")
    (hunt.folder / "hunt.yaml").write_text("not: a sweep\n")
    code, said = ended(hunt.slot(submission, "100_0"))
    assert code == 0, said
    hunt.assert_whole()


@pytest.mark.parametrize("quick", ["", LYING])
def test_slots_that_are_killed_lose_and_double_nothing(tmp_path, played, quick):
    """With locks, and where locks exclude nobody."""
    hunt = Hunt(tmp_path, played, "  sampler: {name: tpe, startup: 4}")
    draws, deaths = random.Random(f"slots {quick}"), 0
    for _ in range(ROUNDS):
        before = lines(hunt.results, hunt.search)
        _, submission = hunt.submit("--workers", "2")
        jobs = [job["id"] for job in played.jobs if job["name"] in submission.names]
        slots = {job: hunt.slot(submission, job, quick) for job in jobs}
        enough = len(before) + draws.randrange(1, 6)
        wait_until(
            lambda slots=slots, enough=enough: (
                len(lines(hunt.results, hunt.search)) >= enough
                or all(slot.poll() is not None for slot in slots.values())
            )
        )
        time.sleep(draws.uniform(0, 0.05))
        for job in draws.sample(jobs, draws.randrange(1, len(jobs) + 1)):
            if slots[job].poll() is None:
                os.kill(slots[job].pid, signal.SIGKILL)
                deaths += 1
            played.change(job, state="FAILED")
        for job, slot in slots.items():
            code, said = ended(slot)
            assert code in (0, -signal.SIGKILL), said
            played.change(job, state="COMPLETED")
        assert lines(hunt.results, hunt.search)[: len(before)] == before
    assert deaths
    told = sweeper("run", "hunt.yaml", "--executor", "slurm", "--detach", "--workers", "1", *HERE, cwd=tmp_path)
    assert told.code == 0, told.err
    if "submitted" in told.err:
        submission = Submission(sorted(hunt.results.slurm.iterdir())[-1])
        (job,) = [job["id"] for job in played.jobs if job["name"] in submission.names]
        code, said = ended(hunt.slot(submission, job, quick))
        assert code == 0, said
    hunt.assert_whole()


def test_a_slot_with_nothing_to_take_leaves_the_rest_to_those_that_train(tmp_path, played):
    hunt = Hunt(tmp_path, played, "  trials: 1", "  rungs:", "  confirm:")
    _, submission = hunt.submit("--workers", "1")
    played.set(jobs=[*played.jobs, {**played.jobs[0], "id": "100_1"}])
    first = hunt.slot(submission, "100_0", SLOW)
    wait_until(lambda: list(hunt.results.root.glob("trials/*/a1/slot.json")), "the first trial")
    code, said = ended(hunt.slot(submission, "100_1", "source.PATIENCE_S = 0.5"))
    assert code == 0 and "1 trial is left to the slots that train them" in said, said
    assert not [words for words in played.calls("scontrol") if words[0] == "requeue"]
    (tmp_path / "go").touch()
    code, said = ended(first)
    assert code == 0, said
    assert len(hunt.state.history) == 1


def test_a_signal_saves_the_trial_and_the_next_life_goes_on_with_it(tmp_path, played):
    hunt = Hunt(tmp_path, played, "fixed: {steps: 300000}", "  trials: 1", "  rungs:", "  confirm:")
    _, submission = hunt.submit("--workers", "1")
    slot = hunt.slot(submission, "100_0")
    wait_until(lambda: list(hunt.results.root.glob("trials/*/a1/trial.log")), "the first trial")
    slot.send_signal(signal.SIGTERM)
    code, said = ended(slot)
    assert code == 0 and "job 100_0 is queued again: SIGTERM came" in said, said
    assert hunt.state.pending == (0,)
    (job,) = [job for job in played.jobs if job["id"] == "100_0"]
    assert job["state"] == "PENDING"
    assert "1 pending" in hunt.command("status").out


def test_a_slot_that_can_not_go_on_says_what_it_leaves_alone(tmp_path, played):
    hunt = Hunt(tmp_path, played, "  trials: 2", "  rungs:", "  confirm:")
    _, submission = hunt.submit("--workers", "1")
    slot = hunt.slot(submission, "100_0", f"source.PATIENCE_S = 0.5\n{BARRING}")
    code, said = ended(slot)
    assert code == 0 and "1 trial is left alone" in said and "stopped by `sweeper stop`" in said, said
    assert hunt.state.pending == (0,) and len(hunt.state.history) == 1


def test_the_slot_that_chooses_the_best_submits_the_ended_slots_again(tmp_path, played):
    hunt = Hunt(tmp_path, played, "  rungs:", "  trials: 3", "  confirm: {best: 1, seeds: 3}")
    _, submission = hunt.submit("--workers", "3")
    for job in ("100_1", "100_2"):
        played.change(job, state="COMPLETED")
    code, said = ended(hunt.slot(submission, "100_0"))
    assert code == 0 and "job 101: 2 more slots, since there is work for them again" in said, said
    assert "--array=1,2" in played.calls("sbatch")[-1]
    assert [answer.job for answer in submission.answers()] == ["100", "101"]
    hunt.assert_whole(3)
    assert ended(hunt.slot(submission, "101_1"))[0] == 0
    assert len(played.calls("sbatch")) == 2
