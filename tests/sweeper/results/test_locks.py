"""The kernel lock of a trial: one holder, seen from other processes, gone with its holder."""

import os
import subprocess
import sys

from sweeper.results.locks import Lock, holder_of
from sweeper.results.paths import TrialPaths

HOLD = """\
import sys, time
from pathlib import Path
from sweeper.results.locks import Lock
from sweeper.results.paths import TrialPaths
assert Lock(TrialPaths(Path(sys.argv[1]))).take()
print("held", flush=True)
time.sleep(60)
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
