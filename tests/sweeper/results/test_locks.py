"""The kernel lock of a trial: one holder, seen from other processes, gone with its holder."""

import errno
import fcntl
import os
import subprocess
import sys
import time

import pytest

from sweeper.results.locks import Lock, NoLocksError, holder_of, require_locks
from sweeper.results.paths import Results, TrialPaths

HOLD = """\
import sys, time
from pathlib import Path
from sweeper.results.locks import Lock
from sweeper.results.paths import TrialPaths
assert Lock(TrialPaths(Path(sys.argv[1]))).take()
print("held", flush=True)
time.sleep(3600)
"""


def test_a_second_lock_is_refused_until_the_first_is_released(tmp_path):
    paths = TrialPaths(tmp_path / "t")
    first, second = Lock(paths), Lock(paths)
    assert holder_of(paths) is None
    assert first.take()
    assert not second.take()
    assert holder_of(paths)["pid"] == os.getpid()
    first.release()
    assert holder_of(paths) is None
    assert second.take()
    second.release()


def test_who_only_asks_keeps_nobody_from_a_lock_however_long_a_busy_machine_takes_for_it(tmp_path, monkeypatch):
    paths, slept = TrialPaths(tmp_path / "t"), []
    first = Lock(paths)
    assert first.take()
    first.release()
    asking = os.open(paths.lock, os.O_RDONLY)  # as `holder_of` does

    def sleep(seconds):
        slept.append(seconds)
        if len(slept) == 7:
            os.close(asking)

    fcntl.flock(asking, fcntl.LOCK_SH)
    monkeypatch.setattr(time, "sleep", sleep)
    assert first.take()
    assert len(slept) == 7
    assert not Lock(paths).take()
    assert len(slept) == 7  # a holder is not waited for
    first.release()


def test_who_is_stopped_while_asking_is_given_up(tmp_path, monkeypatch):
    paths, slept = TrialPaths(tmp_path / "t"), []
    paths.folder.mkdir()
    paths.lock.touch()
    monkeypatch.setattr(time, "sleep", slept.append)
    with paths.lock.open() as asking:
        fcntl.flock(asking, fcntl.LOCK_SH)
        assert not Lock(paths).take()
    assert 5 < sum(slept) < 20


def test_a_killed_holder_holds_nothing(tmp_path):
    paths = TrialPaths(tmp_path / "t")
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(paths.folder)], stdout=subprocess.PIPE, text=True)
    with process:
        assert process.stdout.readline() == "held\n"
        assert not Lock(paths).take()
        assert holder_of(paths)["pid"] == process.pid
        process.kill()
    assert holder_of(paths) is None
    lock = Lock(paths)
    assert lock.take()
    lock.release()


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_refused_in_a_sentence(tmp_path, monkeypatch, number):
    def none(file, operation):
        raise OSError(number, os.strerror(number))

    paths = TrialPaths(tmp_path / "t")
    assert Lock(paths).take()
    monkeypatch.setattr(fcntl, "flock", none)
    with pytest.raises(NoLocksError, match=os.strerror(number)) as refused:
        Lock(paths).take()
    assert refused.value.exit_code == 4
    assert holder_of(paths) is None
    with pytest.raises(NoLocksError, match=f"no file in {tmp_path} can be locked: {os.strerror(number)}"):
        require_locks(Results(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["t"]


def test_locks_that_exclude_nobody_are_noticed_at_the_start(tmp_path, monkeypatch):
    require_locks(Results(tmp_path))
    monkeypatch.setattr(fcntl, "flock", lambda file, operation: None)
    with pytest.raises(NoLocksError, match=f"a file in {tmp_path} can be locked twice, so two runs could train"):
        require_locks(Results(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_a_lock_on_a_file_that_was_deleted_meanwhile_is_taken_again_on_the_new_one(tmp_path, monkeypatch):
    paths, real, seen = TrialPaths(tmp_path / "t"), fcntl.flock, []

    def late(descriptor, operation):
        if not seen:
            seen.append(descriptor)
            paths.lock.unlink()
        real(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", late)
    lock = Lock(paths)
    assert lock.take()
    assert holder_of(paths)["pid"] == os.getpid()
    lock.release()
