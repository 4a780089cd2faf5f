"""What a trial's log holds, and `sweeper logs` while the trial trains and afterwards."""

import re
import shutil
import signal
import threading
import time

import pytest

from sweeper.planning.expand import expand
from sweeper.results.journal import Journal
from sweeper.results.paths import Results
from sweeper.sweepfile.sweep import load
from tests.sweeper.assigned import assigned
from tests.sweeper.command import STEADY, start, sweeper
from tests.sweeper.tiny import TINY
from tests.waiting import HANG_S, wait_until

pytestmark = pytest.mark.slow

STAMP = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z "


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Train the tiny sweep, then its first trial further from a damaged checkpoint and the one before it."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "tiny.yaml").write_text(TINY)
    assert run(folder).code == 0
    return folder


def run(folder, *options):
    return sweeper(
        "run", "tiny.yaml", "--executor", "inline", "--tracking-uri", "none", *options, cwd=folder, program=STEADY
    )


def first_trial(folder):
    return Results.at(folder / "results").trial(expand(load(folder / "tiny.yaml"))[0].trial_id)


def said(text):
    """Return the lines of a log without their times."""
    assert all(re.match(STAMP, line) for line in text.splitlines())
    return [re.sub(STAMP, "", line) for line in text.splitlines()]


def test_the_log_tells_the_trials_way_from_its_start_to_its_end(trained):
    lines = said(first_trial(trained).log(1).read_text())
    assert re.fullmatch(
        r"attempt 1 of [0-9a-f]{16} begun by process \d+ on \S+: engine compiled, device cpu, threads 1, "
        r"Python \S+, torch \S+, numpy \S+, numba \S+, kernels for \S+",
        lines[0],
    )
    assert lines[1] == "starts from step 0"
    accuracy = r"test accuracy \d+\.\d\d % as trained, \d+\.\d\d % with the head zeroed, over 3 episodes"
    assert re.fullmatch(f"step 2: {accuracy}", lines[2])
    assert re.fullmatch(f"step 4: {accuracy}", lines[3])
    assert lines[4] == "checkpoint saved at step 4"
    assert re.fullmatch(r"done at step 4, at most [\d,]+ MiB in use", lines[5])
    assert len(lines) == 6


def test_a_resume_names_its_checkpoint_and_those_passed_over_and_repeats_no_evaluation(trained, tmp_path):
    folder = shutil.copytree(trained, tmp_path / "copy")
    paths = first_trial(folder)
    (checkpoint,) = paths.checkpoints(4)
    shutil.copy(checkpoint, paths.checkpoint(1, 5))
    with checkpoint.open("ab") as file:
        file.write(b"x")
    damaged = paths.checkpoint(1, 5)
    damaged.write_bytes(b"cut short")
    shutil.copy(trained / "results" / checkpoint.relative_to(folder / "results"), checkpoint)
    (folder / "tiny.yaml").write_text(TINY.replace("outer_steps: 4", "outer_steps: 6"))
    assert run(folder).code == 0
    lines = said(first_trial(folder).log(2).read_text())
    assert lines[1].startswith(f"skipped: {damaged}: its content does not match its digest")
    assert lines[2] == "continues from step 4, by checkpoint a1/step-00000004.ckpt"
    assert [line.partition(":")[0] for line in lines if "accuracy" in line] == ["step 6"]


def test_logs_prints_the_newest_attempt_or_all_of_them(trained, tmp_path):
    folder = shutil.copytree(trained, tmp_path / "copy")
    paths = first_trial(folder)
    trial_id = paths.folder.name
    first = paths.log(1).read_text()
    assert sweeper("logs", trial_id[:4], cwd=folder) == (0, first, "")
    assert sweeper("logs", trial_id, "-f", cwd=folder) == (0, first, "")
    for number in (2, 10):
        paths.attempt(number).mkdir()
        paths.log(number).write_text(f"attempt {number}\n")
    assert sweeper("logs", trial_id, cwd=folder).out == "attempt 10\n"
    assert sweeper("logs", trial_id, "--all", cwd=folder).out == f"{first}attempt 2\nattempt 10\n"


