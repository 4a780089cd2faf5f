"""Several sweeps in one run, several runs at once, and what a run says of the trials it leaves."""

import json
import os
import re
import socket
import time

import pytest

import trainers.maml.train
from sweeper.planning.expand import expand
from sweeper.results.fold import fold
from sweeper.results.locks import Lock, holder_of
from sweeper.results.paths import Results
from sweeper.sweepfile.sweep import load
from tests.sweeper.command import start, sweeper
from tests.sweeper.played import begin, command, finish, run
from tests.sweeper.running.test_run import measured
from tests.sweeper.tiny import TINY
from tests.waiting import HANG_S, wait_until


@pytest.fixture
def write(tmp_path):
    """Return a writer of the tiny sweep under another name, with texts in it replaced."""

    def made(name, **replaced):
        text = TINY.replace("name: tiny", f"name: {name}")
        for key, value in replaced.items():
            text, count = re.subn(rf"(?m)^( *){key}:.*$", rf"\g<1>{key}: {value}", text)
            assert count == 1 or key == "inner_steps"
        path = tmp_path / f"{name}.yaml"
        path.write_text(text)
        return path

    return made


def ids(path):
    return [spec.trial_id for spec in expand(load(path))]


def attempts(results: Results) -> dict[str, int]:
    return {path.parent.name: len(fold(path)["attempts"]) for path in results.root.glob("trials/*/journal.jsonl")}


@pytest.mark.slow
def test_a_trial_that_two_sweeps_name_is_trained_once(write, results):
    first, second = write("first", seeds="[0, 1]"), write("second", seeds="[1, 2]")
    told = run(results, first, second)
    assert told.exit_code == 0, told.stderr
    assert told.stderr.startswith("first + second: 6 planned: 6 new; 6 to run on cpu")
    assert attempts(results) == dict.fromkeys({*ids(first), *ids(second)}, 1)
    for path in (first, second):
        assert json.loads(command("status", path, "--results", results.root, "--json").stdout)["done"] == 4


@pytest.mark.slow
def test_a_shared_trial_is_shown_in_both_experiments(write, tmp_path):
    from mlflow import MlflowClient

    first, second = write("first", seeds="[0, 1]"), write("second", seeds="[1, 2]")
    ended = sweeper("run", first, second, "--executor", "inline", cwd=tmp_path)
    assert ended.code == 0, ended.err
    client = MlflowClient(f"sqlite:///{tmp_path}/results/mlflow.db")
    named = {found.name: found.experiment_id for found in client.search_experiments()}
    for path in (first, second):
        runs = client.search_runs([named[path.stem]], "tags.`sweeper.kind` = 'trial'")
        assert sorted(run.data.tags["trial_id"] for run in runs) == sorted(ids(path))
        assert {run.info.status for run in runs} == {"FINISHED"}


def test_a_file_that_is_named_twice_counts_once(write, results, tmp_path):
    path = write("first", seeds=1)
    detour = tmp_path / "folder" / ".." / path.name
    (tmp_path / "folder").mkdir()
    told = run(results, path, detour, "--dry-run")
    assert told.exit_code == 0
    assert told.stderr.startswith("first: 2 planned: 2 new; 2 to run")
    assert len(told.stdout.splitlines()) == 2


def test_two_files_of_one_name_are_refused(write, results, tmp_path):
    path, other = write("first"), tmp_path / "other.yaml"
    other.write_text(path.read_text().replace("seeds: 2", "seeds: 3"))
    told = run(results, path, other)
    assert (told.exit_code, told.stderr) == (2, f"{path} and {other} are both named first; rename one of them\n")
    assert not results.root.exists()


