"""What others write goes to the log while they live, ours stays on the screen, and all is put back."""

import subprocess
import sys

import pytest

from tests.sweeper.command import environment

PROGRAM = """\
import os, sys
from pathlib import Path
from sweeper.host.streams import chatter_to
print("before")
with chatter_to(Path(sys.argv[1]), stdout=sys.argv[2] == "both") as ours:
    print("said"); print("warned", file=sys.stderr); os.write(1, b"raw 1\\n"); os.write(2, b"raw 2\\n")
    os.system("echo child >&2")
    ours.write("progress\\n")
print("after"); print("after too", file=sys.stderr)
"""


@pytest.mark.parametrize("moved", ["both", "stderr"])
def test_chatter_goes_to_the_log_and_progress_to_the_screen(tmp_path, moved):
    words = [sys.executable, "-c", PROGRAM, tmp_path / "log", moved]
    done = subprocess.run(words, capture_output=True, text=True, check=True, env=environment())
    log = set((tmp_path / "log").read_text().splitlines())
    assert done.stderr == "progress\nafter too\n"
    ours, theirs = {"before", "after"}, {"said", "raw 1"}
    assert log == {"warned", "raw 2", "child"} | (theirs if moved == "both" else set())
    assert set(done.stdout.splitlines()) == ours | (theirs if moved == "stderr" else set())


def test_a_stderr_that_is_no_descriptor_is_left_to_its_owner(tmp_path, capsys):
    from sweeper.host.streams import chatter_to

    with chatter_to(tmp_path / "log") as ours:
        assert ours is sys.stderr
        ours.write("progress\n")
    assert capsys.readouterr().err == "progress\n"
