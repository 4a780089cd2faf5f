"""The exit of a run never waits for its store: a process left behind does the rest, and readers wait for that."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from sweeper.planning.expand import expand
from sweeper.planning.trial_spec import TrialSpec
from sweeper.results.locks import Lock, holder_of
from sweeper.results.paths import Results
from sweeper.running.batch import prepare_run
from sweeper.sweepfile.sweep import load
from sweeper.tracking.address import default_uri
from sweeper.tracking.mlflow_tracker import MlflowTracker
from sweeper.tracking.shown_mark import is_shown
from sweeper.tracking.turns import leave_behind, only_pusher, turns_of, wait_for_pusher
from tests.budget import budget
from tests.sweeper.command import environment, pushing, start, sweeper, wait_for_pushes
from tests.sweeper.played import command, finish
from tests.sweeper.stores import BadLine
from tests.sweeper.tracking.test_tracking_faults import (
    LOCAL,
    PASSWORD,
    assert_says_no,
    journalled,
    live_cells,
    stored,
)
from tests.waiting import HANG_S, wait_until

slow = pytest.mark.slow

URI = "http://127.0.0.1:9"
AT_0 = "endpoint: {metric: test_accuracy, head: zeroed, steps: 0, at: last, window: 1}"
"""The number of inner steps at test that played journals have."""


PATIENCE = {"MLFLOW_HTTP_REQUEST_TIMEOUT": str(int(HANG_S))}
"""Who asks the store waits for an answer for as long as a test may take."""


def silent(told: str) -> None:
    raise AssertionError(told)


@pytest.fixture
def backlog(write_sweep, results: Results) -> Callable[[str, int], Path]:
    """Return a writer of a sweep of so many trials, all but one of which are done and in no store."""

    def write(name: str, trials: int) -> Path:
        path = write_sweep(f"name: {name}", f"seeds: {trials // 2}", "  outer_steps: 2", AT_0)
        for spec in expand(load(path))[1:]:
            finish(results, spec, sweep=name)
        return path

    return write


def everything(results: Results) -> dict:
    return journalled(results.root, steps=0)


@slow
def test_the_exit_waits_for_no_backlog_which_a_process_left_behind_sends_whole_without_telling_the_password(
    backlog, results: Results, tmp_path: Path, server: int
) -> None:
    path, line = backlog("late", 12), BadLine(server, held=True)
    uri = f"http://ada:{PASSWORD}@127.0.0.1:{line.port}"
    straight = f"http://127.0.0.1:{server}"
    process = start(["run", path, *LOCAL, "--tracking-uri", uri], tmp_path, **PATIENCE)
    _, err = process.communicate(timeout=HANG_S)
    pids = pushing(tmp_path)
    assert process.returncode == 0, err
    assert line.withheld > 0 and stored(straight, "late") == {}  # it ended without an answer of the store
    line.release()
    assert "12 planned: 12 done" in err
    (pid,) = pids
    told = (
        f"trials are not yet in http://ada:***@127.0.0.1:{line.port}; they are sent in the background by process {pid}"
    )
    assert f"{told}, and `sweeper report` waits for it; its log: {results.sync_log}" in err
    assert PASSWORD not in Path(f"/proc/{pid}/cmdline").read_text()
    assert os.getsid(pid) == pid  # so that no Ctrl-C or closed terminal reaches it
    wait_for_pushes(tmp_path)
    assert stored(straight, "late") == everything(results)
    assert live_cells(straight, "late") == 2
    assert "12 trials in late of http://ada:***@" in results.sync_log.read_text()
    assert PASSWORD not in err
    assert_says_no(tmp_path, PASSWORD)
    line.cut()
    again = sweeper("run", path, *LOCAL, "--tracking-uri", uri, cwd=tmp_path)  # asks the store nothing
    assert (again.code, again.err.count("12 done"), "not yet" in again.err) == (0, 2, False), again.err
    assert results.sync_log.read_text().count("sweeper sync") == 1


@slow
def test_a_killed_process_leaves_the_locks_free_and_the_next_run_leaves_another_that_ends_it(
    backlog, results: Results, tmp_path: Path, server: int
) -> None:
    path, line = backlog("killed", 20), BadLine(server, delay_s=0.02, held=True)
    uri = f"http://127.0.0.1:{line.port}"
    for _ in range(2):
        line.hold()
        process = start(["run", path, *LOCAL, "--tracking-uri", uri], tmp_path, **PATIENCE)
        _, err = process.communicate(timeout=HANG_S)
        (pid,) = pushing(tmp_path)
        assert process.returncode == 0, err
        line.release()
        wait_until(lambda: len(stored(f"http://127.0.0.1:{server}", "killed")) > 1)
        line.hold()
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: pushing(tmp_path) == [])
    line.release()
    assert sweeper("sync", path, "--tracking-uri", uri, cwd=tmp_path).code == 0
    assert stored(f"http://127.0.0.1:{server}", "killed") == everything(results)
    assert live_cells(f"http://127.0.0.1:{server}", "killed") == 2
    line.cut()


@slow
def test_a_run_that_ends_while_another_process_pushes_leaves_one_that_waits_for_its_turn(
    backlog, results: Results, tmp_path: Path
) -> None:
    path, uri = backlog("turns", 4), default_uri(results.root)
    working = Lock(turns_of(results, "turns", uri).now)
    assert working.take()
    process = start(["run", path, *LOCAL], tmp_path)
    _, err = process.communicate(timeout=HANG_S)
    assert process.returncode == 0, err
    (waiting,) = set(pushing(tmp_path)) - {os.getpid()}
    assert f"4 trials are not yet in {uri}; they are sent in the background by process {waiting}, and" in err
    wait_until(lambda: f"process {os.getpid()} on " in results.sync_log.read_text())
    assert holder_of(turns_of(results, "turns", uri).next)["pid"] == waiting
    working.release()
    wait_for_pushes(tmp_path)
    assert stored(uri, "turns") == everything(results)


@slow
@pytest.mark.parametrize("change", budget(["deleted", "edited"], ["deleted", "edited", "made unreadable"]))
def test_the_process_left_behind_sends_the_sweep_as_it_ran_whatever_becomes_of_its_file(
    backlog, results: Results, tmp_path: Path, change: str
) -> None:
    path, uri = backlog("gone", 4), default_uri(results.root)
    working = Lock(turns_of(results, "gone", uri).now)
    assert working.take()
    process = start(["run", path, *LOCAL], tmp_path)
    _, err = process.communicate(timeout=HANG_S)
    assert process.returncode == 0, err
    if change == "deleted":
        path.unlink()
    else:
        path.write_text(path.read_text().replace("name: gone", "name: other") if change == "edited" else "}{")
    working.release()
    wait_for_pushes(tmp_path)
    assert stored(uri, "gone") == everything(results)


@slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_no_process_and_tells_the_command(
    backlog, results: Results, tmp_path: Path, server: int, number: int
) -> None:
    path = backlog(f"stopped{number}", 10)
    path.write_text(path.read_text().replace("outer_steps: 2", "outer_steps: 100000"))
    line = BadLine(server, held=True)
    process = start(["run", path, *LOCAL, "--tracking-uri", f"http://127.0.0.1:{line.port}"], tmp_path, **PATIENCE)
    wait_until(lambda: any(holder_of(results.trial(found.name)) for found in (results.root / "trials").iterdir()))
    wait_until(lambda: line.withheld)
    process.send_signal(number)
    _, err = process.communicate(timeout=HANG_S)
    assert stored(f"http://127.0.0.1:{server}", f"stopped{number}") == {}  # it ended without an answer of the store
    assert process.returncode == 128 + number, err
    assert pushing(tmp_path) == []
    assert not results.sync_log.exists()
    assert f"once the store answers, this sends the rest: sweeper sync {path}" in err
    line.cut()


@slow
@pytest.mark.parametrize("place", ["next", "now"])
def test_a_report_and_a_sync_wait_for_whoever_brings_the_store_up_to_date_and_say_so(
    write_sweep, specs: tuple[TrialSpec, ...], results: Results, tmp_path: Path, place: str
) -> None:
    path, uri = write_sweep(AT_0), default_uri(results.root)
    for spec in specs[:-1]:
        finish(results, spec)
    assert sweeper("sync", path, cwd=tmp_path).code == 0
    finish(results, specs[-1])
    lock = Lock(getattr(turns_of(results, "tiny", uri), place))
    assert lock.take()
    report, stopped, sync = (start([verb, path], tmp_path) for verb in ("report", "report", "sync"))
    for process in (report, stopped, sync):
        told = process.stderr.readline()  # the sync is next itself while it waits for its turn
        waited = rf"process ({os.getpid()}|{sync.pid}) on \S+ still sends some"
        assert re.match(rf"waiting until all results are in the tracking store: {waited}", told)
    stopped.send_signal(signal.SIGINT)
    assert stopped.wait(HANG_S) == 130
    assert (report.poll(), sync.poll()) == (None, None)
    tracker = MlflowTracker(uri, "tiny", results.artifacts)
    assert sum(kind == "trial" for kind, _ in tracker._runs._loaded) == 3
    lock.release()
    said = [process.communicate(timeout=HANG_S)[1] for process in (report, sync)]
    assert (report.returncode, sync.returncode) == (0, 0), said
    assert stored(uri) == everything(results)


@slow
def test_a_part_of_a_sweep_can_be_sent_and_neither_its_torn_cells_nor_the_mark_say_more_than_is_there(
    write_sweep, specs: tuple[TrialSpec, ...], results: Results, tmp_path: Path
) -> None:
    path, uri = write_sweep(AT_0), default_uri(results.root)
    for spec in specs:
        finish(results, spec)

    def sync(*only: str) -> tuple[int, int, bool]:
        ended = command("sync", path, "--results", results.root, "--tracking-uri", uri, *only)
        assert ended.exit_code == 0, ended.stderr
        part = prepare_run([load(path)], None, results, tmp_path).parts[0]
        return len(stored(uri)), live_cells(uri), is_shown(part, results, uri)

    assert sync("--only", specs[0].trial_id) == (1, 0, False)
    assert sync("--only", "inner_steps=2") == (3, 1, False)
    assert sync() == (4, 2, True)
    refused = command("sync", path, "--results", results.root, "--tracking-uri", uri, "--only", "inner_steps=9")
    assert (refused.exit_code, "--only inner_steps=9: no trial" in refused.stderr) == (2, True)


@slow
def test_one_sync_takes_several_files_and_a_bad_one_of_their_experiments_keeps_no_other_back(
    write_sweep, specs: tuple[TrialSpec, ...], results: Results, tmp_path: Path
) -> None:
    from mlflow import MlflowClient

    uri = default_uri(results.root)
    paths = [write_sweep(f"name: {name}", AT_0).rename(tmp_path / f"{name}.yaml") for name in ("first", "second")]
    for spec in specs:
        finish(results, spec)
    words = ("sync", *paths, "--results", results.root, "--tracking-uri", uri)
    assert command(*words, "--only", "inner_steps=1").exit_code == 0
    assert [len(stored(uri, name)) for name in ("first", "second")] == [2, 2]
    client = MlflowClient(uri)
    client.delete_experiment(client.get_experiment_by_name("first").experiment_id)
    ended = command(*words)
    assert (ended.exit_code, "'first' was deleted" in ended.stderr) == (4, True), ended.stderr
    assert len(stored(uri, "second")) == 4


def test_whoever_pushes_next_holds_a_lock_at_every_moment_until_it_pushes(results: Results) -> None:
    found = turns_of(results, "tiny", URI)
    handed, working = Lock(found.next), Lock(found.now)
    assert handed.take()
    child = os.dup(handed.descriptor)
    handed.hand_down(4242)
    assert holder_of(found.next)["pid"] == 4242
    assert working.take()
    told = []

    def told_once(text: str) -> None:
        told.append(text)
        assert holder_of(found.next)["pid"] == 4242  # while it waits for its turn
        working.release()

    with only_pusher(found, told_once, inherited=[child]):
        assert holder_of(found.next) is None
        assert holder_of(found.now)["pid"] == os.getpid()
    assert len(told) == 1 and f": process {os.getpid()} on " in told[0]
    wait_for_pusher(found, silent)


def test_who_sends_a_part_alone_is_not_counted_on_as_next(results: Results) -> None:
    found = turns_of(results, "tiny", URI)
    waiting = Lock(found.next)
    assert waiting.take()
    with only_pusher(found, silent, in_line=False):
        assert holder_of(found.next)["pid"] == os.getpid()  # the other's, which goes on waiting


def test_no_second_process_is_left_behind_while_one_waits_for_its_turn(results: Results, monkeypatch) -> None:
    found = turns_of(results, "tiny", URI)
    waiting = Lock(found.next)
    assert waiting.take()
    monkeypatch.setattr(subprocess, "Popen", silent)
    assert leave_behind([found], results, URI, ["tiny.yaml"]) == os.getpid()
    assert not results.sync_log.exists()


def test_stores_and_experiments_do_not_wait_for_each_other_and_no_lock_names_a_password(results: Results) -> None:
    locks = [
        place
        for experiment in ("tiny", "tiny@cpu")
        for uri in (URI, "http://ada:a@127.0.0.1:9", default_uri(results.root))
        for place in turns_of(results, experiment, uri)
    ]
    assert len({lock.lock for lock in locks}) == 12
    assert turns_of(results, "tiny", "http://ada:a@host") == turns_of(results, "tiny", "http://ada:b@host")


def test_where_nothing_was_ever_pushed_nobody_is_waited_for(results: Results) -> None:
    wait_for_pusher(turns_of(results, "tiny", URI), silent)
    assert not results.root.exists()


@slow
def test_a_folder_that_only_others_may_write_can_be_pushed_from(
    write_sweep, specs: tuple[TrialSpec, ...], results: Results, tmp_path: Path, monkeypatch
) -> None:
    path = write_sweep(AT_0)
    finish(results, specs[0])
    monkeypatch.setattr(os, "access", lambda place, mode: mode != os.W_OK)
    uri = f"sqlite:///{tmp_path}/mine.db"
    assert command("sync", path, "--results", results.root, "--tracking-uri", uri).exit_code == 0
    assert len(stored(uri)) == 1
    assert not (results.root / "pushes").exists() and not results.runs.exists()


def test_the_command_is_a_module_too(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-P", "-m", "sweeper", "--help"],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0
    assert ended.stdout.startswith("Usage: sweeper [OPTIONS]")