@pytest.mark.slow
def test_a_trial_wanted_to_two_targets_is_trained_and_evaluated_to_both(write, results, tmp_path):
    short, long = write("short", seeds=1), write("long", seeds=1, outer_steps=8, eval_every=2)
    assert ids(short) == ids(long)
    told = run(results, long, short)
    assert told.exit_code == 0, told.stderr
    assert told.stderr.splitlines()[-1] == "4 planned: 4 done"
    alone = Results.at(tmp_path / "alone")
    assert run(alone, long).exit_code == 0
    for trial_id in ids(short):
        record = fold(results.trial(trial_id).journal)
        assert [found["step"] for found in record["evaluations"]] == [2, 4, 6, 8]
        assert (record["status"], record["done_step"], len(record["attempts"])) == ("done", 8, 2)
        halfway = [record for record in measured(results)[trial_id] if record[:2] == (4, "scores")]
        assert len(halfway) == 1
        assert sorted([*measured(alone)[trial_id], *halfway]) == measured(results)[trial_id]
    for path in (short, long):
        assert json.loads(command("status", path, "--results", results.root, "--json").stdout)["done"] == 2


def test_a_fault_in_one_file_runs_nothing_of_the_other(write, results):
    good, bad = write("good"), write("bad", channels="many")
    told = run(results, good, bad)
    assert (told.exit_code, told.stdout) == (2, "")
    assert told.stderr.startswith(f"{bad}:9:")
    assert not results.root.exists()


def test_a_profile_that_one_file_lacks_is_an_error_naming_that_file(write, results):
    with_profile, without = write("with"), write("without")
    with_profile.write_text(with_profile.read_text() + "profiles: {smoke: {seeds: 1}}\n")
    assert run(results, with_profile, "--profile", "smoke", "--dry-run").exit_code == 0
    for files in ((with_profile, without), (without, with_profile)):
        told = run(results, *files, "--profile", "smoke")
        assert told.exit_code == 2
        assert str(without) in told.stderr
        assert "unknown profile 'smoke'" in told.stderr
        assert str(with_profile) not in told.stderr
    assert not results.root.exists()


GO_ON = "next: run the same command to train what is left"


def test_a_trial_that_another_run_holds_is_skipped_and_named_and_the_end_is_not_called_well(write, results):
    path = write("mine", seeds=1)
    theirs, mine = expand(load(path))
    begin(results, theirs, sweep="theirs")
    lock = Lock(results.trial(theirs.trial_id))
    assert lock.take()
    told = run(results, path)
    who = f"by process {os.getpid()} on {socket.gethostname()}"
    assert told.exit_code == 3
    assert "mine: 2 planned: 1 running, 1 new; 1 to run" in told.stderr
    assert told.stderr.splitlines()[-3:] == [
        "2 planned: 1 done, 1 running",
        f"{theirs.trial_id}  {theirs.name()}: running at step 0 of 4, {who}",
        GO_ON,
    ]
    again = run(results, path)
    assert again.exit_code == 3
    assert f"{theirs.trial_id}  {theirs.name()}: running at step 0 of 4, {who}" in again.stderr
    lock.release()
    assert run(results, path).exit_code == 0
    assert attempts(results) == {theirs.trial_id: 2, mine.trial_id: 1}


def test_a_trial_that_another_run_takes_meanwhile_is_skipped_by_name(write, results, monkeypatch):
    path = write("mine", seeds=1)
    theirs, _ = expand(load(path))
    lock = Lock(results.trial(theirs.trial_id))
    assert lock.take()  # its run has not journalled anything yet
    told = run(results, path)
    assert told.exit_code == 3
    assert f"{theirs.trial_id} skipped at step 0: {theirs.name()} · held by process {os.getpid()}" in told.stderr
    assert told.stderr.splitlines()[-3] == "2 planned: 1 done, 1 new"
    assert told.stderr.splitlines()[-2].startswith(f"{theirs.trial_id}  {theirs.name()}: new")
    assert told.stderr.splitlines()[-1] == GO_ON


def written(results: Results) -> dict[str, bytes]:
    """Return every file that a run writes but those of its trials; the index is any command's."""
    found = [path for path in results.root.rglob("*") if path.is_file() and "trials" not in path.parts]
    return {path.name: path.read_bytes() for path in found if path != results.index}


