"""The end of the command's process: Python's own way out, unless a thread still pushes to a tracking store."""

import subprocess
import sys

import pytest

from tests.waiting import HANG_S

PROGRAM = """
import atexit, sys, threading

from sweeper.cli import main
from sweeper.tracking.syncer import Syncer

pushing = sys.argv.pop(1) == "pushing"
if pushing:
    connecting = threading.Event()
    syncer = Syncer(lambda: (connecting.set(), threading.Event().wait()), lambda trial_id: None, {})
    syncer.note("a")
    syncer.start()
    connecting.wait()
atexit.register(print, "Python's own way out")
main()
"""


@pytest.mark.slow
@pytest.mark.parametrize(("state", "own_way"), [("pushing", False), ("idle", True)])
@pytest.mark.parametrize(("words", "code"), [(["--version"], 0), (["run", "absent.yaml"], 2)])
def test_the_exit_is_at_once_while_a_syncer_pushes_and_pythons_own_otherwise(state, own_way, words, code, tmp_path):
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM, state, *words], capture_output=True, text=True, timeout=HANG_S, cwd=tmp_path
    )
    assert (ended.returncode, "Python's own way out" in ended.stdout) == (code, own_way), ended.stderr
