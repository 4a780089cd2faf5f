"""A slot in a process of its own, on a submission to a played Slurm: what it trains, writes, waits for and leaves."""

import json
import os
import signal
import time
from contextlib import suppress
from pathlib import Path

import pytest

from sweeper.executors.slurm.submission import Submission
from sweeper.results.fold import fold
from sweeper.results.locks import Lock
from tests.chaos.ending import journalled
from tests.chaos.program import COMMAND_SWEEP, WALK, Size, sweep_text
from tests.forks import fork
from tests.sweeper.command import environment, sweeper
from tests.waiting import HANG_S, wait_until

pytestmark = pytest.mark.slow

SLOT = """
import sys
from pathlib import Path
from sweeper.executors.slurm import ending, slot
{}
sys.exit(slot.main(Path(sys.argv[1])))
"""
IDLE = """
import time
from trainers.maml.engines.outer_step import Mover
take = Mover.take
Mover.take = lambda *given: (time.sleep(0.1), take(*given))
"""
"""Lets a training wait for most of its time, where a test needs one that lasts."""
HERE = ("--device", "cpu", "--tracking-uri", "none")


@pytest.fixture
def submit(tmp_path, write_sweep, played):
    """Return a function that submits the tiny sweep, with lines of it replaced, and returns the submission.

    With None for a line, it submits what is there.
    """

    def submit(*lines, words=()):
        path = tmp_path / "tiny.yaml" if lines == (None,) else write_sweep(*lines)
        done = sweeper("run", path, "--executor", "slurm", "--detach", *HERE, *words, cwd=tmp_path)
        assert done.code == 0, done.err
        return Submission(sorted((tmp_path / "results/slurm").iterdir())[-1])

    return submit


@pytest.fixture
def slot(tmp_path, played):
    """Return a function that starts the slot of one element."""

    def start(submission, job, quick="", **extra):
        given = environment(**played.slot_environment(job), **extra)
        return fork(SLOT.format(quick), [str(submission.folder)], cwd=tmp_path, env=given)

    return start


def ended(process):
    out, err = process.communicate(timeout=HANG_S)
    return process.returncode, out + err


def statuses(results):
    return sorted(fold(path)["status"] for path in results.root.glob("trials/*/journal.jsonl"))


def test_it_trains_what_an_inline_run_trains_and_writes_nothing_else(submit, slot, tmp_path, results):
    submission = submit()
    before = {path.name for path in results.root.iterdir()}
    code, said = ended(slot(submission, "100_0"))
    assert code == 0, said
    assert "nothing is left to train" in said
    assert statuses(results) == ["done"] * 4
    assert {path.name for path in results.root.iterdir()} - before == {"trials"}
    assert sweeper("run", "tiny.yaml", "--executor", "inline", "--results", "other", *HERE, cwd=tmp_path).code == 0
    other = results.root.with_name("other")
    assert journalled(results) == journalled(type(results)(other))
    for path in other.glob("trials/*/a1/*.ckpt"):
        assert (results.root / path.relative_to(other)).read_bytes() == path.read_bytes()


def test_the_next_slot_finds_nothing_to_do(submit, slot, results):
    submission = submit()
    for job in ("100_0", "100_1"):
        assert ended(slot(submission, job))[0] == 0
    assert {path.name for path in results.root.glob("trials/*/a*")} == {"a1"}


def test_a_signal_saves_and_queues_the_slot_again_and_its_next_life_goes_on(submit, slot, played, results):
    submission = submit("  outer_steps: 4000", "  eval_every: 4000", "seeds: 1")
    process = slot(submission, "100_0")
    wait_until(lambda: list(results.root.glob("trials/*/a1/trial.log")), "the first trial")
    time.sleep(0.5)
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGTERM)  # a second one does not cut the save off
    code, said = ended(process)
    assert code == 0, said
    assert "job 100_0 is queued again: SIGTERM came" in said
    assert statuses(results) == ["interrupted"]
    assert list(results.root.glob("trials/*/a1/*.ckpt"))
    (job,) = [job for job in played.jobs if job["id"] == "100_0"]
    assert (job["state"], job["restarts"]) == ("PENDING", 1)


def test_a_program_that_gets_the_signal_before_its_slot_has_not_failed(submit, slot, results, tmp_path):
    """Slurm sends SIGTERM to every process of a job, in no order."""
    path = tmp_path / "tiny.yaml"
    path.write_text(sweep_text("walk", 1, Size(100_000, 1, 1, 1), COMMAND_SWEEP))
    (tmp_path / "walk.py").write_text(WALK)
    submission = submit(None)
    process = slot(submission, "100_0", "slot.DOUBT_S = 60.0")
    (program,) = wait_until(lambda: programs_in(tmp_path), "the program")
    os.kill(program, signal.SIGTERM)
    wait_until(lambda: not programs_in(tmp_path), "its end")
    process.send_signal(signal.SIGTERM)
    code, said = ended(process)
    assert code == 0, said
    assert statuses(results) == ["interrupted"], said