@pytest.mark.slow
def test_a_second_run_of_a_sweep_says_who_runs_it_and_writes_nothing(write, results, tmp_path):
    path = write("long", outer_steps=100_000, seeds=1)
    arguments = ("run", path, "--executor", "inline", "--tracking-uri", "none")
    first = start(arguments, tmp_path)
    try:
        wait_until(lambda: any(measured(results).values()))
        began = holder_of(results.run("long"))["since_ms"] / 1000
        files = written(results)
        second = sweeper(*arguments, cwd=tmp_path)
        assert (second.code, second.out) == (2, "")
        sentence = second.err.splitlines()[-1]
        since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(began))
        assert f"long is being run already, by process {first.pid} on {socket.gethostname()} since {since}" in sentence
        assert written(results) == files
        assert set(attempts(results).values()) == {1}
        assert first.poll() is None
    finally:
        first.terminate()
        first.communicate(timeout=HANG_S)
    assert first.returncode == 143


def failing_after_two_steps(real, of_inner_steps):
    """Return `train` with a bug that only configs with `of_inner_steps` meet."""

    def train(configs, *arguments, **options):
        chunks = real(configs, *arguments, **options | {"chunk_s": 0.0})
        if configs[0].inner_steps != of_inner_steps:
            yield from chunks
        for chunk in chunks:
            yield chunk
            if chunk.step == 2:
                raise ValueError("the first line\nand a second one\n  and a third")

    return train


@pytest.mark.slow
def test_the_end_names_each_failed_trial_its_step_the_errors_first_line_and_its_log(write, results, monkeypatch):
    path = write("broken", seeds=1)
    good, bad = expand(load(path))
    with monkeypatch.context() as patched:
        patched.setattr(
            trainers.maml.train, "train", failing_after_two_steps(trainers.maml.train.train, of_inner_steps=2)
        )
        told = run(results, path)
    assert (told.exit_code, told.stdout) == (3, "")
    log = results.trial(bad.trial_id).log(1)
    table = [
        "2 planned: 1 done, 1 failed",
        f"{bad.trial_id}  {bad.name()}: failed at step 2: ValueError: the first line; {log}",
        "next: remove the cause of a failure and add --retry-failed to train failed trials again",
    ]
    assert told.stderr.splitlines()[-3:] == table
    assert "raise ValueError" in log.read_text()
    assert "and a second one" in log.read_text()
    assert fold(results.trial(good.trial_id).journal)["status"] == "done"
    again = run(results, path)
    assert again.exit_code == 3
    assert "0 to run" in again.stderr
    assert again.stderr.splitlines()[-3:] == table
    retried = run(results, path, "--retry-failed")
    assert retried.exit_code == 0
    assert retried.stderr.splitlines()[-1] == "2 planned: 2 done"


def test_a_failed_trial_is_named_at_the_end_of_a_run_of_others_and_not_with_only_them(write, results):
    path = write("mixed", seeds=1)
    good, bad = expand(load(path))
    finish(results, bad, status="failed", step=2, message="ValueError: x")
    picked = run(results, path, "--only", good.trial_id)
    assert (picked.exit_code, picked.stderr.splitlines()[-1]) == (0, "1 planned: 1 done")
    assert run(results, path).exit_code == 3


@pytest.mark.slow
def test_json_is_all_of_stdout_whatever_the_end(write, results):
    path = write("mixed", seeds=1)
    good, bad = expand(load(path))
    finish(results, bad, status="failed", step=2, message="ValueError: x")
    counts = {"planned": 2, "done": 0, "diverged": 0, "running": 0, "interrupted": 0, "failed": 1, "new": 1}
    dry = run(results, path, "--json", "--dry-run")
    assert (dry.exit_code, json.loads(dry.stdout)) == (0, counts | {"to_run": [good.trial_id]})
    told = run(results, path, "--json")
    assert (told.exit_code, json.loads(told.stdout)) == (3, counts | {"done": 1, "new": 0})