def test_an_id_must_name_one_trial_that_has_a_log(trained, tmp_path):
    ids = sorted(path.name for path in (trained / "results" / "trials").iterdir())
    ended = sweeper("logs", "", cwd=trained)
    assert (ended.code, ended.err) == (2, f"'' begins the ids {', '.join(ids)}; give more digits\n")
    ended = sweeper("logs", "zz", cwd=trained)
    assert ended.code == 2
    assert ended.err == f"no trial that has begun in {trained / 'results'} has an id that starts with 'zz'\n"
    assert sweeper("logs", "zz", "--results", tmp_path / "nowhere", cwd=trained).code == 2
    folder = shutil.copytree(trained, tmp_path / "copy")
    shutil.rmtree(first_trial(folder).attempt(1))
    ended = sweeper("logs", first_trial(folder).folder.name, "-f", cwd=folder)
    assert ended.code == 2
    assert "has no log: no worker has begun it" in ended.err


def test_a_failed_trials_traceback_is_there_in_full(trained, tmp_path):
    from sweeper.dealing.assignment import Member
    from sweeper.worker.work import Work

    paths = first_trial(trained)
    folder = tmp_path / paths.folder.name
    config = expand(load(trained / "tiny.yaml"))[0].config.model_dump()
    member = Member(trial_id=paths.folder.name, attempt=1, folder=str(folder), config=config)
    work = Work(assigned([member], str(tmp_path / "missing.npy")))
    assert work.step()["members"][0]["status"] == "failed"
    text = (folder / "a1" / "trial.log").read_text()
    assert "Traceback (most recent call last):\n" in text
    assert re.search(r"^trainers\.\S+: .*missing\.npy", text, re.MULTILINE)


def test_following_prints_every_attempt_as_it_comes_and_ends_with_the_run(specs, results, tmp_path):
    """The run is played here: two attempts of one trial, with the lock let go between them."""
    from sweeper.results.locks import Lock

    trial = results.trial(specs[0].trial_id)
    run_lock, lock = Lock(results.run("tiny")), Lock(trial)
    assert run_lock.take()
    assert lock.take()
    facts = {"trial_id": specs[0].trial_id, "point": "p", "cell": "c", "seed": 0, "target": 4, "config": {}}
    journal = Journal(trial.journal)
    journal.open_attempt(facts)
    process = start(["logs", specs[0].trial_id, "-f"], tmp_path)
    read = []
    reader = threading.Thread(target=lambda: read.extend(process.stdout), daemon=True)
    reader.start()

    def write(attempt, text):
        trial.attempt(attempt).mkdir(exist_ok=True)
        with trial.log(attempt).open("a") as file:
            file.write(text)

    def until(count):
        wait_until(lambda: len(read) >= count, "a line")
        assert len(read) == count

    write(1, "begun\n")
    until(1)
    write(1, "lost\n")
    until(2)
    journal.end(1, "interrupted", step=0, message="its worker was lost")
    lock.release()
    time.sleep(1.0)
    assert process.poll() is None  # the run lives and will deal it again
    assert lock.take()
    journal.open_attempt(facts)
    write(2, "begun again\n")
    until(3)
    write(2, "done\n")
    journal.end(2, "done", step=4)
    lock.release()
    reader.join(HANG_S)
    assert process.wait(HANG_S) == 0
    assert read == ["begun\n", "lost\n", "begun again\n", "done\n"]
    run_lock.release()
    process.stdout.close()
    process.stderr.close()


def test_ctrl_c_ends_following_with_130_and_no_noise(specs, results, tmp_path):
    from sweeper.results.locks import Lock

    trial = results.trial(specs[0].trial_id)
    lock = Lock(trial)
    assert lock.take()
    trial.attempt(1).mkdir()
    trial.log(1).write_text("begun\n")
    process = start(["logs", specs[0].trial_id[:6], "-f"], tmp_path)
    assert process.stdout.readline() == "begun\n"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=HANG_S)
    assert (process.returncode, out, err) == (130, "", "")
    lock.release()