def programs_in(place):
    """Return the processes of walk.py in a folder."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            words = (folder / "cmdline").read_bytes().decode().split("\0")
            if words[1:2] == ["walk.py"] and (folder / "cwd").samefile(place):
                found.append(int(folder.name))
    return found


@pytest.mark.parametrize(("state", "requeued"), [("CANCELLED", 0), ("COMPLETING", 0), ("RUNNING", 1)])
def test_a_cancelled_job_is_not_queued_again(submit, slot, played, results, state, requeued):
    submission = submit("  outer_steps: 4000", "  eval_every: 4000", "seeds: 1")
    process = slot(submission, "100_0")
    wait_until(lambda: list(results.root.glob("trials/*/a1/trial.log")), "the first trial")
    played.change("100_0", state=state)
    process.send_signal(signal.SIGTERM)
    assert ended(process)[0] == 0
    assert len([words for words in played.calls("scontrol") if words[0] == "requeue"]) == requeued
    assert statuses(results) == ["interrupted"]


def test_where_requeue_is_forbidden_the_slot_submits_itself(submit, slot, played, results):
    submission = submit("  outer_steps: 4000", "  eval_every: 4000", "seeds: 1", words=["--slurm", "partition=low"])
    played.set(no_requeue=True)
    process = slot(submission, "100_1")
    wait_until(lambda: list(results.root.glob("trials/*/a1/trial.log")), "the first trial")
    process.send_signal(signal.SIGUSR1)
    code, said = ended(process)
    assert code == 0, said
    assert "job 101_1 goes on for job 100_1: SIGUSR1 came" in said
    words = played.calls("sbatch")[-1]
    assert "--array=1" in words and "--partition=low" in words and words[-1] == str(submission.script)
    assert f"--job-name={submission.names[0]}" in words
    assert [answer.job for answer in submission.answers()] == ["100", "101"]


def test_before_its_time_limit_a_slot_saves(submit, slot, played, results):
    """The played job has run for 10 s when its slot starts, and a quarter of the limit is left free."""
    submission = submit("  outer_steps: 400000", "  eval_every: 400000", "seeds: 1", words=["--slurm", "time=0:24"])
    code, said = ended(slot(submission, "100_0", IDLE))
    assert code == 0, said
    assert "is queued again: the time limit is near" in said
    assert statuses(results) == ["interrupted"]
    assert not submission.idle(f"{submission.names[0]}-0").exists()


def test_it_refuses_to_train_with_other_code(submit, slot, results):
    submission = submit()
    content = json.loads((submission.folder / "submission.json").read_text())
    content["asked"]["versions"]["torch"] = "1.0"
    content["asked"]["code"] = "0" * 64
    (submission.folder / "submission.json").write_text(json.dumps(content))
    code, said = ended(slot(submission, "100_0"))
    assert code == 1
    assert "node a: torch is " in said and "the driver's is 1.0" in said and "the code of sweeper" in said
    assert submission.complaints()[0].startswith("a slot on node a may not train: node a: ")
    assert not (results.root / "trials").exists()


def test_a_job_that_should_have_a_gpu_and_has_none_fails_no_trial(submit, slot, results):
    submission = submit(words=["--device", "cuda", "--slurm", "gpus=1"])
    assert submission.content["pack"] == 0
    code, said = ended(slot(submission, "100_0", "import sweeper.host.devices as d; d.has_driver = lambda *_: False"))
    assert code == 1 and "the job has no GPU that works" in said, said
    assert "--device cuda: no NVIDIA driver here" in submission.complaints()[0]
    assert not (results.root / "trials").exists()


def test_a_trial_that_another_process_holds_is_waited_for(submit, slot, results):
    submission = submit("seeds: 1")
    first = submission.content["trials"][0]["trial_id"]
    lock = Lock(results.trial(first))
    assert lock.take()
    process = slot(submission, "100_0", "slot.LOOK_EVERY_S = 0.2")
    wait_until(lambda: statuses(results) == ["done"], "the trial that nobody holds")
    time.sleep(0.5)
    assert process.poll() is None
    lock.release()
    code, said = ended(process)
    assert (code, statuses(results)) == (0, ["done", "done"]), said
    assert f"waiting for trial {first}, which others hold" in said


def test_after_its_patience_a_slot_is_queued_again(submit, slot, played, results):
    submission = submit("seeds: 1")
    locks = [Lock(results.trial(trial["trial_id"])) for trial in submission.content["trials"]]
    assert all(lock.take() for lock in locks)
    code, said = ended(slot(submission, "100_0", "slot.LOOK_EVERY_S = 0.2; slot.PATIENCE_S = 1"))
    assert code == 0, said
    assert [words for words in played.calls("scontrol") if words[0] == "requeue"] == [["requeue", "100_0"]]
    assert submission.idle(f"{submission.names[0]}-0").exists()


def test_patience_is_at_least_five_minutes():
    from sweeper.executors.slurm import slot

    assert slot.PATIENCE_S >= 300


def test_two_slots_share_the_trials_where_locks_exclude_nobody(submit, slot, played, results):
    """Only the folders of attempts, and the names in them, keep the slots apart."""
    submission = submit("seeds: 3")
    lying = "import fcntl; fcntl.flock = lambda *_: None"
    environments = [slot(submission, job, lying) for job in ("100_0", "100_1")]
    for process in environments:
        code, said = ended(process)
        assert code == 0, said
    assert statuses(results) == ["done"] * 6
    assert {path.name for path in results.root.glob("trials/*/a*")} == {"a1"}


def test_a_file_system_without_locks_needs_none(submit, slot, results):
    submission = submit("seeds: 1")
    none = "import fcntl, errno\ndef flock(*_): raise OSError(errno.ENOLCK, 'No locks available')\nfcntl.flock = flock"
    code, said = ended(slot(submission, "100_0", none))
    assert (code, statuses(results)) == (0, ["done", "done"]), said
